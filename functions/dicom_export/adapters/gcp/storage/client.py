"""Cloud Storage: one client for the process, and how it is called.

Every call is one request with a timeout; what is tried again is tried again here, and nowhere in the library.

Source: https://cloud.google.com/storage/docs/retry-strategy
"""

from __future__ import annotations

from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import requests.exceptions
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from dicom_export.adapters.gcp.calls import RETRY, google_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.api_core.retry import Retry
    from google.cloud.storage import Client  # type: ignore[import-untyped]  # it says nothing of its types
    from requests import Session

POOL_SIZE = 64
"""How many connections a client keeps open: with more reads in flight, those above it connect again each time."""

_MAKING = Lock()
_T = TypeVar("_T")


def shared_client() -> Client:
    """Return the client of this process, for all its threads; the first call makes it."""
    with _MAKING:
        return _client_of_this_process()


@cache
def _client_of_this_process() -> Client:
    return new_client()


def new_client(pool_size: int = POOL_SIZE) -> Client:
    """Return a client that keeps up to `pool_size` connections open.

    Where STORAGE_EMULATOR_HOST is set, the library goes there by itself, and without credentials.
    """
    from google.cloud.storage import Client

    # An object's address has no project in it: so none is looked for.
    client = Client(project=None)
    # The library would ask for each bucket's place, for traces that nobody records: requests of its own, on threads of its own.
    client._bucket_metadata_cache = None  # noqa: SLF001 - the one way to have it send none, also where an object is not found
    session = client._http  # noqa: SLF001 - the pool's size cannot be said in another way
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=pool_size))
    # Where mutual TLS is on, its adapter takes the place of ours, and the pool's size from it.
    session.configure_mtls_channel()
    _look_at_environment_once(session, client._connection.get_api_base_url_for_mtls())  # noqa: SLF001 - as above
    return client


def _look_at_environment_once(session: Session, url: str) -> None:
    """Have the session use the proxies and the certificates that the environment names, as it would by itself.

    It would look for them at each request, through all variables there are: a fifth of a small request's CPU time.
    """
    found = session.merge_environment_settings(url, {}, None, None, None)
    session.proxies, session.verify, session.trust_env = found["proxies"], found["verify"], False


def called(doing: str, call: Callable[[], _T], retry: Retry = RETRY) -> _T:
    """Return what the call returns, made again while that helps. Raises errors of this system that begin with `doing`."""
    with google_errors(doing):
        return retry(partial(_attempt, call))()


def _attempt(call: Callable[[], _T]) -> _T:
    """Raise what RETRY and `google_errors` do not know as what they know."""
    try:
        return call()
    except urllib3.exceptions.HTTPError as error:
        # `requests` translates these, but not while a body is read raw.
        raise requests.exceptions.ConnectionError(str(error)) from error

"""Create the Cloud Storage client of this process, and call it.

Each call is one request with a timeout; only this module retries, never the library.

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
    from google.cloud.storage import Client  # type: ignore[import-untyped]  # it has no types
    from requests import Session

POOL_SIZE = 64
"""The number of connections that a client keeps open; further reads open a new one each."""

_MAKING = Lock()
_T = TypeVar("_T")


def shared_client() -> Client:
    """Return the client of this process, for all its threads; the first call creates it."""
    with _MAKING:
        return _client_of_this_process()


def anonymous_client() -> Client:
    """Return the client of this process for public buckets, which needs no credentials; the first call creates it."""
    with _MAKING:
        return _client_of_this_process(is_anonymous=True)


@cache
def _client_of_this_process(*, is_anonymous: bool = False) -> Client:
    return new_client(is_anonymous=is_anonymous)


def new_client(pool_size: int = POOL_SIZE, *, is_anonymous: bool = False) -> Client:
    """Return a client that keeps up to `pool_size` connections open.

    If STORAGE_EMULATOR_HOST is set, the library connects to it, without credentials.
    """
    from google.cloud.storage import Client

    # An object's address has no project, so the library need not look for one.
    client = Client.create_anonymous_client() if is_anonymous else Client(project=None)
    # For traces that nobody records, the library would request each bucket's location, from threads of its own.
    client._bucket_metadata_cache = None  # noqa: SLF001 - no other setting stops these requests
    session = client._http  # noqa: SLF001 - no other setting changes the pool's size
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=pool_size))
    # With mutual TLS, this replaces our adapter by one that takes over the pool's size.
    session.configure_mtls_channel()
    _look_at_environment_once(session, client._connection.get_api_base_url_for_mtls())  # noqa: SLF001 - as above
    return client


def _look_at_environment_once(session: Session, url: str) -> None:
    """Make the session use the proxies and certificates of the environment, read once.

    By default it reads all environment variables at each request, which takes a fifth of a small
    request's CPU time.
    """
    found = session.merge_environment_settings(url, {}, None, None, None)
    session.proxies, session.verify, session.trust_env = found["proxies"], found["verify"], False


def called(doing: str, call: Callable[[], _T], retry: Retry = RETRY) -> _T:
    """Return the result of the call, with retries.

    Raises errors of this system, whose messages begin with `doing`.
    """
    with google_errors(doing):
        return retry(partial(_attempt, call))()


def _attempt(call: Callable[[], _T]) -> _T:
    """Raise errors of urllib3 as errors that RETRY and `google_errors` know."""
    try:
        return call()
    except urllib3.exceptions.HTTPError as error:
        # `requests` translates these, but not while a body is read raw.
        raise requests.exceptions.ConnectionError(str(error)) from error

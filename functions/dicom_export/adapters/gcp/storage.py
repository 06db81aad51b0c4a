"""Cloud Storage: one client for the process, and how it is called.

Every call is one request with a timeout; what is tried again is tried again here, and nowhere in the library.

Source: https://cloud.google.com/storage/docs/retry-strategy
"""

from __future__ import annotations

from functools import cache, partial
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import requests.exceptions
import urllib3.exceptions
from google.api_core import exceptions
from requests.adapters import HTTPAdapter

from dicom_export.adapters.gcp.calls import RETRY, TIMEOUT_SECONDS, google_errors
from dicom_export.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.api_core.retry import Retry
    from google.cloud.storage import Blob, Client  # type: ignore[import-untyped]  # it says nothing of its types

POOL_SIZE = 64
"""How many connections a client keeps open: with more reads in flight, those above it connect anew each time."""

_MAX_NAME_BYTES = 1024
_NOT_IN_NAMES = frozenset("\0\r\n")
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
    from google.cloud.storage import Client  # noqa: PLC0415 - slow, and not every function needs it

    # An object's address has no project in it: so none is looked for.
    client = Client(project=None)
    # The library would ask for each bucket's place, for traces that nobody records: requests of its own, on threads of its own.
    client._bucket_metadata_cache = None  # noqa: SLF001 - the one way to have it send none, also where an object is not found
    session = client._http  # noqa: SLF001 - the pool's size cannot be said in another way
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=pool_size))
    # Where mutual TLS is on, its adapter takes the place of ours, and the pool's size from it.
    session.configure_mtls_channel()
    return client


def called(doing: str, call: Callable[[], _T], retry: Retry = RETRY) -> _T:
    """Return what the call returns, made again while that helps. Raises errors of this system that begin with `doing`."""
    with google_errors(doing):
        return retry(partial(_attempt, call))()


def listed(
    client: Callable[[], Client],
    bucket: str,
    fields: str,
    *,
    root: str = "",
    prefix: str = "",
    start_after: str = "",
    page_size: int | None = None,
) -> Iterator[tuple[str, Blob]]:
    """Yield the objects below `root` as the ports list them, each with its name below it; one page is in memory.

    `fields` are those of an object that are asked for. Raises NotFound if the bucket is not there.
    """
    token: str | None = ""
    while token is not None:
        page = partial(_page, client, bucket, fields, token, root + prefix, root + start_after, page_size)
        try:
            blobs, token = called(f"Listing gs://{bucket}/{root}{prefix}", page)
        except NotFound as error:
            raise NotFound(f"Bucket {bucket!r} was not found") from error
        for blob in blobs:
            name = blob.name.removeprefix(root)
            # The listing begins at the offset, and without one at what a console makes for a folder: an object named as the root.
            if name != start_after:
                yield name, blob


def is_object_name(name: str) -> bool:
    """Say whether an object can have the name. Source: https://cloud.google.com/storage/docs/objects#naming."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= _MAX_NAME_BYTES and name not in {".", ".."} and _NOT_IN_NAMES.isdisjoint(name)


def _page(
    client: Callable[[], Client],
    bucket: str,
    fields: str,
    token: str,
    prefix: str,
    start_offset: str,
    page_size: int | None,
) -> tuple[list[Blob], str | None]:
    """Return the objects of one page, and the token of the next one, if there is one."""
    pages = client().list_blobs(
        bucket,
        prefix=prefix or None,
        start_offset=start_offset or None,
        page_token=token or None,
        page_size=page_size,
        fields=f"items({fields}),nextPageToken",
        timeout=TIMEOUT_SECONDS,
        retry=None,
    )
    return list(next(pages.pages)), pages.next_page_token or None


def _attempt(call: Callable[[], _T]) -> _T:
    """Raise what RETRY and `google_errors` do not know as what they know."""
    try:
        return call()
    except urllib3.exceptions.HTTPError as error:
        # `requests` translates these, but not while a body is read raw.
        raise requests.exceptions.ConnectionError(str(error)) from error
    except exceptions.GoogleAPICallError as error:
        # Cloud Storage has it mean "try again": https://cloud.google.com/storage/docs/json_api/v1/status-codes
        if error.code == HTTPStatus.REQUEST_TIMEOUT:
            raise exceptions.GatewayTimeout(error.message) from error
        raise

"""Read ranges of objects in Cloud Storage with little CPU time.

There is one such read per instance, for which the client library takes twenty times the CPU time:
it uses `requests` and makes a Blob for each object.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote
from weakref import WeakKeyDictionary

import certifi
from google.api_core.exceptions import from_http_status
from google.auth.transport.mtls import default_client_cert_source
from google.auth.transport.requests import Request

from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.auth.credentials import Credentials
    from google.cloud.storage import Client  # type: ignore[import-untyped]  # it has no types

    Get = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
    """Sends a GET to a URL with headers, and returns status and content: `Transfers.get`."""

# Without it, Cloud Storage decompresses objects that are stored compressed: https://cloud.google.com/storage/docs/transcoding
_HEADERS = {"Accept-Encoding": "gzip"}
_MAX_REASON = 300


class Ranges:
    """Reads ranges with credentials. Safe to use from several threads."""

    def __init__(self, endpoint: str, credentials: Credentials, get: Get) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._get_once = get
        # One thread at a time renews an expired token.
        self._authorizing = Lock()
        self._tokens = partial(Request(), timeout=TIMEOUT_SECONDS)

    def read(
        self, bucket: str, name: str, generation: int, start: int, length: int, user_project: str | None = None
    ) -> bytes:
        """Return at most `length` bytes of this generation, in one request; none after its end.

        `user_project` pays for the request if the bucket's requester pays.

        Raises errors of google.api_core by the answer's status, of google.auth, and of requests.
        """
        path = f"/download/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
        payer = f"&userProject={quote(user_project, safe='')}" if user_project else ""
        url = f"{self._endpoint}{path}?alt=media&generation={generation}{payer}"
        status, content = self._authorized(url, {**_HEADERS, "Range": f"bytes={start}-{start + length - 1}"})
        return _part(status, content, start, length)

    def _authorized(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return the answer; if the token was refused, the answer to a request with a new one."""
        with_token = self._with_token(url, headers)
        status, content = self._get_once(url, with_token)
        if status != HTTPStatus.UNAUTHORIZED:
            return status, content
        return self._get_once(url, self._with_token(url, headers, refused=with_token))

    def _with_token(
        self, url: str, headers: Mapping[str, str], refused: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        with self._authorizing:
            found = dict(headers)
            self._credentials.before_request(self._tokens, "GET", url, found)
            if found != refused:  # another thread may have renewed it
                return found
            self._credentials.refresh(self._tokens)
            self._credentials.apply(found)
            return found


def ranges_of(client: Client) -> Ranges:
    """Return the Ranges with the client's credentials and endpoint; the first call creates it."""
    with _MAKING:
        if client not in _RANGES:
            _RANGES[client] = _new_ranges(client)
        return _RANGES[client]


_MAKING = Lock()
_RANGES: WeakKeyDictionary[Client, Ranges] = WeakKeyDictionary()


def _new_ranges(client: Client) -> Ranges:
    from dicom_export.adapters.gcp.storage.transfers import Transfers

    session = client._http  # noqa: SLF001 - no public way leads to the client's settings from the environment
    authorities = certifi.where() if session.verify is True else session.verify
    certificate = default_client_cert_source() if session.is_mtls else None
    endpoint = client._connection.get_api_base_url_for_mtls()  # noqa: SLF001 - as above
    return Ranges(endpoint, client._credentials, Transfers(authorities, certificate).get)  # noqa: SLF001 - as above


def _part(status: int, content: bytes, start: int, length: int) -> bytes:
    if status == HTTPStatus.PARTIAL_CONTENT:
        return content
    if status == HTTPStatus.OK:  # the server ignores Range
        return content[start : start + length]
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return b""
    raise from_http_status(status, _reason(content))


def _reason(content: bytes) -> str:
    """Return the start of an error's body as one line of text."""
    return " ".join(content[:_MAX_REASON].decode(errors="replace").split()) or "no reason given"

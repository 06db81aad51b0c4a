"""Send HTTP GETs with libcurl, which takes a sixth of urllib3's CPU time for a small answer."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import pycurl
from requests.exceptions import ConnectionError as NoConnection

from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Transfers:
    """Connections that are kept open: as many as the highest number of simultaneous transfers.

    Safe to use from several threads. Proxies are those of the environment. `authorities` is a file
    or a folder of certificates; `certificate` is for mutual TLS: the client's certificate and its
    key, in PEM.
    """

    def __init__(self, authorities: str, certificate: Callable[[], tuple[bytes, bytes]] | None = None) -> None:
        self._authorities = authorities
        self._certificate = certificate
        # The handle that was used last most likely has an open connection. append and pop are atomic.
        self._idle: deque[pycurl.Curl] = deque()

    def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return status and the complete content as it was sent.

        Redirects are not followed, and nothing is decompressed. Raises requests' ConnectionError if
        there is no answer in time, or an incomplete one.
        """
        curl = self._take()
        try:
            curl.setopt(pycurl.URL, url)
            curl.unsetopt(pycurl.HTTPHEADER)  # an empty list keeps the last transfer's headers
            curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()])
            content = curl.perform_rb()
            status: int = curl.getinfo(pycurl.RESPONSE_CODE)
        except pycurl.error as error:
            curl.close()
            raise NoConnection(str(error)) from error
        self._idle.append(curl)
        return status, content

    def _take(self) -> pycurl.Curl:
        try:
            return self._idle.pop()
        except IndexError:
            return self._new()

    def _new(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        curl.setopt(pycurl.NOSIGNAL, 1)  # signals do not work in threads
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)  # one transfer at a time needs no HTTP/2
        curl.setopt(pycurl.CONNECTTIMEOUT, int(TIMEOUT_SECONDS))
        # A long answer may take longer than the timeout, as long as bytes arrive.
        curl.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        curl.setopt(pycurl.LOW_SPEED_TIME, int(TIMEOUT_SECONDS))
        curl.setopt(pycurl.CAPATH if Path(self._authorities).is_dir() else pycurl.CAINFO, self._authorities)
        if self._certificate:
            certificate, key = self._certificate()
            curl.setopt(pycurl.SSLCERT_BLOB, certificate)
            curl.setopt(pycurl.SSLKEY_BLOB, key)
        return curl

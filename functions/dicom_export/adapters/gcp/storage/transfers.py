"""HTTP GETs by libcurl: for what is asked for once an instance, since a small answer costs it a sixth of the CPU time of urllib3."""

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
    """Connections that are kept open, for all threads: as many as there ever were transfers at once.

    Proxies are those of the environment. `authorities` is a file of certificates, or a folder of them; `certificate` is for mutual TLS: the client's
    certificate and its key, in PEM.
    """

    def __init__(self, authorities: str, certificate: Callable[[], tuple[bytes, bytes]] | None = None) -> None:
        self._authorities = authorities
        self._certificate = certificate
        # Who takes the one that was used last finds its connection open. append and pop are atomic.
        self._idle: deque[pycurl.Curl] = deque()

    def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return status and content, which is complete and as it was sent: no redirect is followed, nothing decompressed.

        Raises requests' ConnectionError where there is no answer, a part of one, or none in time.
        """
        curl = self._take()
        try:
            curl.setopt(pycurl.URL, url)
            curl.unsetopt(pycurl.HTTPHEADER)  # an empty list would leave the last transfer's
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
        curl.setopt(pycurl.NOSIGNAL, 1)  # signals are not for threads
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)  # one transfer at a time needs no more
        curl.setopt(pycurl.CONNECTTIMEOUT, int(TIMEOUT_SECONDS))
        # A long header may take its time, as long as something comes.
        curl.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        curl.setopt(pycurl.LOW_SPEED_TIME, int(TIMEOUT_SECONDS))
        curl.setopt(pycurl.CAPATH if Path(self._authorities).is_dir() else pycurl.CAINFO, self._authorities)
        if self._certificate:
            certificate, key = self._certificate()
            curl.setopt(pycurl.SSLCERT_BLOB, certificate)
            curl.setopt(pycurl.SSLKEY_BLOB, key)
        return curl

"""The address of an installation's API, and whether an identity token may be sent to it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from dicom_export.errors import InvalidArgument

_EXPECTED = "expected https://HOST, or http://127.0.0.1:PORT of `serve` or of the proxy of gcloud"


@dataclass(frozen=True, slots=True)
class Address:
    """An address without a slash at its end."""

    url: str
    is_encrypted: bool
    is_local: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise InvalidArgument if the text is not the address of an API. A password in it is not repeated."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or port == 0 or parts.scheme not in ("http", "https") or not text.isprintable() or " " in text:
            shown = "The address" if "@" in text else repr(text[:200])
            raise InvalidArgument(f"{shown} is not the address of a service; {_EXPECTED}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InvalidArgument(f"The address of the service has a user, a query or a fragment; {_EXPECTED}")
        return cls(text.rstrip("/"), parts.scheme == "https", _is_local(host))


def _is_local(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"

"""Refuse requests of web pages in a browser, unless the API itself served the page.

A browser sends some requests of any web page without asking the server first, with the page's origin in `Origin`. If the
page's host name was made to resolve to this machine (DNS rebinding), the browser sees the same origin, but `Host` is foreign.

Source: https://fetch.spec.whatwg.org/#cors-safelisted-request-header
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from dicom_export.errors import InvalidArgument, PermissionDenied

FORM = "application/x-www-form-urlencoded"

_SENT_WITHOUT_ASKING = (FORM, "multipart/form-data", "text/plain")
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:/?#@\\\s]+))(?::(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_LOOPBACK = "loopback"
_MAX_SHOWN_LENGTH = 100


def media_type(content_type: str) -> str:
    """Return the media type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def check_content_type(content_type: str) -> None:
    """Raise InvalidArgument for a type of body that a page can send to any server without asking it first."""
    if media_type(content_type) in _SENT_WITHOUT_ASKING:
        raise InvalidArgument(
            f"Content-Type {_shown(content_type)} is not supported: expected application/json. With curl, add"
            " -H 'Content-Type: application/json'."
        )


def check_host(host: str) -> None:
    """Raise PermissionDenied unless a request's Host is a name of this machine that no other server can have."""
    authority = _authority(host, "")
    if authority is None or authority[0] != _LOOPBACK:
        raise PermissionDenied(
            f"Host {_shown(host)} is not served: this server answers only on this machine, as 127.0.0.1, [::1] or"
            " localhost. To answer others, start it with --host."
        )


def check_origin(origin: str, host: str) -> None:
    """Raise PermissionDenied if a page of another server sent the request.

    A page of this machine may call an API elsewhere, which `gcloud run services proxy` serves at a port of this machine.
    """
    if not origin:
        return
    scheme, _, name = origin.partition("://")
    port = _DEFAULT_PORTS.get(scheme, "")
    theirs, ours = _authority(name, port), _authority(host, port)
    if theirs and ours:
        is_same = theirs == ours
        is_proxied = theirs[0] == _LOOPBACK and ours[0] != _LOOPBACK
        if is_same or is_proxied:
            return
    raise PermissionDenied(
        f"A page of {_shown(origin)} may not call this API: expected a program, or a page that this server itself serves."
    )


def _authority(text: str, default_port: str) -> tuple[str, str] | None:
    """Return host and port, or None if malformed. All names of the loopback interface become one."""
    match = _AUTHORITY.fullmatch(text)
    if not match:
        return None
    name = (match["ipv6"] or match["name"]).lower()
    return _LOOPBACK if _is_loopback(name) else name, match["port"] or default_port


def _is_loopback(name: str) -> bool:
    try:
        address = ip_address(name)
    except ValueError:
        return name == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _shown(text: str) -> str:
    return repr(text[:_MAX_SHOWN_LENGTH])

"""Read the body of a request: check its size, and decode it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BODY_BYTES = 1 << 20

_GZIP = ("gzip", "x-gzip")
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def read_body(read: Callable[[int], bytes], encoding: str) -> bytes:
    """Return the body that `read` yields, decoded from the Content-Encoding. `read` takes the number of bytes to return at most.

    Raises InvalidArgument for a body that is too large, before or after inflation, is not complete, or has another encoding.
    """
    sent = _read_all(read)
    match encoding.strip().lower():
        case "" | "identity":
            return sent
        case name if name in _GZIP:
            return _inflated(sent) if sent else sent
    raise InvalidArgument(f"Content-Encoding {encoding[:100]!r} is not supported: expected gzip, or none.")


def _read_all(read: Callable[[int], bytes]) -> bytes:
    parts, left = [], MAX_BODY_BYTES + 1
    try:
        while left and (part := read(left)):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise InvalidArgument("The request's body is not complete, or its chunks are malformed.") from error
    if not left:
        raise _too_large()
    return b"".join(parts)


def _inflated(sent: bytes) -> bytes:
    """Return the content of a gzip file, which may have several members (RFC 1952 §2.2)."""
    content, rest = b"", sent
    try:
        while rest:
            member = zlib.decompressobj(_GZIP_WINDOW)
            content += member.decompress(rest, MAX_BODY_BYTES + 1 - len(content))
            if len(content) > MAX_BODY_BYTES:
                raise _too_large()
            if not member.eof:
                raise InvalidArgument("The request's body ends before its gzip encoding does.")
            rest = member.unused_data
    except zlib.error as error:
        raise InvalidArgument("The request's body is not in the gzip encoding that its header names.") from error
    return content


def _too_large() -> InvalidArgument:
    return InvalidArgument(f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes.")

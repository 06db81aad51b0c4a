"""Recognition of the bytes after native Pixel Data: surplus pixels, padding or elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.dicom.dictionary import is_private, standard_vr
from dicom_export.dicom.encoding import EXPLICIT_VRS, STRUCTS
from dicom_export.dicom.tags import ELEMENT_HEADER, PIXELS, PRIVATE_CREATORS

if TYPE_CHECKING:
    from dicom_export.dicom.encoding import Encoding


_GROUPS_OF_NO_ELEMENT = frozenset({0xFFFE, 0xFFFF})


def follows_pixels(data: bytes, encoding: Encoding, left: int, last: int) -> bool:
    """Say whether the first bytes after pixels are those of an element.

    `data` are the next 12 bytes, or fewer at the end of the object; `left` is the number of bytes
    up to that end; `last` is the tag before. An element with a VR may be cut off by the end of the
    object. An element without a VR has to fit, because any pixels look like one.
    """
    if len(data) < ELEMENT_HEADER:
        return False
    tag_of, _short, long = STRUCTS[encoding.order]
    group, number = tag_of.unpack_from(data)
    tag = group << 16 | number
    if not _may_follow(tag, last):
        return False
    if encoding.is_implicit:
        length = long.unpack_from(data, 4)[0]
        return bool(ELEMENT_HEADER + length <= left)
    is_long = EXPLICIT_VRS.get(data[4:6])
    if is_long is None or (is_long and (any(data[6:8]) or len(data) < ELEMENT_HEADER + long.size)):
        return False
    return tag in PIXELS or _has_known_vr(tag, data[4:6].decode())


def _may_follow(tag: int, last: int) -> bool:
    group, number = tag >> 16, tag & 0xFFFF
    if tag in PIXELS:
        return True
    if tag <= last or group in _GROUPS_OF_NO_ELEMENT or number == 0xFFFF:  # noqa: PLR2004 - what white pixels are
        return False
    if not is_private(tag):
        return standard_vr(tag) is not None
    is_first_of_group = group != last >> 16
    return number in PRIVATE_CREATORS if is_first_of_group else number >= PRIVATE_CREATORS.start


def _has_known_vr(tag: int, vr: str) -> bool:
    return is_private(tag) or vr == "UN" or vr in (standard_vr(tag) or "").split(" or ")

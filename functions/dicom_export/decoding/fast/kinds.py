"""What the first bytes of an element say about the rest of it: its tag, its VR, and how its length is written (PS3.5 §7.1).

An explicit element's first six bytes, its tag and VR, are the key; an implicit element's first four. So one look into a
table replaces parsing each element.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

from dicom_export.dicom.dictionary import is_private, private_vr, standard_vr
from dicom_export.dicom.tags import (
    GROUPS_OUTSIDE_DATA_SETS,
    MEDIA_STORAGE_SOP_CLASS_UID,
    PIXEL_REPRESENTATION,
    SPECIFIC_CHARACTER_SET,
    TIMEZONE_OFFSET_FROM_UTC,
    TRANSFER_SYNTAX_UID,
    UIDS,
)

if TYPE_CHECKING:
    from collections.abc import Callable


_KEPT = frozenset(
    {
        SPECIFIC_CHARACTER_SET,
        TIMEZONE_OFFSET_FROM_UTC,
        PIXEL_REPRESENTATION,
        MEDIA_STORAGE_SOP_CLASS_UID,
        TRANSFER_SYNTAX_UID,
        *UIDS,
    }
)
_DELIMITERS = 0xFFFE
_LAST_CREATOR = 0xFF
_FIRST_CREATOR = 0x10
_MOST_KINDS = 1 << 15

_TAG = Struct("<HH").unpack_from
_LENGTH = Struct("<L").unpack_from
_VRS = {str(vr).encode(): (str(vr), vr in EXPLICIT_VR_LENGTH_32) for vr in STANDARD_VR}


class Unusual(Exception):
    """The header is not what the scanner is for; pydicom reads it."""


class Incomplete(Exception):
    """What was read of the object ends here, or the object does."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What elements with the same first bytes have in common.

    `vr` is the dictionary's where the file says none or UN, and can be a choice (`US or SS`). The value begins `header`
    bytes after the start: 8, or 12 with a length of its own. `is_plain`: 8, and the value is bytes, whatever they are.
    `is_kept`: other elements depend on the value. `is_un`: the file says UN, or nothing and no dictionary knows it.
    `creator` is the tag of the element that names the owner of a private block, by which an implicit element has its VR;
    `vr` is empty as long as that is not known. `is_end`: no element, but a delimiter, or what has no VR.
    """

    tag: int
    vr: str
    header: int = 8
    is_plain: bool = False
    is_sequence: bool = False
    is_kept: bool = False
    is_un: bool = False
    is_end: bool = False
    creator: int = 0


RUN = Kind(0, "")
"""Stands for no element: its value is a run of them, which takes a place among elements as one."""

Known = tuple[Kind, int, bool]
"""A kind, its tag, and `is_plain`: to unpack a tuple takes less time than to look up attributes."""


class Kinds(dict[bytes, Known]):
    """The kinds of one encoding by the first bytes of an element, made as they are met.

    `head` unpacks these bytes, and the length that follows them unless it is one of four bytes in explicit VR.
    """

    def __init__(self, head: Struct, make: Callable[[bytes], Kind]) -> None:
        super().__init__()
        self.head = head.unpack_from
        self._make = make

    def length(self, data: bytes, position: int, kind: Kind) -> int:
        """Return the length that the element at the position states."""
        return int(_LENGTH(data, position + 8)[0] if kind.header == 12 else self.head(data, position)[1])  # noqa: PLR2004

    def __missing__(self, first: bytes) -> Known:
        if len(self) >= _MOST_KINDS:  # the dictionary has 5,000 tags; files bring any others
            self.clear()
        kind = self._make(first)
        known = self[first] = kind, kind.tag, kind.is_plain
        return known


@lru_cache(maxsize=_MOST_KINDS)
def private_kind(kind: Kind, owner: bytes | None) -> Kind:
    """Return the kind of a private element of implicit VR in a block of the owner (PS3.5 §7.8.1)."""
    vr = _private_vr(kind.tag, owner) if owner else None
    return _implicit_kind(kind.tag, vr, creator=kind.creator)


@lru_cache(maxsize=_MOST_KINDS)
def decimal_kind(kind: Kind) -> Kind:
    """Return the kind of a private element whose value is decimal text, whatever the private dictionary says."""
    return replace(kind, vr="DS")


@lru_cache(maxsize=_MOST_KINDS)
def sequence_kind(kind: Kind) -> Kind:
    """Return the kind of an element without a VR of its own that turns out to be a sequence (PS3.5 §6.2.2)."""
    return replace(kind, vr="SQ", is_sequence=True, creator=0)


def _private_vr(tag: int, owner: bytes) -> str | None:
    if not owner.isascii() or b"\x1b" in owner:
        raise Unusual
    return private_vr(tag, owner.decode().rstrip("\0 "))


def _explicit(first: bytes) -> Kind:
    tag = _tag(first)
    known = _VRS.get(first[4:])
    if known is None or tag >> 16 == _DELIMITERS:
        return _end(tag)
    vr, is_long = known
    is_un = vr == "UN"
    if is_un:
        vr = _vr_instead_of_un(tag)
    return Kind(
        tag,
        vr,
        header=12 if is_long else 8,
        is_plain=not (is_long or tag in _KEPT),
        is_sequence=vr == "SQ",
        is_kept=tag in _KEPT,
        is_un=is_un and not _is_creator(tag),
    )


def _vr_instead_of_un(tag: int) -> str:
    if is_private(tag):
        return "LO" if _is_creator(tag) else "UN"
    return standard_vr(tag) or "UN"


def _implicit(first: bytes) -> Kind:
    tag = _tag(first)
    if tag >> 16 == _DELIMITERS:
        return _end(tag)
    if not is_private(tag):
        return _implicit_kind(tag, standard_vr(tag))
    if _is_creator(tag):
        return _implicit_kind(tag, "LO")
    block = tag >> 8 & 0xFF
    return _implicit_kind(tag, "", creator=tag & 0xFFFF0000 | block) if block else _implicit_kind(tag, None)


def _implicit_kind(tag: int, vr: str | None, creator: int = 0) -> Kind:
    is_kept = tag in _KEPT or (is_private(tag) and tag & 0xFFFF <= _LAST_CREATOR)
    return Kind(
        tag,
        "UN" if vr is None else vr,
        is_plain=not (vr in {"", "SQ"} or is_kept),
        is_sequence=vr == "SQ",
        is_kept=is_kept,
        is_un=not vr,
        creator=creator,
    )


def _end(tag: int) -> Kind:
    return Kind(tag, "", is_end=True)


def _tag(first: bytes) -> int:
    group, element = _TAG(first)
    return int(group << 16 | element)


def _is_creator(tag: int) -> bool:
    """Say whether a private tag is (gggg,0010-00FF), which names the owner of a block (PS3.5 §7.8.1)."""
    return is_private(tag) and _FIRST_CREATOR <= tag & 0xFFFF <= _LAST_CREATOR


def _in_data_set(make: Callable[[bytes], Kind]) -> Callable[[bytes], Kind]:
    """Have commands, and file meta information, end a data set: they do not belong into one (PS3.5 §7.1)."""
    return lambda first: _end(_tag(first)) if _tag(first) >> 16 in GROUPS_OUTSIDE_DATA_SETS else make(first)


META = Kinds(Struct("<6sH"), _explicit)
"""The kinds of file meta information."""

EXPLICIT = Kinds(Struct("<6sH"), _in_data_set(_explicit))
IMPLICIT = Kinds(Struct("<4sL"), _in_data_set(_implicit))

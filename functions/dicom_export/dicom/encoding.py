"""The encoding of a data set: from its transfer syntax and its first element (PS3.5 §10)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

from dicom_export.dicom.tags import ELEMENT_HEADER

if TYPE_CHECKING:
    from dicom_export.dicom.object_file import HeaderFile

_IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"

EXPLICIT_VRS = {str(vr).encode(): vr in EXPLICIT_VR_LENGTH_32 for vr in STANDARD_VR}
"""The VRs of the standard, and whether a length of 32 bits follows each (PS3.5 §7.1.2)."""

STRUCTS = {order: (Struct(f"{order}HH"), Struct(f"{order}H"), Struct(f"{order}L")) for order in "<>"}
"""Formats of a tag, a length of 16 bits and one of 32 bits, by byte order."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Explicit or implicit VR, little or big endian."""

    is_implicit: bool
    is_little_endian: bool

    @property
    def order(self) -> str:
        """The byte order, as struct writes it."""
        return "<" if self.is_little_endian else ">"


def encoding_of(file: HeaderFile, syntax: str | None) -> Encoding:
    """Return the encoding of a transfer syntax; without one, that which the first element shows.

    The rule for the first element is pydicom's.
    """
    if syntax is not None:
        return Encoding(syntax == _IMPLICIT_LITTLE_ENDIAN, syntax != _EXPLICIT_BIG_ENDIAN)
    first = file.rest(file.tell(), ELEMENT_HEADER)
    is_explicit = is_vr(first[4:6])
    # Big endian 0x0008 reads as 0x0800 in little endian, and no file starts with such a group.
    return Encoding(not is_explicit, not (is_explicit and first[:1] == b"\x00" and first[1:2] >= b"\x02"))


def found_encoding(file: HeaderFile, stated: Encoding) -> Encoding:
    """Return the encoding, with explicit or implicit VR as the first element shows it.

    The transfer syntax is not asked for this.
    """
    vr = file.rest(file.tell(), ELEMENT_HEADER)[4:6]
    return stated if len(vr) < len("VR") else Encoding(not is_vr(vr), stated.is_little_endian)


def is_vr(data: bytes) -> bool:
    """Say whether the bytes can be a VR.

    As a length, two capital letters would mean more than 16 KB, which no first value has.
    """
    return data.isalpha() and data.isupper()

"""Define a data set, at the top or in a sequence: raw elements, their VRs, and the items of sequences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.charset import default_encoding

from dicom_export.decoding.reference.header import Header, encodings_of
from dicom_export.decoding.reference.parser import MAX_VALUE, Parser
from dicom_export.dicom.dictionary import display_in_error, is_private, private_vr, standard_vr
from dicom_export.dicom.encoding import Encoding
from dicom_export.dicom.object_file import BytesFile
from dicom_export.dicom.tags import PIXEL_REPRESENTATION
from dicom_export.dicom.text import split
from dicom_export.errors import InstanceError, LimitExceeded

if TYPE_CHECKING:
    from dicom_export.decoding.budget import Budget
    from dicom_export.decoding.reference.parser import DataElement, Elements

_LONGEST_OWNER = 128  # twice the characters that a LO may have
_NUMBERS = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "US or SS", "UV"})
# Padding is spaces only: 48 images of a mosaic are the bytes `0` and NUL.
_DECIMAL = rb" *[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)? *"
_DECIMAL_TEXT = re.compile(_DECIMAL + rb"(?:\\" + _DECIMAL + rb")*")


class MalformedSequence(Exception):
    """The value of a sequence is complete, but does not consist of items."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """The elements of one level by tag, with the context of the levels above. `depth` is 0 at the top."""

    elements: Elements
    encodings: list[str]
    budget: Budget
    is_signed: bool = False
    depth: int = 0

    def vr_of(self, tag: int) -> str:
        """Return the VR of the file, else that of the dictionaries, else UN; never a choice of two.

        UN with a standard tag has the dictionary's VR (PS3.5 §6.2.2). A private element that the file says is UN remains so, but for the
        creator of a block. Decimal text is not a number, whatever the private dictionary says.
        """
        element = self.elements[tag]
        vr = element.vr
        if vr is None or vr == "UN":
            vr = self._known_vr(tag, element) or "UN"
        if vr == "US or SS":
            return "SS" if self.is_signed else "US"
        return vr

    def items_of(self, tag: int) -> list[DataSet]:
        """Return the items of a sequence whose value was read.

        Raises MalformedSequence if its value does not parse, LimitExceeded if it is nested too deeply.
        """
        self.budget.check_depth(self.depth, display_in_error(tag))
        value = self.elements[tag].value
        items = self._parsed(self.elements[tag], value) if isinstance(value, bytes) else value or []
        return [self._item(elements) for elements in items]

    def _known_vr(self, tag: int, element: DataElement) -> str | None:
        if not is_private(tag):
            return standard_vr(tag)
        if _is_creator(tag):
            return "LO"
        if element.vr is not None:
            return None
        vr = self._private_vr(tag)
        return "DS" if vr in _NUMBERS and is_decimal_text(element.value) else vr

    def _private_vr(self, tag: int) -> str | None:
        block = tag >> 8 & 0xFF
        creator = self.elements.get(tag & 0xFFFF0000 | block) if block else None
        if creator is None or not isinstance(creator.value, bytes) or not creator.value:
            return None
        owner = owner_in(creator.value)
        return private_vr(tag, split("LO", owner, self.encodings)[0]) if owner else None

    def _parsed(self, element: DataElement, value: bytes) -> list[Elements]:
        encoding = Encoding(element.is_implicit, element.is_little_endian)
        parser = Parser(BytesFile(value), encoding, self.budget)
        try:
            return parser.items(0, len(value), self.depth, is_delimited=False)
        except LimitExceeded:
            raise
        except InstanceError as error:
            raise MalformedSequence from error

    def _item(self, elements: Elements) -> DataSet:
        encodings = encodings_of(elements, self.encodings)
        return DataSet(elements, encodings, self.budget, _is_signed(elements, inherited=self.is_signed), self.depth + 1)


def top_level(header: Header) -> DataSet:
    """Return the data set of an instance, without its file meta information."""
    is_signed = _is_signed(header.elements, inherited=False)
    return DataSet(header.elements, header.encodings, header.budget, is_signed)


def meta_level(header: Header) -> DataSet:
    """Return the file meta information, whose text is in the default repertoire."""
    return DataSet(header.meta, [default_encoding], header.budget)


def is_too_large(element: DataElement) -> bool:
    """Return whether the encoded value of an element is larger than 1 MiB."""
    return element.length > MAX_VALUE


def is_decimal_text(value: object) -> bool:
    """Return whether a value is decimal numbers in text, as those of VR DS are."""
    return isinstance(value, bytes) and _DECIMAL_TEXT.fullmatch(value) is not None


def owner_in(creator: bytes | None) -> bytes | None:
    """Return the first value of the element that names a private block's owner; None for one too long to be in a dictionary."""
    owner = (creator or b"")[: _LONGEST_OWNER + 1].partition(b"\\")[0]
    return owner if len(owner) <= _LONGEST_OWNER else None


def _is_creator(tag: int) -> bool:
    """Say whether a private tag is (gggg,0010-00FF), which names the owner of a block (PS3.5 §7.8.1)."""
    return 0x10 <= tag & 0xFFFF <= 0xFF  # noqa: PLR2004 - the range itself


def _is_signed(elements: Elements, *, inherited: bool) -> bool:
    element = elements.get(PIXEL_REPRESENTATION)
    if element is None or not isinstance(element.value, bytes) or not element.value:
        return inherited
    return any(element.value[:2])

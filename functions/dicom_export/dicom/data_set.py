"""A data set, at the top or in a sequence, as the rows see it: raw elements, their VRs, the items of sequences."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from struct import Struct
from typing import TYPE_CHECKING, cast

from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator

from dicom_export.dicom.encoding import is_vr
from dicom_export.dicom.header import MAX_VALUE, UNDEFINED_LENGTH, Element, Header, encodings_of, is_too_deep
from dicom_export.dicom.ranges import MAX_ELEMENTS
from dicom_export.dicom.text import split
from dicom_export.dictionary import display, is_private, private_vr, standard_vr
from dicom_export.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 100

_PIXEL_REPRESENTATION = 0x00280103
_LONGEST_UN = 0xFFFF
_ELEMENT_HEADER = 8
_ITEM = (0xFFFE, 0xE000)
_SEQUENCE_DELIMITER = (0xFFFE, 0xE0DD)
_ITEM_HEADERS = {
    is_little_endian: Struct(f"{'<' if is_little_endian else '>'}HHL") for is_little_endian in (True, False)
}


class MalformedSequence(Exception):
    """A sequence's value is all there, but is not items."""


class Budget:
    """How many elements an instance may still have."""

    def __init__(self, elements: int = MAX_ELEMENTS) -> None:
        self._left = elements

    def spend(self, elements: int) -> None:
        """Raise LimitExceeded once there are more elements than allowed."""
        self._left -= elements
        if self._left < 0:
            raise LimitExceeded(f"The header has more than {MAX_ELEMENTS:,} elements")


@dataclass(frozen=True, slots=True)
class DataSet:
    """The elements of one level by tag, and what they inherit from the levels above. `depth` is 0 at the top."""

    elements: dict[int, Element]
    encodings: list[str]
    budget: Budget
    is_signed: bool = False
    depth: int = 0

    def vr_of(self, tag: int) -> str:
        """Return the VR as the file says it, else as the dictionaries do: UN if neither knows, never a choice of two.

        As pydicom: UN with a standard tag has the dictionary's VR (PS3.5 §6.2.2), unless too long for what UN is used for.
        Not as pydicom: a private element that the file says is UN remains so, but for the creator of a block.
        """
        element = self.elements[tag]
        vr = element.VR
        if vr is None or vr == "UN":
            vr = self._known_vr(tag, element) or "UN"
        if vr == "US or SS":
            return "SS" if self.is_signed else "US"
        return vr

    def items_of(self, tag: int) -> list[DataSet]:
        """Return the items of a sequence.

        Raises MalformedSequence if its value does not parse, LimitExceeded if it is nested too deeply.
        """
        if self.depth >= MAX_DEPTH:
            raise LimitExceeded(f"Sequences are nested more than {MAX_DEPTH} deep in {display(tag)}")
        element = self.elements[tag]
        if isinstance(element, RawDataElement):
            items = self._parsed(tag, element)
        else:
            items = [{int(nested.tag): nested for nested in item.values()} for item in element.value]
        return [self._item(elements) for elements in items]

    def _known_vr(self, tag: int, element: Element) -> str | None:
        if is_private(tag):
            if _is_creator(tag):
                return "LO"
            return self._private_vr(tag) if element.VR is None else None
        if element.VR is not None and len(cast("bytes | None", element.value) or b"") >= _LONGEST_UN:
            return None
        return standard_vr(tag)

    def _private_vr(self, tag: int) -> str | None:
        block = tag >> 8 & 0xFF
        creator = self.elements.get(tag & 0xFFFF0000 | block) if block else None
        if not isinstance(creator, RawDataElement) or not creator.value:
            return None
        return private_vr(tag, split("LO", creator.value, self.encodings)[0])

    def _parsed(self, tag: int, element: RawDataElement) -> list[dict[int, Element]]:
        try:
            return list(_items(element.value or b"", element))
        except MalformedSequence:
            raise
        except Exception as error:  # as in the header: damaged bytes make a parser raise anything
            if is_too_deep(error):
                raise LimitExceeded(f"Sequences are nested too deeply in {display(tag)}") from None
            raise MalformedSequence from error

    def _item(self, elements: dict[int, Element]) -> DataSet:
        self.budget.spend(len(elements))
        encodings = encodings_of(elements, self.encodings)
        return DataSet(elements, encodings, self.budget, _is_signed(elements, self.is_signed), self.depth + 1)


def top_level(header: Header) -> DataSet:
    """Return the data set of an instance, without its file meta information."""
    budget = Budget()
    budget.spend(len(header.elements))
    return DataSet(header.elements, header.encodings, budget, _is_signed(header.elements, inherited=False))


def meta_level(header: Header) -> DataSet:
    """Return the file meta information, whose text is in the default repertoire."""
    return DataSet(header.meta, [default_encoding], Budget())


def is_too_large(element: Element, header: Header) -> bool:
    """Say whether the encoded value of a top-level element is larger than 1 MiB."""
    if isinstance(element, RawDataElement) and element.length != UNDEFINED_LENGTH:
        return element.length > MAX_VALUE
    return header.sizes.get(int(element.tag), 0) > MAX_VALUE


def _is_creator(tag: int) -> bool:
    """Say whether a private tag is (gggg,0010-00FF), which names the owner of a block (PS3.5 §7.8.1)."""
    return 0x10 <= tag & 0xFFFF <= 0xFF  # noqa: PLR2004 - the range itself


def _is_signed(elements: dict[int, Element], inherited: bool) -> bool:  # noqa: FBT001 - a claim, handed on
    element = elements.get(_PIXEL_REPRESENTATION)
    if not isinstance(element, RawDataElement) or not element.value:
        return inherited
    return any(element.value[:2])


def _items(value: bytes, sequence: RawDataElement) -> Iterator[dict[int, Element]]:
    """Yield the elements of each item in a sequence's value (PS3.5 §7.5).

    A sequence of explicit VR may have items of implicit VR: those of VR UN do, by PS3.5 §6.2.2, and others as well.
    """
    header = _ITEM_HEADERS[sequence.is_little_endian]
    file = BytesIO(value)
    while file.tell() < len(value):
        group, number, length = header.unpack(file.read(header.size))
        if (group, number) == _SEQUENCE_DELIMITER:
            return
        if (group, number) != _ITEM:
            raise MalformedSequence
        start = file.tell()
        is_implicit = sequence.is_implicit_VR or not is_vr(value[start + 4 : start + 6])
        item = file if length == UNDEFINED_LENGTH else BytesIO(file.read(length))
        yield _elements_of(item, is_implicit, sequence.is_little_endian)
        if item is not file and file.tell() != start + length:
            raise MalformedSequence


def _elements_of(item: BytesIO, is_implicit: bool, is_little_endian: bool) -> dict[int, Element]:  # noqa: FBT001 - as pydicom has them
    elements: dict[int, Element] = {}
    end = item.tell()
    for element in data_element_generator(item, is_implicit, is_little_endian):
        if isinstance(element, RawDataElement) and element.length not in (len(element.value or b""), UNDEFINED_LENGTH):
            raise MalformedSequence
        elements[int(element.tag)] = element
        end = item.tell()
    if 0 < item.tell() - end < _ELEMENT_HEADER:  # neither the item's end nor its delimiter
        raise MalformedSequence
    return elements

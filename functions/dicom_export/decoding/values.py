"""Convert the bytes of an element to the value of a column, or to text if its column cannot hold the value."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NoReturn

from dicom_export.decoding.person_name import is_well_formed, person_name
from dicom_export.decoding.temporal import parse_date, parse_date_time, parse_time
from dicom_export.dicom.dictionary import LUT_DESCRIPTORS
from dicom_export.dicom.text import TEXT_VRS, split, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timezone

    from dicom_export.decoding.reference.parser import DataElement
    from dicom_export.dicom.dictionary import Entry

ColumnValue = object
"""A str, int, float, date, time, datetime or person's name, a list of these, or None."""

NUMBERS = {"AT": "HH", "FD": "d", "FL": "f", "SL": "l", "SS": "h", "SV": "q", "UL": "L", "US": "H", "UV": "Q"}
"""The VRs of binary numbers, and each one's format for struct (PS3.5 §6.2)."""

WORD_SIZES = {"OD": 8, "OF": 4, "OL": 4, "OV": 8}
"""The VRs of strings of words that a row can hold while they are short, and each one's bytes a word (PS3.5 §6.2)."""

SIZES = {vr: Struct(f"<{code}").size for vr, code in NUMBERS.items()}

_STRINGS = frozenset({"AE", "AS", "CS", "DS", "IS", "LO", "LT", "SH", "ST", "UC", "UI", "UR", "UT"})
_SINGLE_NUMBERS = {
    (vr, is_little): Struct(f"{'<' if is_little else '>'}{code}")
    for vr, code in NUMBERS.items()
    if vr != "AT"
    for is_little in (True, False)
}


_VALUES_OF_A_NAME = 10
_VALUES_OF_A_SWITCH = 20

NO_NAME = "a person's name without any text"


class Misfit(Exception):
    """The error for a value that its column cannot hold. The message says why, without the value."""


def column_value(
    entry: Entry, vr: str, value: bytes | None, encodings: Sequence[str], offset: timezone, *, is_little_endian: bool
) -> ColumnValue:
    """Return the value for the entry's column: one, None if the element is empty, or a list if the column is REPEATED.

    Raises Misfit if the column cannot hold it.
    """
    if not value:
        return _empty(entry)
    if vr in _STRINGS:
        return (
            _strings(entry, split(vr, value, encodings)) if entry.is_repeated else text_of(vr, value, encodings) or None
        )
    if vr in NUMBERS:
        return _one_or_all(entry, numbers_of(entry.tag, vr, value, is_little_endian=is_little_endian))
    texts = split(vr, value, encodings)
    if vr == "PN":
        return _names(entry, texts)
    if texts == [""]:
        return _empty(entry)
    return _one_or_all(entry, _moments(vr, texts, offset))


def numbers(vr: str, value: bytes, *, is_little_endian: bool) -> Sequence[int | float]:
    """Return the numbers in a value. Raises Misfit if its length is not a multiple of theirs."""
    single = _SINGLE_NUMBERS.get((vr, is_little_endian))
    if single is not None and len(value) == single.size:
        return single.unpack(value)
    count, rest = divmod(len(value), SIZES[vr])
    if rest:
        raise Misfit(f"{len(value)} bytes are not a whole number of values of VR {vr}")
    order = "<" if is_little_endian else ">"
    if vr == "AT":
        halves = Struct(f"{order}{2 * count}H").unpack(value)
        return [high << 16 | low for high, low in zip(halves[::2], halves[1::2], strict=True)]
    return Struct(f"{order}{count}{NUMBERS[vr]}").unpack(value)


def numbers_of(tag: int, vr: str, value: bytes, *, is_little_endian: bool) -> Sequence[int | float]:
    """Return the numbers in an element's value, as `numbers` does.

    The first and the third of a lookup table's descriptor are unsigned, whatever VR the second one needs (PS3.3 §C.11.1.1).
    """
    found = numbers(vr, value, is_little_endian=is_little_endian)
    if vr != "SS" or tag not in LUT_DESCRIPTORS:
        return found
    return [number & 0xFFFF if position in {0, 2} else number for position, number in enumerate(map(int, found))]


def little_endian(vr: str, element: DataElement) -> bytes:
    """Return a string of words, each in little endian. Raises Misfit if its length is not a multiple of theirs."""
    value = bytes_of(element)
    size = WORD_SIZES[vr]
    if len(value) % size:
        raise Misfit(f"{len(value)} bytes are not a whole number of words of VR {vr}")
    if element.is_little_endian:
        return value
    return b"".join(value[start : start + size][::-1] for start in range(0, len(value), size))


def bytes_of(element: DataElement) -> bytes:
    """Return the bytes of an element that is not a sequence."""
    return element.value if isinstance(element.value, bytes) else b""


def value_count(vr: str, element: DataElement) -> int:
    """Return how many values an element has, for its budget.

    A person's name takes as much memory as ten others, and a switch of the character set as much time as twenty.
    """
    value = bytes_of(element)
    if vr in NUMBERS:
        return len(value) // SIZES[vr]
    texts = (value.count(b"\\") + 1) * (_VALUES_OF_A_NAME if vr == "PN" else 1)
    return texts + _VALUES_OF_A_SWITCH * value.count(b"\x1b")


def is_blank(vr: str, element: DataElement, encodings: Sequence[str]) -> bool:
    """Return whether an element has neither bytes nor items, or only padding."""
    if isinstance(element.value, bytes) and element.value and vr in TEXT_VRS:
        return split(vr, element.value, encodings) == [""]
    return not element.value


def null_of(entry: Entry) -> ColumnValue:
    """Return the content of the entry's column without a value."""
    return [] if entry.is_repeated or entry.vr == "SQ" else None


def data_texts(vr: str, element: DataElement, encodings: Sequence[str]) -> list[str] | None:
    """Return an element's values in the form of `OtherElements`: text as it is, numbers in decimal; None for a binary VR.

    Numbers that are cut show as the hexadecimal digits of their bytes; an element that is empty as one empty text.
    """
    if vr in TEXT_VRS:
        return split(vr, bytes_of(element), encodings)
    if vr not in NUMBERS:
        return None
    return number_texts(vr, bytes_of(element), is_little_endian=element.is_little_endian)


def number_texts(vr: str, value: bytes, *, is_little_endian: bool) -> list[str]:
    """Return numbers as `data_texts` does."""
    if not value:
        return [""]
    try:
        return [str(number) for number in numbers(vr, value, is_little_endian=is_little_endian)]
    except Misfit:
        return [value.hex()]


def _empty(entry: Entry) -> ColumnValue:
    if entry.vr == "PN":
        raise Misfit(NO_NAME)
    return null_of(entry)


def _strings(entry: Entry, texts: list[str]) -> ColumnValue:
    return null_of(entry) if texts == [""] else texts


def _one_or_all(entry: Entry, values: Sequence[object]) -> ColumnValue:
    if entry.is_repeated:
        return list(values)
    return values[0] if len(values) == 1 else _too_many(values)


def _too_many(values: Sequence[object]) -> NoReturn:
    raise Misfit(f"{len(values)} values where the dictionary allows 1")


def _names(entry: Entry, texts: list[str]) -> ColumnValue:
    names = [person_name(text) for text in texts]
    if not any(names):
        raise Misfit(NO_NAME)
    if not all(names):
        raise Misfit("a name without any text among others")
    if not all(is_well_formed(text) for text in texts):
        raise Misfit("more than the three groups of five components that a name has")
    return _one_or_all(entry, names)


def _moments(vr: str, texts: list[str], offset: timezone) -> list[object]:
    parse: Callable[[str], object] = _PARSERS.get(vr) or (lambda text: parse_date_time(text, offset))
    moments = [parse(text) for text in texts]
    if any(moment is None for moment in moments):
        raise Misfit(f"not a value of VR {vr}")
    return moments


_PARSERS: dict[str, Callable[[str], object]] = {"DA": parse_date, "TM": parse_time}

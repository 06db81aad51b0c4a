"""How the value of each kind of element gets into its column, found out once a kind: the common values the short way.

A conversion takes the value's bytes and their context. It raises Misfit where `values.column_value` is the one to know, and
never returns anything but what that returns.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_export.decoding.bulk import MAX_NUMBERS
from dicom_export.decoding.fast.kinds import Unusual
from dicom_export.decoding.fast.known_values import KnownValues
from dicom_export.decoding.person_name import Name, is_well_formed, person_name
from dicom_export.decoding.temporal import parse_date, parse_date_time, parse_time
from dicom_export.decoding.values import NUMBERS, SIZES, Misfit, column_value
from dicom_export.dicom.character_sets import ESCAPE
from dicom_export.dicom.dictionary import LUT_DESCRIPTORS, entry_of, is_private
from dicom_export.dicom.text import split, text_of
from dicom_export.rows.schema import NAME_PARTS, TYPE_OF_VR
from dicom_export.uids import PADDING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_export.decoding.context import Context
    from dicom_export.decoding.fast.kinds import Kind
    from dicom_export.dicom.dictionary import Entry

    Convert = Callable[[bytes, Context], Any]

NONE_KNOWN: Mapping[bytes, Any] = {}


class Column(NamedTuple):
    """A column's name, what became of values that were met before, and the conversion of any other."""

    name: str
    known: Mapping[bytes, Any]
    convert: Convert


_PADDED_AT_BOTH_ENDS = frozenset({"AE", "AS", "DS", "IS"})
_CHOICE = "US or SS"
# A name takes much more memory in a row than in a file: of more than these, the budget of the complete way keeps count.
_MANY_NAMES = 4
_LONG_TEXT = 4096
_MANY_SWITCHES = 1000
_NO_PARTS: list[str | None] = [None] * len(NAME_PARTS)


def check_switches(value: bytes) -> None:
    """Raise Unusual for a text that switches its character set so often that only the complete way, with its budget, may read it."""
    if len(value) > _LONG_TEXT and value.count(ESCAPE) > _MANY_SWITCHES:
        raise Unusual


def column_of(kind: Kind) -> Column | None:
    """Return the column that an element's value has for itself; None if it is not that simple."""
    entry = None if is_private(kind.tag) else entry_of(kind.tag)
    if entry is None or entry.is_repeating_group or entry.vr not in TYPE_OF_VR or kind.vr == "SQ":
        return None
    if kind.vr not in entry.vrs and kind.vr != entry.vr:
        return None
    known = (KNOWN_LISTS if entry.is_repeated else KNOWN_VALUES).get(kind.vr)
    if known is not None:
        return Column(entry.keyword, known, known.convert)
    return Column(entry.keyword, NONE_KNOWN, _conversion(entry, kind.vr))


def _conversion(entry: Entry, vr: str) -> Convert:
    if vr == _CHOICE:
        signed, unsigned = _conversion(entry, "SS"), _conversion(entry, "US")
        return lambda value, context: (signed if context.is_signed else unsigned)(value, context)
    if entry.tag in LUT_DESCRIPTORS:
        return _any(entry, vr)
    common = (_COMMON_LISTS if entry.is_repeated else _COMMON).get(vr)
    return common or _any(entry, vr)


def _any(entry: Entry, vr: str) -> Convert:
    longest = MAX_NUMBERS * SIZES[vr] if vr in NUMBERS else None

    def convert(value: bytes, context: Context) -> Any:
        if longest is not None and len(value) > longest:  # bulk data, at the top level
            raise Misfit
        return column_value(entry, vr, value, context.encodings, context.offset, is_little_endian=True)

    return convert


def _code(value: bytes, _context: Context) -> Any:
    return value.decode("latin-1").strip(" \0") or None


def _codes(value: bytes, _context: Context) -> Any:
    text = value.decode("latin-1").strip(" \0")
    return [part.strip(" \0") for part in text.split("\\")] if text else []


def _uid(value: bytes, _context: Context) -> Any:
    return value.decode("latin-1").strip(PADDING) or None


def _uids(value: bytes, _context: Context) -> Any:
    texts = split("UI", value)
    return [] if texts == [""] else texts


def _padded_code(value: bytes, _context: Context) -> Any:
    return value.decode("latin-1").rstrip(" \0") or None


def _padded_codes(value: bytes, _context: Context) -> Any:
    text = value.decode("latin-1").rstrip(" \0")
    return text.split("\\") if text else []


def _text(vr: str) -> Convert:
    def convert(value: bytes, context: Context) -> Any:
        if not value.isascii() or ESCAPE in value:
            check_switches(value)
            return text_of(vr, value, context.encodings) or None
        return value.decode("ascii").rstrip(" \0") or None

    return convert


def _texts(vr: str) -> Convert:
    def convert(value: bytes, context: Context) -> Any:
        check_switches(value)
        texts = split(vr, value, context.encodings)
        return [] if texts == [""] else texts

    return convert


def _name(value: bytes, context: Context) -> Any:
    names = _names(value, context)
    if len(names) > 1:
        raise Misfit
    return names[0]


def _names(value: bytes, context: Context) -> Any:
    if value.isascii() and ESCAPE not in value:
        texts = value.decode("ascii").rstrip(" \0").split("\\")
    else:
        check_switches(value)
        texts = split("PN", value, context.encodings)
    if len(texts) > _MANY_NAMES:
        raise Unusual
    names = [_one_group(text) if "=" not in text else _groups(text) for text in texts]
    if not all(names):
        raise Misfit
    return names


def _one_group(text: str) -> Name | None:
    """Return the name as `person_name` does; None as well for one that is not well-formed."""
    parts: list[str | None] = [part if part.strip(" \0") else None for part in text.split("^")]
    if len(parts) > len(NAME_PARTS) or not any(parts):
        return None
    family, given, middle, prefix, suffix = (parts + _NO_PARTS)[: len(NAME_PARTS)]
    alphabetic = {
        "FamilyName": family,
        "GivenName": given,
        "MiddleName": middle,
        "NamePrefix": prefix,
        "NameSuffix": suffix,
    }
    return {"Alphabetic": alphabetic, "Ideographic": None, "Phonetic": None}


def _groups(text: str) -> Name | None:
    return person_name(text) if is_well_formed(text) else None


def _number(vr: str) -> Convert:
    struct = Struct(f"<{NUMBERS[vr]}")
    unpack, size = struct.unpack, struct.size

    def convert(value: bytes, _context: Context) -> Any:
        if len(value) == size:
            return unpack(value)[0]
        if value:
            raise Misfit
        return None

    return convert


def _moment(parse: Callable[[str], object]) -> Convert:
    def convert(value: bytes, _context: Context) -> Any:
        text = value.decode("latin-1").strip(" \0")
        moment = parse(text) if text else None
        if text and moment is None:
            raise Misfit
        return moment

    return convert


def _date_time(value: bytes, context: Context) -> Any:
    text = value.decode("latin-1").strip(" \0")
    moment = parse_date_time(text, context.offset) if text else None
    if text and moment is None:
        raise Misfit
    return moment


_COMMON: dict[str, Convert] = {
    **dict.fromkeys(_PADDED_AT_BOTH_ENDS, _code),
    **{vr: _text(vr) for vr in ("LO", "LT", "SH", "ST", "UC", "UT")},
    "UI": _uid,
    **{vr: _number(vr) for vr in NUMBERS if vr != "AT"},
    "CS": _padded_code,
    "PN": _name,
    "DA": _moment(parse_date),
    "TM": _moment(parse_time),
    "DT": _date_time,
}
_COMMON_LISTS: dict[str, Convert] = {
    **dict.fromkeys(_PADDED_AT_BOTH_ENDS, _codes),
    **{vr: _texts(vr) for vr in ("LO", "SH", "UC")},
    "UI": _uids,
    "CS": _padded_codes,
    "PN": _names,
}

# UIDs are rarely met again, numbers take no longer than a look, and a DT depends on the instance's time zone.
_REMEMBERED = _PADDED_AT_BOTH_ENDS | {"CS", "DA", "LO", "PN", "SH", "TM"}
KNOWN_VALUES = {vr: KnownValues(convert) for vr, convert in _COMMON.items() if vr in _REMEMBERED}
KNOWN_LISTS = {vr: KnownValues(convert) for vr, convert in _COMMON_LISTS.items() if vr in _REMEMBERED}

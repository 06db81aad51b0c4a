"""The data dictionary: keyword, VR and number of values of a tag (PS3.6), from pydicom's copy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.datadict import mask_match, private_dictionary_VR

import dicom_export.dicom  # noqa: F401 - silences pydicom, also where only the dictionary is imported

# The VRs that an explicit file may state where the dictionary gives a choice (PS3.6 §6).
_CHOICES = {
    "OB or OW": frozenset({"OB", "OW"}),
    "US or SS": frozenset({"US", "SS"}),
    "US or OW": frozenset({"US", "OW"}),
    "US or SS or OW": frozenset({"US", "SS", "OW"}),
}

_Line = tuple[str, str, str, str, str]

LUT_DESCRIPTORS = frozenset(
    tag
    for tag, (vr, vm, _, _, keyword) in DicomDictionary.items()
    if vr == "US or SS" and vm == "3" and keyword.endswith("Descriptor")
)
"""The tags of LUT Descriptor and of its siblings for palettes (PS3.3 §C.11.1.1, §C.7.6.3.1.5)."""

# Curves and overlays: (5000,eeee) to (50FE,eeee) and (6000,eeee) to (60FE,eeee), PS3.5 §7.6.
_REPEATING = {0x50: "50xx", 0x60: "60xx"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the dictionary.

    `tag` is that of the base group for a repeating group (0x6000eeee). `vr` is the VR of the
    dictionary, which can be a choice (`US or SS`); `vrs` are the VRs that this allows in a file.
    `is_repeated` says that the VM is not exactly 1.
    """

    tag: int
    keyword: str
    vr: str
    vrs: frozenset[str]
    is_repeated: bool
    is_repeating_group: bool


@dataclass(frozen=True, slots=True)
class Definition:
    """The dictionary's text about an element.

    `tag` is printed as `(0018,0050)` or `(60xx,0010)`.
    """

    name: str
    tag: str
    vr: str
    vm: str
    is_retired: bool


# Private tags have at most two: (0055,1060), (2021,1001).
_MOST_LETTERS = 2

# The dictionary has 5,000 tags. Files can have any others, which must not fill the memory.
_remembered = lru_cache(maxsize=1 << 15)


@_remembered
def entry_of(tag: int) -> Entry | None:
    """Return the entry of a standard tag that can have a column, or None.

    Tags that repeat in another way than curves and overlays, such as `7Fxx` or `0020,31xx`, have no
    column.
    """
    line = _line_of(tag)
    if line is None:
        return None
    if tag in DicomDictionary:
        return _entry(tag, line, is_repeating_group=False)
    return _entry(tag & 0xFF00FFFF, line, is_repeating_group=True) if tag >> 24 in _REPEATING else None


def keyword_of(tag: int) -> str | None:
    """Return the keyword of a standard tag, with or without a column, or None."""
    line = _line_of(tag)
    return line[4] or None if line else None


def standard_vr(tag: int) -> str | None:
    """Return the dictionary's VR of a standard tag, which can be a choice (`US or SS`), or None."""
    line = _line_of(tag)
    return line[0] if line else None


@_remembered
def entry_named(keyword: str) -> Entry | None:
    """Return the entry with the keyword, or None."""
    tag = _tags().get(keyword)
    return None if tag is None else entry_of(tag)


def definition_of(entry: Entry) -> Definition:
    """Return the dictionary's text about the entry's element."""
    line = _line_of(entry.tag)
    if line is None:
        raise LookupError(f"{entry.keyword} is not in the dictionary")
    vr, vm, name, retired, _ = line
    digits = f"{entry.tag:08X}"
    group = f"{digits[:2]}xx" if entry.is_repeating_group else digits[:4]
    return Definition(name, f"({group},{digits[4:]})", vr, vm, bool(retired))


@_remembered
def private_vr(tag: int, creator: str) -> str | None:
    """Return the VR of a private element from the private dictionary, or None."""
    try:
        return private_dictionary_VR(tag, creator)
    except KeyError:
        return None


def is_private(tag: int) -> bool:
    """Say whether the group is odd (PS3.5 §7.8)."""
    return bool(tag & 0x10000)


def is_group_length(tag: int) -> bool:
    """Say whether the element is (gggg,0000) (PS3.5 §7.2)."""
    return not tag & 0xFFFF


def tag_name(tag: int) -> str:
    """Return the name that an element without a keyword has in a table: `Tag_00091002`."""
    return f"Tag_{tag:08X}"


def named_tag(name: str) -> int | None:
    """Return the tag of a column name, which is a keyword or `Tag_GGGGEEEE`; else None."""
    entry = entry_named(name)
    if entry is not None:
        return entry.tag
    digits = name.removeprefix("Tag_")
    if digits == name or len(digits) != len("GGGGEEEE"):
        return None
    try:
        return int(digits, 16)
    except ValueError:
        return None


def display(tag: int) -> str:
    """Return the tag as messages show it: `(0010,0010)`, with its keyword if there is one."""
    keyword = keyword_of(tag)
    digits = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return f"{keyword} {digits}" if keyword else digits


def display_in_error(tag: int) -> str:
    """Return the tag as errors show it.

    After an element with a wrong length, text of a value can be read as a tag. A tag that looks
    like text is therefore not shown.
    """
    return "an unknown element" if may_be_text(tag) else display(tag)


def may_be_text(tag: int) -> bool:
    """Say whether the tag may be text of a value.

    That is so if no standard has it, and most of its bytes are letters.
    """
    letters = sum(0x20 <= byte < 0x7F or byte >= 0xA0 for byte in tag.to_bytes(4))  # noqa: PLR2004 - of ASCII and Latin-1
    return standard_vr(tag) is None and letters > _MOST_LETTERS


@_remembered
def _line_of(tag: int) -> _Line | None:
    line = DicomDictionary.get(tag)
    if line is None and not is_private(tag):
        line = RepeatersDictionary.get(mask_match(tag) or "")
    return line if line and line[0] != "NONE" else None  # items and their delimiters are not elements


def _entry(tag: int, line: _Line, *, is_repeating_group: bool) -> Entry | None:
    vr, vm, _, _, keyword = line
    if not keyword:
        return None
    return Entry(tag, keyword, vr, _CHOICES.get(vr, frozenset({vr})), vm != "1", is_repeating_group)


@cache
def _tags() -> dict[str, int]:
    tags = {line[4]: tag for tag, line in DicomDictionary.items()}
    groups = {prefix: group for group, prefix in _REPEATING.items()}
    for mask, line in RepeatersDictionary.items():
        if mask[:4] in groups:
            tags[line[4]] = groups[mask[:4]] << 24 | int(mask[4:], 16)
    tags.pop("", None)
    return tags

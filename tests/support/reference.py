"""What the rows of an instance have to be by pydicom's own values, written apart from the package.

It walks a data set that `pydicom.dcmread` gave, converted by pydicom, and looks everything up in pydicom's dictionary.
"""

from __future__ import annotations

import re
import warnings
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.datadict import (
    dictionary_has_tag,
    dictionary_keyword,
    dictionary_VM,
    dictionary_VR,
    repeater_has_tag,
)
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import DA, DT, TM, PersonName

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

MEGABYTE = 1 << 20
WORDS = {"OD", "OF", "OL", "OV"}
BINARY = WORDS | {"OB", "OW", "UN", "OB or OW", "US or OW", "US or SS or OW", "OB_OW"}
COUNTED = {"AT": 4, "FD": 8, "FL": 4, "UL": 4, "US": 2, "SV": 8, "UV": 8}
NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
NOTHING = object()


def read(path: Path) -> Dataset:
    """Return the file as pydicom reads it, without what stands behind encapsulated pixels: those are not walked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = pydicom.dcmread(path, force=True)
        if not data_set:  # cut inside encapsulated pixels: pydicom then gives up what it has read before them
            data_set = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            data_set[0x7FE00010] = RawDataElement(BaseTag(0x7FE00010), "OB", 0xFFFFFFFF, None, 0, False, True)  # noqa: FBT003
        pixels = data_set.get_item(0x7FE00010, keep_deferred=True)
        if pixels is not None and getattr(pixels, "length", 0) == 0xFFFFFFFF:
            for tag in [tag for tag in data_set.keys() if tag > 0x7FE00010]:  # noqa: SIM118 - Dataset iterates elements
                del data_set[tag]
        return data_set


def flattened_row(data_set: Dataset) -> dict[str, Any]:
    """Return the element columns, OtherElements and DroppedTags."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dropped: list[dict[str, str]] = []
        offset = _zone(str(data_set.get("TimezoneOffsetFromUTC", "") or ""))
        row = _record(data_set.file_meta, 0, offset, dropped) | {}
        others = row.pop("OtherElements", [])
        row |= _record(data_set, 0, offset, dropped)
        row["OtherElements"] = others + row.get("OtherElements", [])
        row["DroppedTags"] = dropped
        return row


def _record(data_set: Dataset, depth: int, offset: timezone, dropped: list[dict[str, str]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    others: list[dict[str, Any]] = []
    for tag in sorted(data_set.keys()):
        if tag.element == 0 or tag == 0x00020001:
            continue
        element, raw = _element(data_set, tag)
        vr = _vr(element, raw, tag)
        name = _name(tag)
        if _is_bulk(vr, raw, tag) and not depth:
            dropped.append({"TagName": name, "TagReference": ""})
        elif _has_no_place(vr, raw, tag, depth):
            continue
        elif vr == "SQ":
            assert element is not None
            record[name] = [_record(item, depth + 1, offset, dropped) for item in element.value]
        elif tag.is_private or not _is_in_dictionary(tag):
            others.append({"Tag": f"Tag_{tag:08X}", "Data": _texts(element, raw, vr)})
        else:
            value = _fitting(element, tag, vr, raw, offset)
            if value is NOTHING:
                others.append({"Tag": f"Tag_{tag:08X}", "Data": _texts(element, raw, vr)})
            _put(record, tag, name, value)
    if others:
        record["OtherElements"] = others
    return record


def _element(data_set: Dataset, tag: BaseTag) -> tuple[DataElement | None, Any]:
    raw = data_set.get_item(tag, keep_deferred=True)
    try:
        return data_set[tag], raw
    except Exception:  # noqa: BLE001 - whatever pydicom raises for a value that it cannot convert
        return None, raw


def _vr(element: DataElement | None, raw: Any, tag: BaseTag) -> str:
    """Return pydicom's VR; but a private element that the file says is UN is that, whatever pydicom knows of it."""
    if tag.is_private and not tag.is_private_creator and isinstance(raw, RawDataElement) and raw.VR == "UN":
        return "UN"
    return element.VR if element is not None else raw.VR or dictionary_VR(tag)


def _has_no_place(vr: str, raw: Any, tag: BaseTag, depth: int) -> bool:
    if vr == "SQ":
        return depth >= 15
    is_bulk = vr in BINARY or _is_bulk(vr, raw, tag)
    return is_bulk or (_is_in_dictionary(tag) and dictionary_VR(tag) in BINARY)


def _put(record: dict[str, Any], tag: BaseTag, name: str, value: Any) -> None:
    if dictionary_VR(tag) in {"SV", "UV"}:
        return
    if value is NOTHING:
        value = _null(tag)
    if tag.group >> 8 in (0x50, 0x60):
        record.setdefault(name, []).append({"Id": f"{tag.group:04X}", "Value": value})
    else:
        record[name] = value


def _null(tag: BaseTag) -> Any:
    return [] if dictionary_VM(tag) != "1" or dictionary_VR(tag) == "SQ" else None


def _is_in_dictionary(tag: BaseTag) -> bool:
    if tag.group >> 8 not in (0x50, 0x60) and repeater_has_tag(tag) and not dictionary_has_tag(tag):
        return False
    return _has_keyword(tag)


def _has_keyword(tag: BaseTag) -> bool:
    return (dictionary_has_tag(tag) or repeater_has_tag(tag)) and bool(dictionary_keyword(tag))


def _name(tag: BaseTag) -> str:
    return dictionary_keyword(tag) if not tag.is_private and _has_keyword(tag) else f"Tag_{tag:08X}"


def _is_bulk(vr: str, raw: Any, tag: BaseTag) -> bool:
    if not isinstance(raw, RawDataElement):
        return False
    if tag in (0x7FE00008, 0x7FE00009, 0x7FE00010) or (raw.length != 0xFFFFFFFF and raw.length > MEGABYTE):
        return True
    if vr in WORDS:
        return raw.length > 2048
    return vr in BINARY or (raw.length != 0xFFFFFFFF and raw.length > 512 * COUNTED.get(vr, 1 << 30))


def _values(element: DataElement) -> list[Any]:
    value = element.value
    if isinstance(value, MultiValue | list):
        return list(value)
    return [] if value is None or value == "" else [value]


def _text(value: Any) -> str:
    return str(getattr(value, "original_string", value) if not isinstance(value, PersonName) else value)


def _texts(element: DataElement | None, raw: Any, vr: str) -> list[str]:
    if element is None:
        return [raw.value.hex()]
    values = _values(element)
    if vr == "AT":
        return [str(int(value)) for value in values] or [""]
    return [_text(value) for value in values] or [""]


def _fitting(element: DataElement | None, tag: BaseTag, vr: str, raw: Any, offset: timezone) -> Any:
    """Return what the column holds, or NOTHING if it cannot hold the value."""
    known, is_repeated = dictionary_VR(tag), dictionary_VM(tag) != "1"
    stated = raw.VR if isinstance(raw, RawDataElement) and raw.VR not in (None, "UN") else vr
    if element is not None and known != "PN" and not _values(element):
        return _null(tag)
    if element is None or known in {"SQ", "SV", "UV"} or stated not in known.split(" or "):
        return NOTHING
    values = _values(element)
    if known == "PN":
        names = [_person(value) for value in values]
        return NOTHING if not names or None in names else _one_or_all(names, is_repeated)
    if known in {"DA", "TM", "DT"}:
        try:
            values = [_moment(known, value, offset) for value in values]
        except ValueError:
            return NOTHING
        if None in values:
            return NOTHING
    elif vr in COUNTED or vr in {"SS", "SL"}:
        values = [int(value) if isinstance(value, int) else value for value in values]
    else:
        values = [_text(value) for value in values]
    return _one_or_all(values, is_repeated)


def _one_or_all(values: list[Any], is_repeated: bool) -> Any:  # noqa: FBT001 - as the dictionary says it
    if is_repeated:
        return values
    return values[0] if len(values) == 1 else NOTHING


def _moment(vr: str, text: str, offset: timezone) -> date | time | datetime | None:
    """Return what pydicom makes of the text. Raises ValueError if it is none of the VR."""
    if vr == "DA":
        day: Any = DA(text)
        return None if day is None else date(day.year, day.month, day.day)
    if vr == "TM":
        if re.fullmatch(r"..:..(:..)?(\..*)?", text):
            text = text.replace(":", "")
        hour: Any = TM(text)
        is_leap = text[4:6] == "60"
        return None if hour is None or is_leap else time(hour.hour, hour.minute, hour.second, hour.microsecond)
    moment: Any = DT(text)
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=offset)).astimezone(UTC)  # type: ignore[no-any-return]


def _zone(text: str) -> timezone:
    match = re.fullmatch(r"([+-])(\d\d)(\d\d)", text.strip())
    if not match:
        return UTC
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(-offset if match[1] == "-" else offset)


def _person(name: PersonName) -> dict[str, Any] | None:
    groups = [name.alphabetic, name.ideographic, name.phonetic]
    if not any(group.replace("^", "").strip() for group in groups):
        return None
    return {kind: _parts(group) for kind, group in zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=True)}


def _parts(group: str) -> dict[str, str | None] | None:
    parts = [part if part.strip() else None for part in (group.split("^") + [""] * 5)[:5]]
    return dict(zip(NAME_PARTS, parts, strict=True)) if any(parts) else None


def assert_same(found: Dataset, expected: Dataset, depth: int = 0) -> list[str]:
    """Assert that every element but bulk data is in both with the same value; return the names of the top level's bulk."""
    dropped = []
    wanted = set()
    for tag in sorted(expected.keys()):
        element, raw = _element(expected, tag)
        vr = _vr(element, raw, tag)
        if tag.element == 0:
            continue
        if _is_bulk(vr, raw, tag) and not depth:
            dropped.append(_name(tag))
        elif vr not in BINARY - WORDS and not _is_bulk(vr, raw, tag):
            wanted.add(tag)
            _assert_same_element(found[tag], element, raw, depth)
    assert set(found.keys()) == wanted
    return dropped


def _assert_same_element(found: DataElement, expected: DataElement | None, raw: Any, depth: int) -> None:
    if found.VR == "LO" and raw.VR in {"DS", "IS"}:  # no number: pydicom could not build its value from JSON
        assert "\\".join(_values(found)) == raw.value.decode("latin-1").strip()
        return
    if expected is None:  # bytes that pydicom cannot take for numbers
        assert found.VR == "OB"
        assert found.value == raw.value
        return
    assert found.VR == expected.VR, found.tag
    if expected.VR == "SQ":
        assert len(found.value) == len(expected.value), found.tag
        for one, other in zip(found.value, expected.value, strict=True):
            assert_same(one, other, depth + 1)
    else:
        assert [_plain(v, found.VR) for v in _values(found)] == [_plain(v, found.VR) for v in _values(expected)], (
            found.tag
        )


def _plain(value: Any, vr: str) -> Any:
    if vr in {"DS", "IS"}:
        return None if value in (None, "") else float(value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    return str(value) if isinstance(value, str | PersonName) else value or (0 if value == 0 else "")

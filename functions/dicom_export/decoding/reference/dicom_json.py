"""Make the row of the JSON schema: the instance in the DICOM JSON Model (PS3.18 Annex F), without bulk data."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from decimal import Decimal
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from dicom_export.decoding.budget import TooLarge
from dicom_export.decoding.bulk import is_binary, is_bulk, is_left_out
from dicom_export.decoding.notes import Fate, Notes, name_of
from dicom_export.decoding.reference.data_set import DataSet, MalformedSequence, top_level
from dicom_export.decoding.values import NUMBERS, Misfit, bytes_of, little_endian, numbers_of, value_count
from dicom_export.dicom.dictionary import is_group_length
from dicom_export.dicom.tags import UIDS
from dicom_export.dicom.text import TEXT_VRS, split
from dicom_export.rows.layout import MAX_ROW_BYTES
from dicom_export.rows.schema import NAME_GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dicom_export.decoding.reference.header import Header
    from dicom_export.decoding.reference.parser import DataElement
    from dicom_export.uids import InstanceUids

JsonElement = dict[str, Any]

# https://www.rfc-editor.org/rfc/rfc8259#section-6
_JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_LONGEST_NUMBER = 32
_TOO_LARGE = "larger than a row takes"
_METADATA_BYTES = MAX_ROW_BYTES - 32_000  # for the columns besides the model, the UIDs and `DroppedTags`
_BYTES_OF_A_NAME = 80  # the longest keyword has 63
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def dicom_json(header: Header, notes: Notes) -> dict[str, Any]:
    """Return the columns that an instance's elements make: the UIDs, `Metadata` (JSON text), `DroppedTags`.

    The file meta information is not in the model, nor are group lengths. Raises LimitExceeded if there are too many
    elements, or sequences too deep.
    """
    writer = Writer(notes)
    members = writer.members(top_level(header))
    left_out = excess(members, header.uids, writer.dropped)
    for tag in left_out:
        notes.add(tag, Fate.DROPPED_TAGS, _TOO_LARGE)
    return columns(header.uids, *without(left_out, members, writer.dropped))


def excess(members: Mapping[int, str], uids: InstanceUids, dropped: Sequence[str]) -> list[int]:
    """Return the tags of the members of the model that make a row too large, so few and so large as possible."""
    left = room_of(uids, dropped) - sum(map(utf8_size, members.values())) - len(members)
    found: list[int] = []
    for tag, member in sorted(members.items(), key=lambda each: utf8_size(each[1]), reverse=True):
        if left >= 0 or tag in UIDS:
            break
        left += utf8_size(member) + 1 - _BYTES_OF_A_NAME
        found.append(tag)
    return sorted(found)


def without(left_out: Sequence[int], members: Mapping[int, str], dropped: Sequence[str]) -> tuple[str, list[str]]:
    """Return the model's text without these members, and the names of all that is left out of it."""
    kept = [member for tag, member in members.items() if tag not in left_out]
    return f"{{{','.join(kept)}}}", [*dropped, *map(name_of, left_out)]


def room_of(uids: InstanceUids, dropped: Sequence[str]) -> int:
    """Return how many bytes the model's text may have in a row with these UIDs and names of what is left out."""
    return _METADATA_BYTES - sum(map(utf8_size, filter(None, uids))) - _BYTES_OF_A_NAME * len(dropped)


def utf8_size(text: str) -> int:
    """Return the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def columns(uids: InstanceUids, metadata: str, dropped: list[str]) -> dict[str, Any]:
    """Return the columns of an instance with the model's text, and with the names of the elements that it lacks."""
    return {
        "StudyInstanceUID": uids.study,
        "SeriesInstanceUID": uids.series,
        "SOPInstanceUID": uids.instance,
        "Metadata": metadata,
        "StructuredStorageSize": utf8_size(metadata),
        "DroppedTags": dropped,
    }


def dumped(value: Any) -> str:
    """Return the JSON text of a part of the model."""
    return _ENCODER.encode(value)


class Writer:
    """Writes the data sets of one instance."""

    def __init__(self, notes: Notes) -> None:
        self.dropped: list[str] = []
        self._notes = notes

    def members(self, data_set: DataSet) -> dict[int, str]:
        """Return the members of the model of an instance, as text by tag; what is left out of it is added to `dropped`."""
        members: dict[int, str] = {}
        for tag in sorted(data_set.elements):
            text = None if is_group_length(tag) else self._member_text(data_set, tag)
            if text is not None:
                members[tag] = text
        return members

    def _member_text(self, data_set: DataSet, tag: int) -> str | None:
        """Return the element's member of the model as text, None if it is left out or no row takes it."""
        try:
            with data_set.budget.items_of(data_set.elements[tag].length):
                element = self._element(data_set, tag)
                return None if element is None else _fitting(f'"{tag:08X}":{dumped(element)}')
        except TooLarge:
            self.dropped.append(name_of(tag))
            self._notes.add(tag, Fate.DROPPED_TAGS, _TOO_LARGE)
            return None

    def write(self, data_set: DataSet) -> dict[str, JsonElement]:
        """Return the model of a data set; what is left out of it at the top is added to `dropped`."""
        members: dict[str, JsonElement] = {}
        for tag in sorted(data_set.elements):
            element = None if is_group_length(tag) else self._element(data_set, tag)
            if element is not None:
                members[f"{tag:08X}"] = element
        return members

    def _element(self, data_set: DataSet, tag: int) -> JsonElement | None:
        """Return the element's member of the model, or None if it is left out."""
        element = data_set.elements[tag]
        vr = data_set.vr_of(tag)
        if element.value is None or (not data_set.depth and vr != "SQ" and is_left_out(element, vr)):
            return self._drop(data_set, tag, _TOO_LARGE)
        if is_binary(vr) and is_bulk(element, vr):
            return self._drop(data_set, tag, f"bulk data of VR {vr}")
        try:
            return self._member(data_set, tag, vr)
        except MalformedSequence:
            return self._drop(data_set, tag, "its value is not a sequence of items")
        except Misfit as misfit:
            self._notes.add(tag, Fate.OTHER_VR, str(misfit))
            return _as_other_vr(vr, element, data_set.encodings)

    def _member(self, data_set: DataSet, tag: int, vr: str) -> JsonElement:
        """Return the element's member of the model. Raises MalformedSequence, and Misfit for what a reader would refuse."""
        if vr == "SQ":
            return _with_values(vr, self._items(data_set, tag))
        element = data_set.elements[tag]
        if is_binary(vr):
            return _with_bytes(vr, little_endian(vr, element))
        data_set.budget.spend_values(value_count(vr, element))
        encodings, is_little_endian = data_set.encodings, element.is_little_endian
        values = values_of(tag, vr, bytes_of(element), encodings, is_little_endian=is_little_endian)
        return _with_values(vr, values)

    def _items(self, data_set: DataSet, tag: int) -> list[dict[str, JsonElement]]:
        written = []
        for number, item in enumerate(data_set.items_of(tag), 1):
            self._notes.enter(tag, number)
            written.append(self.write(item))
            self._notes.leave()
        return written

    def _drop(self, data_set: DataSet, tag: int, reason: str) -> JsonElement | None:
        element = data_set.elements[tag]
        is_top = not data_set.depth and (element.value is None or is_bulk(element, data_set.vr_of(tag)))
        if is_top:
            self.dropped.append(name_of(tag))
        self._notes.add(tag, Fate.DROPPED_TAGS if is_top else Fate.NOT_EXTRACTED, reason)
        return None


def _fitting(member: str) -> str:
    """Return the member of the model. Raises TooLarge if no row takes it."""
    if len(member) > MAX_ROW_BYTES:
        raise TooLarge
    return member


def values_of(tag: int, vr: str, value: bytes, encodings: Sequence[str], *, is_little_endian: bool) -> list[Any]:
    """Return the values in the form of the model (PS3.18 §F.2.3); an empty list if the element is empty.

    Raises Misfit for what a reader of the model would refuse.
    """
    if not value:
        return []
    if vr in NUMBERS:
        return [_number(vr, number) for number in numbers_of(tag, vr, value, is_little_endian=is_little_endian)]
    texts = split(vr, value, encodings)
    if texts == [""]:
        return []
    if vr == "PN":
        return [_person_name(text) for text in texts]
    if vr in {"DS", "IS"}:
        return [_number_text(vr, text) for text in texts]
    return [text or None for text in texts]


def _with_values(vr: str, values: list[Any]) -> JsonElement:
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _with_bytes(vr: str, value: bytes) -> JsonElement:
    return {"vr": vr, "InlineBinary": b64encode(value).decode()} if value else {"vr": vr}


def _as_other_vr(vr: str, element: DataElement, encodings: Sequence[str]) -> JsonElement:
    """Return a value that a reader of the model would refuse: text as LO, bytes of numbers and of words as OB.

    Not as UN: pydicom puts the dictionary's VR in the place of that, and then refuses the value.
    """
    value = bytes_of(element)
    if vr in TEXT_VRS:
        return _with_values("LO", [text or None for text in split(vr, value, encodings)])
    return _with_bytes("OB", value)


def _number(vr: str, number: float) -> float | str:
    if vr == "AT":
        return f"{number:08X}"
    if vr in {"FD", "FL"} and not isfinite(number):
        return "NaN" if isnan(number) else "Infinity" if number > 0 else "-Infinity"
    return number


def _number_text(vr: str, text: str) -> float | str | None:
    """Return a DS or IS as a number if JSON can write it and reads back the same, else its text (PS3.18 §F.2.3.1)."""
    if not text:
        return None
    match = _JSON_NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if not match or (vr == "IS" and not _INTEGER.fullmatch(text)):
        return text
    if not match[2] and not match[3]:
        return _if_same(text, int(text))
    return _if_same(text, float(text))


def _if_same(text: str, number: float) -> float | str:
    """Return the number unless 64 bits, as BigQuery's JSON has for one, are not enough for it."""
    if isinstance(number, int):
        return number if -(2**63) <= number < 2**63 else text
    return number if isfinite(number) and Decimal(repr(number)) == Decimal(text) else text


def _person_name(text: str) -> dict[str, str] | None:
    groups = text.split("=")
    if any(group.strip(" \0") for group in groups[len(NAME_GROUPS) :]):
        raise Misfit(f"more than the {len(NAME_GROUPS)} groups that a name has")
    return {name: group for name, group in zip(NAME_GROUPS, groups, strict=False) if group.strip(" \0")} or None

"""Make the flattened row: one column per element, sequences as repeated records."""

from __future__ import annotations

from datetime import UTC, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dicom_export.decoding.bulk import is_binary, is_bulk, is_left_out
from dicom_export.decoding.notes import Fate, Notes, name_of
from dicom_export.decoding.reference.data_set import DataSet, MalformedSequence, meta_level, top_level
from dicom_export.decoding.temporal import parse_offset
from dicom_export.decoding.values import (
    NO_NAME,
    Misfit,
    bytes_of,
    column_value,
    data_texts,
    is_blank,
    null_of,
    value_count,
)
from dicom_export.dicom.dictionary import Entry, entry_of, is_group_length, is_private, keyword_of, tag_name
from dicom_export.dicom.tags import TIMEZONE_OFFSET_FROM_UTC, UIDS
from dicom_export.dicom.text import split
from dicom_export.rows.schema import TYPE_OF_VR

if TYPE_CHECKING:
    from dicom_export.decoding.reference.header import Header
    from dicom_export.uids import InstanceUids

MAX_RECORDS = 15
"""The deepest nesting of records in BigQuery: https://cloud.google.com/bigquery/docs/nested-repeated#limitations"""

_TOO_DEEP = f"nested more than {MAX_RECORDS} levels"
_RECORDS = {"PN": 2, "SQ": 1}

FILE_META_VERSION = 0x00020001
_LONGEST_OFFSET = 64


def flatten(header: Header, notes: Notes) -> dict[str, Any]:
    """Return the element columns of an instance's row, `OtherElements` and `DroppedTags` among them.

    Raises LimitExceeded if there are too many elements, or sequences too deep.
    """
    flattener = Flattener(notes, _offset_of(header))
    row: dict[str, Any] = {}
    flattener.fill(row, meta_level(header))
    flattener.fill(row, top_level(header), header.uids)
    row["OtherElements"] = row.pop("OtherElements", [])
    row["DroppedTags"] = [{"TagName": name, "TagReference": ""} for name in flattener.dropped]
    return row


class Flattener:
    """Fills records from the data sets of one instance."""

    def __init__(self, notes: Notes, offset: timezone) -> None:
        self.dropped: list[str] = []
        self._notes = notes
        self._offset = offset

    def fill(self, record: dict[str, Any], data_set: DataSet, uids: InstanceUids | None = None) -> None:
        """Add the columns of the data set's elements, including `OtherElements`. Append what is left out to `dropped`.

        For the top-level data set, `uids` are the instance's UIDs. They get their columns whatever their VR.
        """
        elements = data_set.elements
        known = dict(zip(UIDS, uids, strict=True)) if uids else {}
        for tag in sorted(elements):
            if is_group_length(tag) or tag == FILE_META_VERSION:
                continue
            element = elements[tag]
            vr = data_set.vr_of(tag)
            entry = None if is_private(tag) else entry_of(tag)
            if entry and tag in known:
                record[entry.keyword] = known[tag]
            elif element.value is None or (not data_set.depth and is_left_out(element, vr)):
                self._drop(data_set, tag, "larger than a row takes")
            elif entry is None:
                self._put_unknown(record, data_set, tag, vr)
            elif entry.vr == "SQ" and vr == "SQ":
                self._put_sequence(record, data_set, entry, tag)
            else:
                self._put_standard(record, data_set, entry, tag, vr)

    def _put_unknown(self, record: dict[str, Any], data_set: DataSet, tag: int, vr: str) -> None:
        """Put a private element, or one that the dictionary does not know: a sequence of the former has a column."""
        if vr != "SQ":
            self._put_other(record, data_set, tag, vr, _why_without_column(tag))
        elif not is_private(tag):
            self._drop(data_set, tag, f"a sequence, and {_why_without_column(tag)}")
        else:
            items = self._items(data_set, tag)
            if items is not None:
                record[tag_name(tag)] = items

    def _put_sequence(self, record: dict[str, Any], data_set: DataSet, entry: Entry, tag: int) -> None:
        items = self._items(data_set, tag, 2 if entry.is_repeating_group else 1)
        if items is not None:
            _put(record, entry, tag, items)

    def _items(self, data_set: DataSet, tag: int, records: int = 1) -> list[dict[str, Any]] | None:
        """Return the records of a sequence's items, or None if it has no place in the row."""
        if data_set.depth + records > MAX_RECORDS:
            self._notes.add(tag, Fate.NOT_EXTRACTED, _TOO_DEEP)
            return None
        try:
            items = data_set.items_of(tag)
        except MalformedSequence:
            self._drop(data_set, tag, "its value is not a sequence of items")
            return None
        return [self._item(item, tag, number) for number, item in enumerate(items, 1)]

    def _item(self, item: DataSet, tag: int, number: int) -> dict[str, Any]:
        record: dict[str, Any] = {}
        self._notes.enter(tag, number)
        self.fill(record, item)
        self._notes.leave()
        if "OtherElements" in record:
            record["OtherElements"] = record.pop("OtherElements")
        return record

    def _put_standard(self, record: dict[str, Any], data_set: DataSet, entry: Entry, tag: int, vr: str) -> None:
        if is_binary(vr):
            self._drop(data_set, tag, f"bulk data of VR {vr}")
        elif entry.vr in TYPE_OF_VR and vr in entry.vrs:
            self._put_value(record, data_set, entry, tag, vr)
        elif is_blank(vr, data_set.elements[tag], data_set.encodings):
            self._put_blank(record, data_set, entry, tag)
        else:
            self._put_unexpected(record, data_set, entry, tag, vr)

    def _put_value(self, record: dict[str, Any], data_set: DataSet, entry: Entry, tag: int, vr: str) -> None:
        if not _has_column(entry, data_set.depth):
            self._put_other(record, data_set, tag, vr, f"its column would be {_TOO_DEEP}")
            return
        element = data_set.elements[tag]
        data_set.budget.spend_values(value_count(vr, element))
        try:
            value = column_value(
                entry,
                vr,
                bytes_of(element),
                data_set.encodings,
                self._offset,
                is_little_endian=element.is_little_endian,
            )
        except Misfit as misfit:
            value = null_of(entry)
            self._put_other(record, data_set, tag, vr, str(misfit))
        _put(record, entry, tag, value)

    def _put_blank(self, record: dict[str, Any], data_set: DataSet, entry: Entry, tag: int) -> None:
        """Put an element without a value, whose VR differs from the dictionary's, or has no column."""
        if entry.vr == "PN":
            self._put_other(record, data_set, tag, entry.vr, NO_NAME)
        if _has_column(entry, data_set.depth):
            _put(record, entry, tag, null_of(entry))

    def _put_unexpected(self, record: dict[str, Any], data_set: DataSet, entry: Entry, tag: int, vr: str) -> None:
        """Put a value whose VR differs from the dictionary's, or has no column."""
        if vr == "SQ":
            self._drop(data_set, tag, f"SQ instead of {entry.vr}")
        elif entry.vr not in TYPE_OF_VR and entry.vr not in {"SV", "UV"}:
            self._drop(data_set, tag, f"a table has no column for {entry.vr}")
        else:
            is_known = vr in entry.vrs
            why = f"a table has no column for {vr}" if is_known else f"VR {vr} where the dictionary says {entry.vr}"
            self._put_other(record, data_set, tag, vr, why)
            if _has_column(entry, data_set.depth):
                _put(record, entry, tag, null_of(entry))

    def _put_other(self, record: dict[str, Any], data_set: DataSet, tag: int, vr: str, reason: str) -> None:
        data_set.budget.spend_values(value_count(vr, data_set.elements[tag]))
        texts = data_texts(vr, data_set.elements[tag], data_set.encodings)
        if texts is None:
            self._drop(data_set, tag, f"{reason}, of VR {vr}")
        elif data_set.depth + 1 > MAX_RECORDS:
            self._notes.add(tag, Fate.NOT_EXTRACTED, _TOO_DEEP)
        else:
            record.setdefault("OtherElements", []).append({"Tag": tag_name(tag), "Data": texts})
            self._notes.add(tag, Fate.OTHER_ELEMENTS, reason)

    def _drop(self, data_set: DataSet, tag: int, reason: str) -> None:
        element = data_set.elements[tag]
        is_top = not data_set.depth and (element.value is None or is_bulk(element, data_set.vr_of(tag)))
        if is_top:
            self.dropped.append(name_of(tag))
        self._notes.add(tag, Fate.DROPPED_TAGS if is_top else Fate.NOT_EXTRACTED, reason)


def _put(record: dict[str, Any], entry: Entry, tag: int, value: Any) -> None:
    if entry.is_repeating_group:
        record.setdefault(entry.keyword, []).append({"Id": f"{tag >> 16:04X}", "Value": value})
    else:
        record[entry.keyword] = value


def _has_column(entry: Entry, depth: int) -> bool:
    """Return whether a record at this depth can have the entry's column."""
    return entry.vr in TYPE_OF_VR and depth + _RECORDS.get(entry.vr, 0) + entry.is_repeating_group <= MAX_RECORDS


def _why_without_column(tag: int) -> str:
    if is_private(tag):
        return "private"
    return "in a repeating group that has no columns" if keyword_of(tag) else "not in the dictionary"


def _offset_of(header: Header) -> timezone:
    """Return the instance's Timezone Offset From UTC (PS3.3 §C.12.1.1.8), or UTC if it has no valid one."""
    element = header.elements.get(TIMEZONE_OFFSET_FROM_UTC)
    return offset_in(bytes_of(element)) if element else UTC


def offset_in(value: bytes | None) -> timezone:
    """Return the time zone of a Timezone Offset From UTC, or UTC if it is invalid."""
    return _known_offset(value[:_LONGEST_OFFSET]) if value else UTC


@lru_cache(maxsize=1024)
def _known_offset(value: bytes) -> timezone:
    return parse_offset(split("SH", value)[0].strip()) or UTC

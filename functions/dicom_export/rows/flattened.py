"""The flattened row: one column an element, sequences as repeated records."""

from __future__ import annotations

from datetime import UTC, timezone
from typing import TYPE_CHECKING, Any, cast

from pydicom.dataelem import RawDataElement

from dicom_export.dicom.data_set import DataSet, MalformedSequence, meta_level, top_level
from dicom_export.dicom.text import split
from dicom_export.dictionary import Entry, entry_of, is_group_length, is_private, tag_name
from dicom_export.rows.bulk import is_binary, is_left_out, is_listed
from dicom_export.rows.notes import Fate, Notes, name_of
from dicom_export.rows.temporal import parse_offset
from dicom_export.rows.values import Misfit, column_value, data_texts
from dicom_export.schema import TYPE_OF_VR

if TYPE_CHECKING:
    from dicom_export.dicom.header import Element, Header

MAX_RECORDS = 15
"""How deep BigQuery nests records: https://cloud.google.com/bigquery/docs/nested-repeated#limitations"""

_FILE_META_VERSION = 0x00020001
_TIMEZONE_OFFSET_FROM_UTC = 0x00080201


def flatten(header: Header, notes: Notes) -> dict[str, Any]:
    """Return the element columns of an instance's row, `OtherElements` and `DroppedTags` among them.

    Raises LimitExceeded if there are too many elements, or sequences too deep.
    """
    flattener = _Flattener(header, notes)
    row: dict[str, Any] = {}
    flattener.fill(row, meta_level(header))
    flattener.fill(row, top_level(header))
    row["OtherElements"] = row.pop("OtherElements", [])
    row["DroppedTags"] = [{"TagName": name, "TagReference": ""} for name in flattener.dropped]
    return row


class _Flattener:
    """Fills records from data sets; holds what is one for the whole instance."""

    def __init__(self, header: Header, notes: Notes) -> None:
        self.dropped: list[str] = []
        self._header = header
        self._notes = notes
        self._offset = _offset_of(header)

    def fill(self, record: dict[str, Any], data_set: DataSet) -> None:
        elements = data_set.elements
        for tag in sorted(elements):
            if is_group_length(tag) or tag == _FILE_META_VERSION:
                continue
            element = elements[tag]
            vr = data_set.vr_of(tag)
            entry = None if is_private(tag) else entry_of(tag)
            if not data_set.depth and is_left_out(element, vr, self._header):
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
            self._put_other(record, data_set, tag, vr, "private" if is_private(tag) else "not in the dictionary")
        elif not is_private(tag):
            self._drop(data_set, tag, "a sequence that is not in the dictionary")
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
            self._notes.add(tag, Fate.NOT_EXTRACTED, f"nested more than {MAX_RECORDS} levels")
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
        if is_binary(vr) or vr == "SQ":
            self._drop(data_set, tag, f"bulk data of VR {vr}" if is_binary(vr) else f"SQ instead of {entry.vr}")
        elif entry.vr not in TYPE_OF_VR and entry.vr not in {"SV", "UV"}:
            self._drop(data_set, tag, f"a table has no column for {entry.vr}")
        elif entry.vr == "SQ":
            self._put_other(record, data_set, tag, vr, f"VR {vr} instead of SQ")
        elif entry.vr not in TYPE_OF_VR:
            self._put_other(record, data_set, tag, vr, f"a table has no column for VR {entry.vr}")
        elif data_set.depth + _records_of(entry) > MAX_RECORDS:
            self._notes.add(tag, Fate.NOT_EXTRACTED, f"nested more than {MAX_RECORDS} levels")
        else:
            self._put_value(record, data_set, entry, tag, vr)

    def _put_value(self, record: dict[str, Any], data_set: DataSet, entry: Entry, tag: int, vr: str) -> None:
        element = cast("RawDataElement", data_set.elements[tag])
        try:
            if vr not in entry.vrs:
                raise Misfit(f"VR {vr} where the dictionary says {entry.vr}")  # noqa: TRY301 - one way to misfit
            value = column_value(entry, vr, element, data_set.encodings, self._offset)
        except Misfit as misfit:
            value = [] if entry.is_repeated else None
            self._put_other(record, data_set, tag, vr, str(misfit))
        _put(record, entry, tag, value)

    def _put_other(self, record: dict[str, Any], data_set: DataSet, tag: int, vr: str, reason: str) -> None:
        texts = data_texts(vr, cast("RawDataElement", data_set.elements[tag]), data_set.encodings)
        if texts is None:
            self._drop(data_set, tag, f"{reason}, of VR {vr}")
        elif data_set.depth + 1 > MAX_RECORDS:
            self._notes.add(tag, Fate.NOT_EXTRACTED, f"nested more than {MAX_RECORDS} levels")
        else:
            record.setdefault("OtherElements", []).append({"Tag": tag_name(tag), "Data": texts})
            self._notes.add(tag, Fate.OTHER_ELEMENTS, reason)

    def _drop(self, data_set: DataSet, tag: int, reason: str) -> None:
        element: Element = data_set.elements[tag]
        vr = data_set.vr_of(tag)
        is_top = not data_set.depth and is_listed(element, vr)
        if is_top:
            self.dropped.append(name_of(tag))
        self._notes.add(tag, Fate.DROPPED_TAGS if is_top else Fate.NOT_EXTRACTED, reason)


def _put(record: dict[str, Any], entry: Entry, tag: int, value: Any) -> None:  # noqa: ANN401 - any column's value
    if entry.is_repeating_group:
        record.setdefault(entry.keyword, []).append({"Id": f"{tag >> 16:04X}", "Value": value})
    else:
        record[entry.keyword] = value


def _records_of(entry: Entry) -> int:
    """Return how many records deep the column of an element other than a sequence is."""
    return 2 * (entry.vr == "PN") + entry.is_repeating_group


def _offset_of(header: Header) -> timezone:
    """Return the instance's Timezone Offset From UTC (PS3.3 §C.12.1.1.8), UTC without one that can be read."""
    element = header.elements.get(_TIMEZONE_OFFSET_FROM_UTC)
    if not isinstance(element, RawDataElement) or not element.value:
        return UTC
    return parse_offset(split("SH", element.value)[0].strip()) or UTC

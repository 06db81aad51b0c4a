"""The flattened row of a header that was scanned: that of `flattened.flatten`, made the short way.

An element whose column is its own is converted here; what became of a run of elements is kept with the run; and what is
neither common nor a sequence goes to the `Flattener`, as a data set of one element.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_export.decoding.bulk import MAX_NUMBERS, is_binary
from dicom_export.decoding.context import Context, item_context, meta_context, top_context
from dicom_export.decoding.fast.conversions import NONE_KNOWN, check_switches, column_of
from dicom_export.decoding.fast.kinds import RUN, Kind, Unusual
from dicom_export.decoding.fast.one_element import data_set_of
from dicom_export.decoding.notes import Notes, name_of
from dicom_export.decoding.reference.flattened import FILE_META_VERSION, Flattener
from dicom_export.decoding.values import NUMBERS, SIZES, WORD_SIZES, Misfit, column_value, null_of, number_texts
from dicom_export.dicom.dictionary import entry_named, entry_of, is_group_length, is_private, tag_name
from dicom_export.dicom.tags import PIXELS, UIDS
from dicom_export.dicom.text import TEXT_VRS, split
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import UID_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dicom_export.decoding.fast.conversions import Convert
    from dicom_export.decoding.fast.header import ScannedHeader
    from dicom_export.decoding.fast.runs import Element, Item, Run
    from dicom_export.dicom.dictionary import Entry

    Put = Callable[[dict[str, Any], list[str], Kind, str, Any, Context], None]
    Place = tuple[str, Mapping[bytes, Any], Convert | None, Put]
    """The name of a column, values known; how all of its value is made, else who puts it there."""

Record = dict[str, Any]

_NOT_MET = object()


def flatten_scanned(header: ScannedHeader) -> Record:
    """Return the element columns of an instance's row. Raises Unusual for a header that has to be read by pydicom."""
    context = top_context(SchemaKind.FLATTENED, header.kept)
    row: Record = {}
    dropped: list[str] = []
    _fill(row, dropped, header.meta, meta_context(context))
    _fill(row, dropped, header.elements, context)
    for name, uid in zip(UID_COLUMNS, header.uids, strict=True):
        if name in row:
            row[name] = uid
    row["OtherElements"] = row.pop("OtherElements", [])
    row["DroppedTags"] = [{"TagName": name, "TagReference": ""} for name in dropped]
    return row


class _Made(NamedTuple):
    """What became of a run: columns that are its own, lists that others add to as well, what was left out."""

    columns: Record
    lists: list[tuple[str, list[Any]]]
    dropped: list[str]


def _fill(record: Record, dropped: list[str], entries: Sequence[Element], context: Context) -> None:
    """Add the columns that the elements make, as `Flattener.fill` does."""
    for kind, value, _ in entries:
        name, known, convert, put = _PLACES[kind]
        if convert is None:
            put(record, dropped, kind, name, value, context)
            continue
        converted = known.get(value, _NOT_MET)
        if converted is _NOT_MET:
            try:
                converted = convert(value, context)
            except Misfit:
                put(record, dropped, kind, name, value, context)
                continue
        record[name] = converted


def _made(run: Run, context: Context) -> _Made:
    """Return what became of the run's elements: what it was before, if that was in the same context."""
    made = run.made
    if made is not None and made[0] is context:
        return made[1]  # type: ignore[no-any-return]
    columns: Record = {}
    dropped: list[str] = []
    _fill(columns, dropped, run.elements, context)
    lists = [(name, columns.pop(name)) for name in [*columns] if _is_added_to(name)]
    result = _Made(columns, lists, dropped)
    run.made = context, result
    return result


def _put_run(record: Record, dropped: list[str], _kind: Kind, _name: str, run: Run, context: Context) -> None:
    made = _made(run, context)
    record.update(made.columns)
    for name, values in made.lists:
        record.setdefault(name, []).extend(values)
    dropped += made.dropped


def _is_added_to(name: str) -> bool:
    entry = entry_named(name)
    return name == "OtherElements" or (entry is not None and entry.is_repeating_group)


def _put_nothing(*_: object) -> None:
    """Leave the element out, as its place is not in a row."""


def _put_uncommon(record: Record, dropped: list[str], kind: Kind, _: str, value: Any, context: Context) -> None:
    """Put an element as `Flattener` does."""
    if not isinstance(value, bytes) or (kind.tag in UIDS and not context.depth):
        raise Unusual
    flattener = Flattener(Notes(), context.offset)
    flattener.fill(record, data_set_of(kind, value, context))
    dropped += flattener.dropped


def _put_text_of(entry: Entry) -> Put:
    """Return what puts a text in the entry's column, or where `OtherElements` has what that cannot hold, as empty names."""

    def put(record: Record, dropped: list[str], kind: Kind, name: str, value: Any, context: Context) -> None:
        try:
            record[name] = column_value(entry, kind.vr, value, context.encodings, context.offset, is_little_endian=True)
        except Misfit:
            record[name] = null_of(entry)
            _put_other(record, dropped, kind, tag_name(kind.tag), value, context)

    return put


def _put_bulk(_: Record, dropped: list[str], _kind: Kind, name: str, _value: Any, context: Context) -> None:
    if not context.depth:
        dropped.append(name)


def _put_items(record: Record, dropped: list[str], kind: Kind, name: str, value: Any, context: Context) -> None:
    if value is None:
        dropped.append(name_of(kind.tag))
    else:
        record[name] = [_item(item, context) for item in value]


def _item(item: Item, context: Context) -> Record:
    entries, kept = item
    record: Record = {}
    _fill(record, [], entries, item_context(context, kept))
    if "OtherElements" in record:
        record["OtherElements"] = record.pop("OtherElements")
    return record


def _put_other(record: Record, dropped: list[str], kind: Kind, name: str, value: Any, context: Context) -> None:
    vr = kind.vr
    if vr in TEXT_VRS:
        check_switches(value)
        texts = split(vr, value, context.encodings)
    elif len(value) <= MAX_NUMBERS * SIZES[vr]:
        texts = number_texts(vr, value, is_little_endian=True)
    else:
        _put_uncommon(record, dropped, kind, name, value, context)
        return
    record.setdefault("OtherElements", []).append({"Tag": name, "Data": texts})


def _place(kind: Kind) -> Place:
    tag, vr = kind.tag, kind.vr
    entry = None if is_private(tag) else entry_of(tag)
    if is_group_length(tag) or tag == FILE_META_VERSION:
        return "", NONE_KNOWN, None, _put_nothing
    if vr == "SQ":
        return _place_of_items(kind)
    column = column_of(kind)
    if column and entry:
        return *column, _put_text_of(entry) if vr in TEXT_VRS else _put_uncommon
    if tag in PIXELS or (vr not in WORD_SIZES and is_binary(vr) and vr != "US or SS"):
        return name_of(tag), NONE_KNOWN, None, _put_bulk
    if entry is None and (vr in TEXT_VRS or vr in NUMBERS):
        return tag_name(tag), NONE_KNOWN, None, _put_other
    return "", NONE_KNOWN, None, _put_uncommon


def _place_of_items(kind: Kind) -> Place:
    entry = None if is_private(kind.tag) else entry_of(kind.tag)
    if is_private(kind.tag):
        return tag_name(kind.tag), NONE_KNOWN, None, _put_items
    if entry is None:
        return name_of(kind.tag), NONE_KNOWN, None, _put_bulk
    if entry.vr == "SQ" and not entry.is_repeating_group:
        return entry.keyword, NONE_KNOWN, None, _put_items
    return "", NONE_KNOWN, None, _put_uncommon


class _Places(dict[Kind, "Place"]):
    """The places by kind, made as kinds are met."""

    def __missing__(self, kind: Kind) -> Place:
        if len(self) >= _MOST_PLACES:
            self.clear()
            self[RUN] = "", NONE_KNOWN, None, _put_run
        place = self[kind] = _place(kind)
        return place


_MOST_PLACES = 1 << 15
_PLACES = _Places({RUN: ("", NONE_KNOWN, None, _put_run)})

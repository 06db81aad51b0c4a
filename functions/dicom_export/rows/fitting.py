"""The column budget of a table: which columns it gets, and where values without one go."""

from __future__ import annotations

from collections import deque
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from dicom_export.decoding.budget import DEFAULT_COLUMN_LIMITS, ColumnLimits
from dicom_export.dicom.dictionary import entry_named, keyword_of, tag_name
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import (
    FIXED_COLUMNS,
    NAME_GROUPS,
    NAME_PARTS,
    Field,
    columns_of,
    columns_of_all,
    count_fields,
    covers,
    merge,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dicom_export.decoding.decoded import Row
    from dicom_export.rows.schema import Schema

_OTHER_ELEMENTS = "OtherElements"
_DROPPED_TAGS = "DroppedTags"


def admitted(existing: Schema, wanted: Schema, limits: ColumnLimits) -> Schema:
    """Return the existing columns and the first of the wanted ones that there is room for.

    The columns that every row has are always among them.
    """
    known = {field.name for field in existing}
    given = (*existing, *(field for field in wanted if field.name in FIXED_COLUMNS and field.name not in known))
    room = max(0, min(limits.instance, limits.table - count_fields(given)))
    columns, _ = _admit(given, wanted, room)
    return columns


def _admit(existing: Schema, wanted: Schema, room: int) -> tuple[Schema, int]:
    known = {field.name: field for field in existing}
    for field in wanted:
        before = known.get(field.name)
        if before is None:
            part, room = _part_of(field, room)
            if part:
                known[field.name] = part
        elif before != field and before.fields:
            fields, room = _admit(before.fields, field.fields, room)
            known[field.name] = before._replace(fields=fields)
    return tuple(known.values()), room


def _part_of(field: Field, room: int) -> tuple[Field | None, int]:
    """Return the part of the field that there is room for, or None, and the room that is left."""
    size = count_fields((field,))
    if size <= room:
        return field, room - size
    if not _is_sequence(field) or room < 2:  # noqa: PLR2004 - itself, and one field at least
        return None, room
    fields, left = _admit((), field.fields, room - 1)
    return (field._replace(fields=fields), left) if fields else (None, room)


def _is_sequence(field: Field) -> bool:
    if not field.fields:
        return False
    entry = entry_named(field.name)
    return entry is None or (entry.vr == "SQ" and not entry.is_repeating_group)


def fitted(row: Mapping[str, Any], columns: Schema) -> Row:
    """Return the flattened row, with the values moved that have no column.

    A standard element goes to `OtherElements` of its record, as text. A sequence is not text: it is
    listed in `DroppedTags` of the row, as are the elements of a record without `OtherElements`.
    """
    dropped: deque[str] = deque()
    fitted = _fitted(row, columns, dropped)
    if dropped:
        listed = [{"TagName": name, "TagReference": ""} for name in dropped]
        fitted[_DROPPED_TAGS] = [*(fitted.get(_DROPPED_TAGS) or []), *listed]
    return fitted


def _fitted(record: Mapping[str, Any], columns: Schema, dropped: deque[str]) -> Row:
    known = {field.name: field for field in columns}
    kept: Row = {}
    others: list[dict[str, Any]] = []
    for name, value in record.items():
        field = known.get(name)
        if field is None:
            _move(name, value, others, dropped)
        elif value and name not in FIXED_COLUMNS and _is_sequence(field):
            kept[name] = [_fitted(item, field.fields, dropped) for item in value]
        else:
            kept[name] = value
    if others and _OTHER_ELEMENTS not in known:
        dropped += [str(keyword_of(int(each["Tag"].removeprefix("Tag_"), 16)) or each["Tag"]) for each in others]
    elif others:
        kept[_OTHER_ELEMENTS] = [*(kept.pop(_OTHER_ELEMENTS, None) or []), *others]
    return kept


def _move(name: str, value: Any, others: list[dict[str, Any]], dropped: deque[str]) -> None:
    if value is None or value == []:
        return
    if name == _OTHER_ELEMENTS:
        others += value
        return
    entry = entry_named(name)
    if entry is None or entry.vr == "SQ":
        dropped.append(name)
    elif entry.is_repeating_group:
        base = entry.tag & 0x0000FFFF
        others += [{"Tag": f"Tag_{each['Id']}{base:04X}", "Data": _texts(each["Value"])} for each in value]
    else:
        others.append({"Tag": tag_name(entry.tag), "Data": _texts(value)})


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return ["" if each is None else _text(each) for each in values]


def _text(value: Any) -> str:
    match value:
        case datetime():
            return value.strftime("%Y%m%d%H%M%S.%f+0000").rjust(len("YYYYMMDDHHMMSS.FFFFFF+0000"), "0")
        case date():
            return value.isoformat().replace("-", "")
        case time():
            return value.isoformat().replace(":", "")
        case dict():
            return _name(value)
    return str(value)


def _name(value: Mapping[str, Any]) -> str:
    groups = ["^".join(_parts(value.get(group))).rstrip("^") for group in NAME_GROUPS]
    return "=".join(groups).rstrip("=")


def _parts(group: Mapping[str, str | None] | None) -> Iterable[str]:
    return ((group or {}).get(part) or "" for part in NAME_PARTS)


class ColumnBudget:
    """The columns of a table while instances that need more of them arrive."""

    def __init__(self, existing: Schema, limits: ColumnLimits = DEFAULT_COLUMN_LIMITS) -> None:
        self.columns = existing
        self._limits = limits

    def admit(self, wanted: Schema) -> bool:
        """Add the columns of one instance, as far as there is room.

        Return whether all of them are there.
        """
        if fits(self.columns, wanted, self._limits):
            self.columns = merge(self.columns, wanted)
            return True
        self.columns = admitted(self.columns, wanted, self._limits)
        return merge(self.columns, wanted) == self.columns


def fits(existing: Schema, wanted: Schema, limits: ColumnLimits) -> bool:
    """Say whether a table can get all columns that some rows want together."""
    if covers(existing, wanted):
        return True
    count = count_fields(merge(existing, wanted))
    return count <= limits.table and count - count_fields(existing) <= limits.instance


def within_budget(rows: Sequence[Row], existing: Schema, kind: SchemaKind, limits: ColumnLimits) -> Sequence[Row]:
    """Return the rows, each with the values moved that have no column.

    `existing` are the columns of the table.
    """
    if kind is not SchemaKind.FLATTENED or fits(existing, columns_of_all(rows, kind), limits):
        return rows
    budget = ColumnBudget(existing, limits)
    return [row if budget.admit(columns_of(row, kind)) else fitted(row, budget.columns) for row in rows]

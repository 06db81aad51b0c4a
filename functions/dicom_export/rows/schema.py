"""The columns of a table: their order, the union of two schemas and the columns that one lacks.

Source: https://cloud.google.com/healthcare-api/docs/how-tos/dicom-bigquery-schema as far as the
specification of this project (docs/reference/table.md) follows it.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_export.dicom.dictionary import Entry, entry_named, named_tag
from dicom_export.errors import FailedPrecondition
from dicom_export.rows.layout import SchemaKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dicom_export.rows.layout import RowLayout


class FieldType(StrEnum):
    """The BigQuery types that a column can have."""

    STRING = "STRING"
    INTEGER = "INTEGER"
    FLOAT = "FLOAT"
    DATE = "DATE"
    TIME = "TIME"
    TIMESTAMP = "TIMESTAMP"
    JSON = "JSON"
    RECORD = "RECORD"


class Mode(StrEnum):
    """The number of values that a column has in a row."""

    NULLABLE = "NULLABLE"
    REQUIRED = "REQUIRED"
    REPEATED = "REPEATED"


class Field(NamedTuple):
    """A column or a nested field. Only a RECORD has fields."""

    name: str
    type: FieldType
    mode: Mode = Mode.NULLABLE
    fields: tuple[Field, ...] = ()


Schema = tuple[Field, ...]


# A VR that is not here has no column.
TYPE_OF_VR = {
    **dict.fromkeys(("AE", "AS", "CS", "DS", "IS", "LO", "LT", "SH", "ST", "UC", "UI", "UR", "UT"), FieldType.STRING),
    **dict.fromkeys(("AT", "SL", "SS", "UL", "US", "US or SS"), FieldType.INTEGER),
    **dict.fromkeys(("FL", "FD"), FieldType.FLOAT),
    **dict.fromkeys(("PN", "SQ"), FieldType.RECORD),
    "DA": FieldType.DATE,
    "TM": FieldType.TIME,
    "DT": FieldType.TIMESTAMP,
}

UID_COLUMNS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
"""The columns of an instance's UIDs, in the order of `InstanceUids`."""

NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

_PERSON_NAME = tuple(
    Field(group, FieldType.RECORD, fields=tuple(Field(part, FieldType.STRING) for part in NAME_PARTS))
    for group in NAME_GROUPS
)
_ID = Field("Id", FieldType.STRING, Mode.REQUIRED)
_OTHER_ELEMENTS = Field(
    "OtherElements",
    FieldType.RECORD,
    Mode.REPEATED,
    (Field("Tag", FieldType.STRING, Mode.REQUIRED), Field("Data", FieldType.STRING, Mode.REPEATED)),
)
_TYPE = Field("Type", FieldType.STRING)
_LAST_UPDATED = Field("LastUpdated", FieldType.TIMESTAMP)
_STORAGE_CLASS = Field("StorageClass", FieldType.STRING)
_BLOB_SIZE = Field("BlobStorageSize", FieldType.INTEGER)
_SOURCE_STORE = Field("SourceDicomStore", FieldType.STRING)
SOURCE_OBJECT: Schema = (Field("SourceObject", FieldType.STRING), Field("SourceGeneration", FieldType.INTEGER))
"""The columns that tell which version of which object a row is from."""

_FLATTENED_END = (
    _OTHER_ELEMENTS,
    Field(
        "DroppedTags",
        FieldType.RECORD,
        Mode.REPEATED,
        (Field("TagName", FieldType.STRING), Field("TagReference", FieldType.STRING)),
    ),
    _TYPE,
    _LAST_UPDATED,
    _STORAGE_CLASS,
    _BLOB_SIZE,
    _SOURCE_STORE,
    *SOURCE_OBJECT,
)
_FLATTENED_BY_NAME = {field.name: field for field in _FLATTENED_END}
_END_ORDER = {field.name: position for position, field in enumerate(_FLATTENED_END)}

_METADATA = Field("Metadata", FieldType.JSON)
_JSON = (
    Field("StudyInstanceUID", FieldType.STRING),
    Field("SeriesInstanceUID", FieldType.STRING),
    Field("SOPInstanceUID", FieldType.STRING),
    _SOURCE_STORE,
    *SOURCE_OBJECT,
    _METADATA,
    Field("StructuredStorageSize", FieldType.INTEGER),
    Field("DroppedTags", FieldType.STRING, Mode.REPEATED),
    _STORAGE_CLASS,
    _LAST_UPDATED,
    _BLOB_SIZE,
    _TYPE,
)
_JSON_ORDER = {field.name: position for position, field in enumerate(_JSON)}

INVENTORY: Schema = (
    Field("Object", FieldType.STRING),
    Field("Generation", FieldType.INTEGER),
    Field("StudyInstanceUID", FieldType.STRING),
    Field("SeriesInstanceUID", FieldType.STRING),
    Field("SOPInstanceUID", FieldType.STRING),
    _LAST_UPDATED,
    _BLOB_SIZE,
    Field("SourceObject", FieldType.STRING),
)
"""The columns of a table with one row per instance of a store.

A row has either the UIDs or SourceObject: then a row of the compared table has the UIDs.
"""

FIXED_COLUMNS = frozenset(field.name for field in (*_FLATTENED_END, *_JSON))
"""The names of the columns that do not follow from an instance's elements."""

_FIXED = {SchemaKind.FLATTENED: _FLATTENED_END, SchemaKind.JSON: _JSON, SchemaKind.INVENTORY: INVENTORY}


def common_columns(kind: SchemaKind, *, has_source_store: bool, has_source_object: bool = False) -> Schema:
    """Return the columns that every row has, whatever its instance contains."""
    if kind is SchemaKind.INVENTORY:
        return INVENTORY
    left_out = {
        *(() if has_source_store else (_SOURCE_STORE.name,)),
        *(() if has_source_object else (field.name for field in SOURCE_OBJECT)),
    }
    return tuple(field for field in _FIXED[kind] if field.name not in left_out)


def columns_of_layout(layout: RowLayout) -> Schema:
    """Return the columns that every row of this layout has, whatever its instance contains."""
    return common_columns(
        layout.kind, has_source_store=layout.source_store is not None, has_source_object=layout.has_source_object
    )


def columns_of(row: Mapping[str, Any], kind: SchemaKind) -> Schema:
    """Return the columns of one row, in canonical order, as `columns_of_all` does for many."""
    return columns_of_all([row], kind)


def columns_of_all(rows: Sequence[Mapping[str, Any]], kind: SchemaKind) -> Schema:
    """Return the union of the columns of the rows, in canonical order.

    Flattened: one column per key, nested as the records of the rows are. Other kinds: the fixed
    columns, with those of the source if a row has them.
    """
    if kind is SchemaKind.FLATTENED:
        return ordered(_fields_of(rows))
    names = set().union(*rows)
    return tuple(field for field in _FIXED[kind] if field.name in names)


def merge(first: Schema, second: Schema) -> Schema:
    """Return the union of two schemas, at every depth.

    The fields of the first schema keep their order; fields that only the second has follow. Raises
    FailedPrecondition, naming the column, if the two differ in the type or mode of a field.
    """
    return first if first == second else _merge(first, second, "")


def ordered(schema: Schema) -> Schema:
    """Return the schema in canonical order at every depth.

    Standard elements by tag come first, then private sequences, then the rest. The columns of the
    JSON schema are in the order in which the API documents them, followed by other columns of the
    table.
    """
    if _METADATA in schema:
        return tuple(sorted(schema, key=lambda field: _JSON_ORDER.get(field.name, len(_JSON_ORDER))))
    fields = sorted(schema, key=lambda field: _rank(field.name))
    return tuple(field._replace(fields=ordered(field.fields)) if _has_free_fields(field) else field for field in fields)


def covers(existing: Schema, wanted: Schema) -> bool:
    """Say whether every wanted field exists, at every depth, with the same type and mode."""
    if existing == wanted:
        return True
    by_name = {field.name: field for field in existing}
    for field in wanted:
        known = by_name.get(field.name)
        if known is None or known.type is not field.type or known.mode is not field.mode:
            return False
        if field.fields and not covers(known.fields, field.fields):
            return False
    return True


def count_fields(schema: Schema) -> int:
    """Return the number of columns, including the fields of records, as BigQuery counts them."""
    return sum(1 + count_fields(field.fields) for field in schema)


def to_json(schema: Schema) -> list[dict[str, Any]]:
    """Return the schema as BigQuery's REST API and `bq --schema` write it."""
    return [
        {"name": field.name, "type": field.type.value, "mode": field.mode.value}
        | ({"fields": to_json(field.fields)} if field.fields else {})
        for field in schema
    ]


def from_json(data: Iterable[Mapping[str, Any]]) -> Schema:
    """Return the schema from BigQuery's JSON; a mode that is left out is NULLABLE.

    Raises FailedPrecondition, naming the column, for a type that no column of this project has.
    """
    return tuple(
        Field(
            field["name"],
            _type(field),
            Mode(field.get("mode") or Mode.NULLABLE),
            from_json(field.get("fields") or ()),
        )
        for field in data
    )


# BigQuery may return a type by its GoogleSQL name or by its name in the older SQL dialect.
_TYPE_ALIASES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "STRUCT": "RECORD"}


def _type(field: Mapping[str, Any]) -> FieldType:
    name = field["type"]
    try:
        return FieldType(_TYPE_ALIASES.get(name, name))
    except ValueError as error:
        raise FailedPrecondition(f"Column {field['name']} has the type {name}, which no exported column has") from error


def _merge(first: Schema, second: Schema, path: str) -> Schema:
    merged = {field.name: field for field in first}
    for field in second:
        known = merged.get(field.name)
        if known is None:
            merged[field.name] = field
        elif known != field:
            merged[field.name] = _merge_field(known, field, path + field.name)
    return tuple(merged.values())


def _merge_field(first: Field, second: Field, path: str) -> Field:
    if first.type is not second.type or first.mode is not second.mode:
        raise FailedPrecondition(
            f"Column {path} is {first.mode} {first.type} in one schema and {second.mode} {second.type} in the other;"
            " expected the same in both"
        )
    return first._replace(fields=_merge(first.fields, second.fields, f"{path}."))


def _has_free_fields(field: Field) -> bool:
    return bool(field.fields) and field.fields is not _PERSON_NAME and field.name not in _FLATTENED_BY_NAME


@lru_cache(maxsize=1 << 15)
def _rank(name: str) -> tuple[int, int]:
    position = _END_ORDER.get(name)
    if position is not None:
        return 3, position
    tag = named_tag(name)
    if tag is None:  # other columns of a table, and the fields of a PN or a repeating group, keep their order
        return 2, 0
    return (1 if name.startswith("Tag_") else 0), tag


def _fields_of(records: Iterable[Mapping[str, Any]]) -> Schema:
    """Return the union of the fields of the records.

    For a sequence, it is the union over all of its items.
    """
    leaves: dict[str, Field] = {}
    # By identity, because the rows of a series share most of their items.
    sequences: dict[str, dict[int, list[Mapping[str, Any]]]] = {}
    for names, group in groupby(records, key=tuple):
        alike = list(group)
        for name in names:
            if name in leaves:
                continue
            field = _leaf(name)
            if field is not None:
                leaves[name] = field
                continue
            values = sequences.setdefault(name, {})
            values.update((id(record[name]), record[name]) for record in alike if record[name])
    for name, values in sequences.items():
        fields = _fields_of_sequence(name, [item for items in values.values() for item in items])
        if fields:
            leaves[name] = Field(name, FieldType.RECORD, Mode.REPEATED, fields)
    return tuple(leaves.values())


def _fields_of_sequence(name: str, values: list[Mapping[str, Any]]) -> Schema:
    entry = entry_named(name)
    if entry is None or not entry.is_repeating_group:
        return _fields_of(values)
    fields = _fields_of([item for value in values for item in value["Value"]])
    return (_ID, Field("Value", FieldType.RECORD, Mode.REPEATED, fields)) if fields else ()


@lru_cache(maxsize=1 << 15)
def _leaf(name: str) -> Field | None:
    """Return the column if its name alone decides it, or None for a sequence."""
    field = _FLATTENED_BY_NAME.get(name)
    if field is not None:
        return field
    entry = entry_named(name)
    if entry is None or entry.vr == "SQ":
        return None
    return _element_field(entry)


def _element_field(entry: Entry) -> Field:
    mode = Mode.REPEATED if entry.is_repeated else Mode.NULLABLE
    fields = _PERSON_NAME if entry.vr == "PN" else ()
    if entry.is_repeating_group:
        value = Field("Value", TYPE_OF_VR[entry.vr], mode, fields)
        return Field(entry.keyword, FieldType.RECORD, Mode.REPEATED, (_ID, value))
    return Field(entry.keyword, TYPE_OF_VR[entry.vr], mode, fields)

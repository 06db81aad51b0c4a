"""Convert BigQuery columns to DuckDB types, and back.

DuckDB has no REQUIRED nested fields, and it has types that BigQuery lacks. So the way back leaves out columns of such
types, and `with_required` restores the modes that were recorded for the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_export.errors import FailedPrecondition
from dicom_export.rows.schema import Field, FieldType, Mode, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb.sqltypes import DuckDBPyType

    Columns = Sequence[tuple[str, DuckDBPyType]]
    """Names and types of a table's columns, or of a record's fields."""

_TO_DUCKDB = {
    FieldType.STRING: "VARCHAR",
    FieldType.INTEGER: "BIGINT",
    FieldType.FLOAT: "DOUBLE",
    FieldType.DATE: "DATE",
    FieldType.TIME: "TIME",
    FieldType.TIMESTAMP: "TIMESTAMPTZ",
    FieldType.JSON: "JSON",
}
_FROM_DUCKDB = {
    FieldType.STRING: ("varchar", "enum", "uuid"),
    FieldType.INTEGER: ("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger"),
    FieldType.FLOAT: ("float", "double", "decimal"),
    FieldType.DATE: ("date",),
    FieldType.TIME: ("time",),
    FieldType.TIMESTAMP: ("timestamp with time zone", "timestamp", "timestamp_ms", "timestamp_s", "timestamp_ns"),
}
_TYPE_OF_ID = {type_id: field_type for field_type, ids in _FROM_DUCKDB.items() for type_id in ids}


def quoted(*parts: str) -> str:
    """Return an identifier of one or more parts as SQL."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def column_type(field: Field) -> str:
    """Return the DuckDB type of a column or nested field as SQL."""
    return _single_type(field) + ("[]" if field.mode is Mode.REPEATED else "")


def column_definition(field: Field) -> str:
    """Return name, type and default of a column. A REPEATED one is empty by default: as in BigQuery, no list is ever NULL.

    The default is a literal on purpose. DuckDB binds the defaults of all columns at each ALTER TABLE, and rewrites every row for
    a new column whose default is an expression. In a table of 500 columns each new one took 30 ms with `[]::STRUCT(…)[]`, and
    takes 2 ms with this.
    """
    return f"{quoted(field.name)} {column_type(field)}" + (" DEFAULT '[]'" if field.mode is Mode.REPEATED else "")


def schema_of(columns: Columns) -> Schema:
    """Return the columns as BigQuery knows them, without those of a type that it cannot say (BLOB, MAP, a list of lists)."""
    return tuple(field for name, type_ in columns if (field := _field(name, type_)))


def with_required(schema: Schema, recorded: Schema) -> Schema:
    """Return the schema with each field REQUIRED that is recorded as REQUIRED and is otherwise NULLABLE."""
    if schema == recorded:
        return schema
    known = {field.name: field for field in recorded}
    return tuple(_with_required(field, known[field.name]) if field.name in known else field for field in schema)


def without_required(wanted: Schema, existing: Schema) -> Schema:
    """Return what is wanted with each field NULLABLE that exists as NULLABLE: DuckDB refuses a NULL in neither."""
    known = {field.name: field for field in existing}
    return tuple(_without_required(field, known[field.name]) if field.name in known else field for field in wanted)


def growth(existing: Columns, wanted: Schema) -> Iterator[str]:
    """Yield what follows ALTER TABLE for each column that `wanted` has besides, or has more nested fields of.

    However many fields a column gains, they are added by one statement: DuckDB copies the column and the whole definition each time.
    Raises FailedPrecondition if what is wanted exists with a type that no column of ours has.
    """
    known = dict(existing)
    for field in wanted:
        if field.name not in known:
            yield f"ADD COLUMN {column_definition(field)}"
        elif grown := _grown(known[field.name], field, field.name):
            column = quoted(field.name)
            remapped = f"remap_struct({column}, NULL::{grown.type}, {grown.mapping}, {grown.defaults})"
            yield f"ALTER COLUMN {column} SET DATA TYPE {grown.type} USING {remapped}"


def _single_type(field: Field) -> str:
    if field.type is not FieldType.RECORD:
        return _TO_DUCKDB[field.type]
    return f"STRUCT({', '.join(f'{quoted(child.name)} {column_type(child)}' for child in field.fields)})"


def _field(name: str, type_: DuckDBPyType) -> Field | None:
    if type_.id != "list":
        return _single_field(name, type_)
    element = _children(type_)[0][1]
    single = None if element.id == "list" else _single_field(name, element)
    return single._replace(mode=Mode.REPEATED) if single else None


def _single_field(name: str, type_: DuckDBPyType) -> Field | None:
    if type_.id == "struct":
        fields = schema_of(_children(type_))
        return Field(name, FieldType.RECORD, fields=fields) if fields else None
    if str(type_) == "JSON":
        return Field(name, FieldType.JSON)
    field_type = _TYPE_OF_ID.get(type_.id)
    return Field(name, field_type) if field_type else None


def _with_required(field: Field, recorded: Field) -> Field:
    is_required = field.mode is Mode.NULLABLE and recorded.mode is Mode.REQUIRED and field.type is recorded.type
    mode = Mode.REQUIRED if is_required else field.mode
    return field._replace(mode=mode, fields=with_required(field.fields, recorded.fields))


def _without_required(field: Field, existing: Field) -> Field:
    is_relaxed = field.mode is Mode.REQUIRED and existing.mode is Mode.NULLABLE
    mode = Mode.NULLABLE if is_relaxed else field.mode
    return field._replace(mode=mode, fields=without_required(field.fields, existing.fields))


class _Grown(NamedTuple):
    """What a record, or a list of records, becomes, as `remap_struct` takes it: the type, where fields are from, what new ones hold."""

    type: str
    mapping: str
    defaults: str


def _grown(type_: DuckDBPyType, wanted: Field, path: str) -> _Grown | None:
    """Return the type with the fields that it lacks, or None if it lacks none.

    A function of DuckDB's core does it: one of an extension, as `struct_update` is, cannot be replayed from the log that a killed
    process leaves, if the file is what a client opens first.
    """
    if _field(path, type_) is None:
        raise FailedPrecondition(f"Column {path} has the DuckDB type {type_}; expected {column_type(wanted)}")
    if type_.id == "list":
        item = _grown(_children(type_)[0][1], wanted, path)
        return item and _Grown(
            f"{item.type}[]", f"{{'list': ROW('list', {item.mapping})}}", f"{{'list': {item.defaults}}}"
        )
    if type_.id != "struct":
        return None
    fields = {field.name: field for field in wanted.fields}
    types, mapping, defaults = [], [], []
    for name, child in _children(type_):
        grown = _grown(child, fields.pop(name), f"{path}.{name}") if name in fields else None
        types.append(f"{quoted(name)} {grown.type if grown else child}")
        source = _literal(name)
        mapping.append(f"{source}: {f'ROW({source}, {grown.mapping})' if grown else source}")
        if grown:
            defaults.append(f"{source}: {grown.defaults}")
    for name, field in fields.items():
        types.append(f"{quoted(name)} {column_type(field)}")
        missing = "'[]'" if field.mode is Mode.REPEATED else "NULL"
        defaults.append(f"{_literal(name)}: {missing}::{column_type(field)}")
    if not defaults:
        return None
    return _Grown(f"STRUCT({', '.join(types)})", f"{{{', '.join(mapping)}}}", f"{{{', '.join(defaults)}}}")


def _children(type_: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    children: Any = type_.children
    return list(children)


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"

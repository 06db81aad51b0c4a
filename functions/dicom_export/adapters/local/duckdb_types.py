"""BigQuery columns as DuckDB types, and back.

A REQUIRED nested field is no DuckDB type; DuckDB has types that no column here can have. So the way back leaves out what
it cannot say, and `with_required` puts back what was recorded beside the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_export.schema import Field, FieldType, Mode, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb.sqltypes import DuckDBPyType

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


def type_and_default(field: Field) -> str:
    """Return the type, and for a REPEATED field an empty list as its default: as in BigQuery, no list is ever NULL."""
    type_ = column_type(field)
    return f"{type_} DEFAULT []::{type_}" if field.mode is Mode.REPEATED else type_


def column_definition(field: Field) -> str:
    """Return name, type and default of a column of a new table."""
    return f"{quoted(field.name)} {type_and_default(field)}"


def schema_of(columns: list[tuple[str, DuckDBPyType]]) -> Schema:
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


def additions(existing: Schema, wanted: Schema) -> Iterator[tuple[str, Field]]:
    """Yield what `wanted` has besides, each with the path that ALTER TABLE … ADD COLUMN takes."""
    yield from _additions(existing, wanted, "")


def _single_type(field: Field) -> str:
    if field.type is not FieldType.RECORD:
        return _TO_DUCKDB[field.type]
    return f"STRUCT({', '.join(f'{quoted(child.name)} {column_type(child)}' for child in field.fields)})"


def _field(name: str, type_: DuckDBPyType) -> Field | None:
    if type_.id != "list":
        return _single_field(name, type_)
    element: Any = type_.children[0][1]
    single = None if element.id == "list" else _single_field(name, element)
    return single._replace(mode=Mode.REPEATED) if single else None


def _single_field(name: str, type_: DuckDBPyType) -> Field | None:
    if type_.id == "struct":
        children: Any = type_.children
        fields = schema_of(children)
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


def _additions(existing: Schema, wanted: Schema, above: str) -> Iterator[tuple[str, Field]]:
    known = {field.name: field for field in existing}
    for field in wanted:
        path = above + quoted(field.name)
        if field.name not in known:
            yield path, field
        elif field.fields:
            inner = f"{path}.element." if field.mode is Mode.REPEATED else f"{path}."
            yield from _additions(known[field.name].fields, field.fields, inner)

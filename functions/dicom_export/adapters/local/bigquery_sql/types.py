"""BigQuery's types, and the DuckDB types that hold their values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from dicom_export.adapters.local.duckdb.types import quoted

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

_DUCKDB_NAMES = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38, 9)",
    "BOOL": "BOOLEAN",
    "BYTES": "BLOB",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMPTZ",
    "INTERVAL": "INTERVAL",
    "JSON": "JSON",
}
_INTEGERS = ("tinyint", "smallint", "integer", "bigint", "hugeint")
_OF_DUCKDB = {
    **dict.fromkeys((*_INTEGERS, *(f"u{name}" for name in _INTEGERS)), "INT64"),
    "float": "FLOAT64",
    "double": "FLOAT64",
    "decimal": "NUMERIC",
    "boolean": "BOOL",
    "blob": "BYTES",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "DATETIME",
    "timestamp with time zone": "TIMESTAMP",
    "interval": "INTERVAL",
    "uuid": "STRING",
    "enum": "STRING",
}
NUMBERS = ("INT64", "NUMERIC", "FLOAT64")
"""From the narrowest to the widest: an operator takes the widest of its operands."""


@dataclass(frozen=True)
class Type:
    """One type: its name in BigQuery, the element of an ARRAY, the fields of a STRUCT.

    A column's type is read from DuckDB when it is asked for, because that of a large sequence has thousands of fields.
    """

    name: str
    known_element: Type | None = None
    known_fields: tuple[tuple[str, Type], ...] = ()
    source: DuckDBPyType | None = None

    @cached_property
    def element(self) -> Type:
        if self.source is not None:
            return of_duckdb(_child(self.source.children[0]))
        return self.known_element or ANY

    @cached_property
    def fields(self) -> tuple[tuple[str, Type], ...]:
        if self.source is not None and self.name == "STRUCT":
            return tuple((str(child[0]), of_duckdb(_child(child))) for child in self.source.children)
        return self.known_fields

    def field(self, name: str) -> tuple[str, Type] | None:
        """Return a field's name as it is written in the table, and its type."""
        return next((field for field in self.fields if field[0].lower() == name.lower()), None)

    @property
    def duckdb(self) -> str:
        """Return the type as DuckDB writes it in a CAST."""
        if self.name == "ARRAY":
            return f"{self.element.duckdb}[]"
        if self.name == "STRUCT":
            return f"STRUCT({', '.join(f'{quoted(name)} {each.duckdb}' for name, each in self.fields)})"
        return _DUCKDB_NAMES.get(self.name, "VARCHAR")

    def __str__(self) -> str:
        if self.name == "ARRAY":
            return f"ARRAY<{self.element}>"
        if self.name == "STRUCT":
            return f"STRUCT<{', '.join(f'{name} {each}' for name, each in self.fields)}>"
        return self.name

    @property
    def short(self) -> str:
        """Return the type for an error: a sequence has too many fields to list them."""
        return f"ARRAY<{self.element.short}>" if self.name == "ARRAY" else self.name


ANY = Type("ANY")
NULL = Type("NULL")
STRING, INT64, FLOAT64, NUMERIC = Type("STRING"), Type("INT64"), Type("FLOAT64"), Type("NUMERIC")
BOOL, BYTES, JSON, INTERVAL = Type("BOOL"), Type("BYTES"), Type("JSON"), Type("INTERVAL")
DATE, TIME, DATETIME, TIMESTAMP = Type("DATE"), Type("TIME"), Type("DATETIME"), Type("TIMESTAMP")


def array_of(element: Type) -> Type:
    """Return the type of an array."""
    return Type("ARRAY", known_element=element)


def struct_of(*fields: tuple[str, Type]) -> Type:
    """Return the type of a STRUCT with the fields."""
    return Type("STRUCT", known_fields=fields)


def _child(named: tuple[str, object]) -> DuckDBPyType:
    """Return the type of a field. DuckDB's stubs allow a length there too, which neither a list nor a struct has."""
    return cast("DuckDBPyType", named[1])


def of_duckdb(source: DuckDBPyType) -> Type:
    """Return the BigQuery type of a DuckDB column."""
    if str(source) == "JSON":
        return JSON
    if source.id in {"list", "array"}:
        return Type("ARRAY", source=source)
    if source.id == "struct":
        return Type("STRUCT", source=source)
    if source.id.startswith("timestamp_"):
        return DATETIME
    return Type(_OF_DUCKDB.get(source.id, "STRING"))


def common_type(types: list[Type]) -> Type | None:
    """Return the type that all can be coerced to, or None."""
    kinds = {each.name for each in types} - {"NULL"}
    if not kinds:
        return NULL
    if len(kinds) == 1:
        return _common_nested([each for each in types if each.name != "NULL"])
    if "ANY" in kinds:
        return ANY
    if kinds <= set(NUMBERS):
        return Type(max(kinds, key=NUMBERS.index))
    return None


def _common_nested(types: list[Type]) -> Type | None:
    first = types[0]
    if len(types) == 1:
        return first
    if first.name == "ARRAY":
        element = common_type([each.element for each in types])
        return element and array_of(element)
    if first.name == "STRUCT" and first.source is None:
        if len({len(each.fields) for each in types}) > 1:
            return None
        parts = [common_type([each.fields[i][1] for each in types]) for i in range(len(first.fields))]
        if None in parts:
            return None
        return struct_of(*((name, part) for (name, _), part in zip(first.fields, parts, strict=True) if part))
    return first

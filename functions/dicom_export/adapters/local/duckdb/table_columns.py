"""List the tables of a DuckDB file and their columns, with nested fields, by BigQuery's names and types."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from dicom_export.adapters.local.duckdb import bookkeeping
from dicom_export.adapters.local.duckdb.catalogs import path_literal, translated
from dicom_export.adapters.local.duckdb.suggestions import did_you_mean
from dicom_export.adapters.local.duckdb.types import quoted, schema_of
from dicom_export.errors import NotFound
from dicom_export.rows.schema import FieldType, Mode, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from duckdb.sqltypes import DuckDBPyType

_CATALOG = "file"
_MAIN = "main"
# What no exported column is, but a column that a user adds can be.
_OTHER_TYPES = {
    "boolean": "BOOLEAN",
    "blob": "BYTES",
    "timestamp": "DATETIME",
    "decimal": "NUMERIC",
    "interval": "INTERVAL",
}
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Column:
    """A column or nested field: its names from the top, BigQuery's type (DuckDB's where BigQuery has none), and its mode."""

    path: tuple[str, ...]
    type: str
    mode: Mode

    @property
    def name(self) -> str:
        """The dotted path."""
        return ".".join(self.path)


def read_columns(file: Path, table: str) -> list[Column]:
    """Return the columns of `TABLE` or `DATASET.TABLE`, each nested field after its record.

    Raises NotFound, with the tables that there are, without the table; FailedPrecondition if the file is not a DuckDB file
    or is open in another process.
    """
    try:
        with closing(duckdb.connect(":memory:")) as connection:
            connection.execute(f"ATTACH {path_literal(file)} AS {quoted(_CATALOG)} (TYPE duckdb, READ_ONLY)")
            tables = table_names(connection, _CATALOG)
            by_name = {name.lower(): name for name in tables}
            name = by_name.get(table.lower().removeprefix(f"{_MAIN}."))
            if name is None:
                raise NotFound(table_not_found(table, file, tables))
            return [*columns_of(connection, _CATALOG, name)]
    except duckdb.Error as error:
        raise translated(error, file) from error


def table_names(connection: duckdb.DuckDBPyConnection, catalog: str) -> list[str]:
    """Return the tables and views of the attached file: `TABLE` in dataset `main`, `DATASET.TABLE` elsewhere."""
    found = connection.execute(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_catalog = ? AND table_schema <> ? ORDER BY table_schema <> ?, table_schema, table_name",
        [catalog, bookkeeping.SCHEMA, _MAIN],
    ).fetchall()
    return [name if schema == _MAIN else f"{schema}.{name}" for schema, name in found]


def table_not_found(table: str, file: Path, tables: Sequence[str], place: str = "") -> str:
    """Return the sentence for a table that does not exist, with the existing ones. `place` is its place in the query."""
    if not tables:
        return f"Table {table} was not found{place}: {str(file)!r} has no tables"
    listed = ", ".join(tables[:_LISTED]) + (", …" if len(tables) > _LISTED else "")
    return f"Table {table} was not found{place}; {str(file)!r} has: {listed}{did_you_mean(table, tables)}"


def columns_of(connection: duckdb.DuckDBPyConnection, catalog: str, table: str) -> Iterator[Column]:
    """Yield the columns of a table that `table_names` has, each nested field after its record."""
    dataset, _, name = table.rpartition(".")
    relation = connection.sql(f"FROM {quoted(catalog, dataset or _MAIN, name)} LIMIT 0")
    required = set(_required(_recorded(connection, catalog, dataset or _MAIN, name), ()))
    for column, type_ in zip(relation.columns, relation.types, strict=True):
        yield from _walk((column,), type_, required, Mode.NULLABLE)


def _walk(path: tuple[str, ...], type_: DuckDBPyType, required: set[tuple[str, ...]], mode: Mode) -> Iterator[Column]:
    children: Any = type_.children if type_.id in {"list", "struct"} else ()
    if type_.id == "list" and mode is not Mode.REPEATED:
        yield from _walk(path, children[0][1], required, Mode.REPEATED)
        return
    mode = Mode.REQUIRED if path in required and mode is Mode.NULLABLE else mode
    if type_.id != "struct":
        yield Column(path, _type_name(type_), mode)
        return
    yield Column(path, FieldType.RECORD.value, mode)
    for name, child in children:
        yield from _walk((*path, name), child, required, Mode.NULLABLE)


def _type_name(type_: DuckDBPyType) -> str:
    if type_.id in _OTHER_TYPES:
        return _OTHER_TYPES[type_.id]
    known = schema_of([("", type_)])
    return known[0].type.value if known else str(type_)


def _recorded(connection: duckdb.DuckDBPyConnection, catalog: str, dataset: str, table: str) -> Schema:
    """Return the schema that is recorded for the table, or an empty one, as for a file of another program."""
    try:
        return bookkeeping.recorded_schema(connection, quoted(catalog), dataset, table)
    except duckdb.CatalogException:
        return ()


def _required(schema: Schema, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for field in schema:
        path = (*above, field.name)
        if field.mode is Mode.REQUIRED:
            yield path
        yield from _required(field.fields, path)

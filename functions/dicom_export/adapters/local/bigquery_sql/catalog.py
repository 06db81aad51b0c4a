"""The tables of the file, as the query may name them, and INFORMATION_SCHEMA."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duckdb import CatalogException

from dicom_export.adapters.local.bigquery_sql.names import Table
from dicom_export.adapters.local.bigquery_sql.types import INT64, STRING, TIMESTAMP, Type, of_duckdb
from dicom_export.adapters.local.bigquery_sql.values import text
from dicom_export.adapters.local.duckdb.mistakes import Unknown, UnknownName, no_such_table
from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

_MAIN = "main"
INFORMATION_SCHEMA = "INFORMATION_SCHEMA"
_COLUMNS = {
    "table_catalog": STRING,
    "table_schema": STRING,
    "table_name": STRING,
    "column_name": STRING,
    "ordinal_position": INT64,
    "is_nullable": STRING,
    "data_type": STRING,
    "is_generated": STRING,
    "generation_expression": STRING,
    "is_stored": STRING,
    "is_hidden": STRING,
    "is_updatable": STRING,
    "is_system_defined": STRING,
    "is_partitioning_column": STRING,
    "clustering_ordinal_position": INT64,
    "collation_name": STRING,
    "column_default": STRING,
    "rounding_mode": STRING,
}
_FIELD_PATHS = {
    "table_catalog": STRING,
    "table_schema": STRING,
    "table_name": STRING,
    "column_name": STRING,
    "field_path": STRING,
    "data_type": STRING,
    "description": STRING,
    "collation_name": STRING,
    "rounding_mode": STRING,
}
_TABLES = {
    "table_catalog": STRING,
    "table_schema": STRING,
    "table_name": STRING,
    "table_type": STRING,
    "is_insertable_into": STRING,
    "is_typed": STRING,
    "creation_time": TIMESTAMP,
    "ddl": STRING,
}
_SCHEMATA = {"catalog_name": STRING, "schema_name": STRING, "schema_owner": STRING}


@dataclass(frozen=True, slots=True)
class Catalog:
    """The attached file: a connection, the name that it is attached by, and the project that the query calls it."""

    connection: DuckDBPyConnection
    name: str
    project: str
    known: dict[tuple[str, str], Table] = field(default_factory=dict)

    def table(self, path: Sequence[str], where: str) -> Table:
        """Return the table of `TABLE`, `DATASET.TABLE` or `PROJECT.DATASET.TABLE`.

        A query of the cloud names a project and a dataset that the file does not have: its table is found by its name.
        Raises InvalidArgument without such a table.
        """
        *before, name = path
        dataset = before[-1] if before else _MAIN
        key = (dataset.lower(), name.lower())
        if key not in self.known:
            self.known[key] = self._described(dataset, name) or self._elsewhere(path, where)
        return self.known[key]

    def _elsewhere(self, path: Sequence[str], where: str) -> Table:
        names = self._names()
        found = self._of_that_name(names, path[-1])
        table = found and self._described(*found)
        if not table:
            raise UnknownName(Unknown(".".join(path), (), where), no_such_table)
        return table

    @staticmethod
    def _of_that_name(names: Sequence[tuple[str, str]], name: str) -> tuple[str, str] | None:
        of_that_name = [each for each in names if each[1].lower() == name.lower()]
        in_main = [each for each in of_that_name if each[0] == _MAIN]
        return next(iter(in_main or of_that_name), None)

    def _names(self) -> list[tuple[str, str]]:
        return self.connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $1 AND NOT internal "
            "UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = $1 AND NOT internal "
            "ORDER BY ALL",
            [self.name],
        ).fetchall()

    def _described(self, schema: str, name: str) -> Table | None:
        # DuckDB would take the name of a table that is not there for that of a file: "t.csv".
        if (schema.lower(), name.lower()) not in {(each.lower(), other.lower()) for each, other in self._names()}:
            return None
        sql = f"{quoted(self.name)}.{quoted(schema)}.{quoted(name)}"
        try:
            relation = self.connection.sql(f"SELECT * FROM {sql}")
        except CatalogException:
            return None
        columns = dict(zip(relation.columns, map(of_duckdb, relation.types), strict=True))
        return Table(sql, columns, frozenset(columns))

    def information(self, path: Sequence[str], where: str) -> Table:
        """Return a view of INFORMATION_SCHEMA; a dataset before it narrows it to that."""
        view = path[-1].upper()
        dataset = path[-3] if len(path) > 2 and self._is_dataset(path[-3]) else ""  # noqa: PLR2004 - DATASET.INFORMATION_SCHEMA.VIEW
        makers = {
            "COLUMNS": (_COLUMNS, self._column_rows),
            "COLUMN_FIELD_PATHS": (_FIELD_PATHS, self._field_rows),
            "TABLES": (_TABLES, self._table_rows),
            "SCHEMATA": (_SCHEMATA, self._schema_rows),
        }
        if view not in makers:
            raise InvalidArgument(
                f"INFORMATION_SCHEMA.{view} was not found{where}: expected one of {', '.join(makers)}"
            )
        columns, rows = makers[view]
        return Table(_values(columns, list(rows(dataset))), columns)

    def _is_dataset(self, name: str) -> bool:
        return any(schema.lower() == name.lower() for schema, _ in self._names())

    def _of(self, dataset: str) -> Iterator[tuple[str, str, Table]]:
        for schema, name in self._names():
            if not dataset or schema.lower() == dataset.lower():
                yield schema, name, self.table([self.project, schema, name], "")

    def _column_rows(self, dataset: str) -> Iterator[Sequence[object]]:
        for schema, name, table in self._of(dataset):
            for position, (column, kind) in enumerate(table.columns.items(), 1):
                nullable = "NO" if kind.name == "ARRAY" else "YES"
                flags = ("NEVER", None, None, "NO", None, "NO", "NO", None, "NULL", "NULL", None)
                yield self.project, schema, name, column, position, nullable, str(kind), *flags

    def _field_rows(self, dataset: str) -> Iterator[Sequence[object]]:
        for schema, name, table in self._of(dataset):
            comments = self._comments(schema, name)
            for column, kind in table.columns.items():
                for path, each in _paths(column, kind):
                    comment = comments.get(column) if path == column else None
                    yield self.project, schema, name, column, path, str(each), comment, "NULL", None

    def _comments(self, schema: str, name: str) -> dict[str, str | None]:
        return dict(
            self.connection.execute(
                "SELECT column_name, comment FROM duckdb_columns() "
                "WHERE database_name = $1 AND schema_name = $2 AND table_name = $3",
                [self.name, schema, name],
            ).fetchall()
        )

    def _table_rows(self, dataset: str) -> Iterator[Sequence[object]]:
        views = set(
            self.connection.execute("SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        )
        for schema, name in self._names():
            if not dataset or schema.lower() == dataset.lower():
                is_view = (schema, name) in views
                kind = "VIEW" if is_view else "BASE TABLE"
                yield self.project, schema, name, kind, "NO" if is_view else "YES", "NO", None, None

    def _schema_rows(self, _: str) -> Iterator[Sequence[object]]:
        for schema in sorted({schema for schema, _ in self._names()}):
            yield self.project, schema, None


def _paths(path: str, kind: Type) -> Iterator[tuple[str, Type]]:
    yield path, kind
    inner = kind.element if kind.name == "ARRAY" else kind
    for name, each in inner.fields:
        yield from _paths(f"{path}.{name}", each)


def _values(columns: dict[str, Type], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as a table in SQL."""
    typed = [f"CAST(column{i} AS {kind.duckdb}) AS {quoted(name)}" for i, (name, kind) in enumerate(columns.items())]
    listed = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
    if not rows:
        empty = ", ".join(f"NULL AS column{i}" for i in range(len(columns)))
        return f"(SELECT {', '.join(typed)} FROM (SELECT {empty}) WHERE false)"
    names = ", ".join(f"column{i}" for i in range(len(columns)))
    return f"(SELECT {', '.join(typed)} FROM (VALUES {listed}) AS rows({names}))"


def _literal(value: object) -> str:
    return "NULL" if value is None else str(value) if isinstance(value, int) else text(str(value))

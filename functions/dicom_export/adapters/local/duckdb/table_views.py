"""The views of a table in DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.adapters.local.duckdb.catalogs import catalog
from dicom_export.adapters.local.duckdb.new_files import literal
from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.views.definitions import VIEW_SUFFIXES, View, views_of
from dicom_export.views.dialect import DuckDbSql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from dicom_export.names import TableName
    from dicom_export.rows.schema import Schema

_OURS = " (defined by dicom-export)"
_OF_SCHEMA = "database_name = ? AND schema_name = ?"


def define_views(cursor: DuckDBPyConnection, table: TableName, schema: Schema, *, create: bool) -> None:
    """Define the views of the table again, and those that are missing if `create`.

    A table or view of such a name that is not ours is left alone. One of ours whose columns are gone
    is dropped. Views have to be defined again in the transaction that adds a column: until then
    DuckDB refuses to read them.
    """
    taken = _relations_named(cursor, table)
    # Without the catalog, which has another name in every program that opens the file.
    views = {view.name: view for view in views_of(table.table, quoted(table.dataset, table.table), schema, DuckDbSql())}
    for suffix in VIEW_SUFFIXES:
        name = table.table + suffix
        is_ours = taken.get(name.lower())
        if name in views and (is_ours or (create and is_ours is None)):
            _define(cursor, table, views[name])
        elif is_ours:
            cursor.execute(f"DROP VIEW {_sql(table, name)}")


def _define(cursor: DuckDBPyConnection, table: TableName, view: View) -> None:
    name = _sql(table, view.name)
    cursor.execute(f"CREATE OR REPLACE VIEW {name} AS {view.query}")
    cursor.execute(f"COMMENT ON VIEW {name} IS {literal(view.description + _OURS)}")


def _relations_named(cursor: DuckDBPyConnection, table: TableName) -> dict[str, bool]:
    """Return the existing tables and views with a name of the table's views, and whether they are views of ours."""
    found = cursor.execute(
        f"""
        SELECT lower(view_name), ends_with(coalesce(comment, ''), ?) FROM duckdb_views() WHERE {_OF_SCHEMA} AND NOT internal
        UNION ALL SELECT lower(table_name), false FROM duckdb_tables() WHERE {_OF_SCHEMA}
        """,  # noqa: S608 - text of ours
        [_OURS, *_place(table), *_place(table)],
    ).fetchall()
    names = {(table.table + suffix).lower() for suffix in VIEW_SUFFIXES}
    return {name: is_ours for name, is_ours in found if name in names}


def _place(table: TableName) -> list[str]:
    return [f"project:{table.project}", table.dataset]


def _sql(table: TableName, name: str) -> str:
    return f"{catalog(table.project)}.{quoted(table.dataset, name)}"

"""What a table in DuckDB has besides its rows: a comment on each column, and its views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.adapters.local.duckdb.definitions import described, table_sql
from dicom_export.adapters.local.duckdb.new_files import literal
from dicom_export.adapters.local.duckdb.table_views import define_views
from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.rows.descriptions import description

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from dicom_export.names import TableName

MOST_COMMENTED = 300
"""Columns of a table up to which they get comments.

For each comment DuckDB copies the definition of the table: comments on 300 plain columns take 0.2 s
of a processor, those of a table of 560 columns with nested ones took 1.9 s, half of its export
(measured with DuckDB 2.0.0).
"""


def annotate(cursor: DuckDBPyConnection, table: TableName, *, views: bool) -> None:
    """Describe the columns of the table and define its views, as the port's `annotate` says."""
    schema = described(cursor, table)
    if schema is not None:
        _comment_columns(cursor, table)
        define_views(cursor, table, schema, create=views)


def _comment_columns(cursor: DuckDBPyConnection, table: TableName) -> None:
    """Describe the columns that have no comment yet."""
    found = cursor.execute(
        "SELECT column_name, comment IS NULL FROM duckdb_columns()"
        " WHERE database_name = ? AND schema_name = ? AND table_name = ?",
        [f"project:{table.project}", table.dataset, table.table],
    ).fetchall()
    if len(found) > MOST_COMMENTED:
        return
    for name, is_bare in found:
        text = description((name,)) if is_bare else ""
        if text:
            cursor.execute(f"COMMENT ON COLUMN {table_sql(table)}.{quoted(name)} IS {literal(text)}")

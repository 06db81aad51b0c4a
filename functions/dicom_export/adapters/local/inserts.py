"""Rows into a table in DuckDB, in a transaction of the caller's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.adapters.local.conform import conform_batches
from dicom_export.adapters.local.definitions import arrow_schema_of, columns_to_fill, existing, table_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from dicom_export.names import TableName


def insert(cursor: DuckDBPyConnection, table: TableName, batches: Sequence[pa.RecordBatch]) -> int:
    """Insert the batches' rows and return how many they are. Raises NotFound without the table, InvalidArgument for a column too many."""
    columns = columns_to_fill(existing(cursor, table), [batch.schema for batch in batches])
    rows = sum(batch.num_rows for batch in batches)
    if rows:
        cursor.register("incoming", conform_batches(batches, arrow_schema_of(cursor, table, columns)))
        cursor.execute(f"INSERT INTO {table_sql(table)} ({columns}) SELECT {columns} FROM incoming")  # noqa: S608 - quoted
        cursor.unregister("incoming")
    return rows

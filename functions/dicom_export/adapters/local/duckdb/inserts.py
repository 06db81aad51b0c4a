"""Insert rows into a table in DuckDB, in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.adapters.local.duckdb.conform import conform_batches
from dicom_export.adapters.local.duckdb.definitions import arrow_schema_of, columns_to_fill, existing, table_sql
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from dicom_export.names import TableName
    from dicom_export.rows.schema import Schema


def insert(cursor: DuckDBPyConnection, table: TableName, batches: Sequence[pa.RecordBatch]) -> int:
    """Insert the batches' rows and return their number. Raises NotFound without the table, InvalidArgument for an unknown column."""
    schema = existing(cursor, table)
    _check(table, schema, batches)
    columns = columns_to_fill(schema, [batch.schema for batch in batches])
    rows = sum(batch.num_rows for batch in batches)
    if rows:
        cursor.register("incoming", conform_batches(batches, arrow_schema_of(cursor, table, columns)))
        cursor.execute(f"INSERT INTO {table_sql(table)} ({columns}) SELECT {columns} FROM incoming")  # noqa: S608 - quoted
        cursor.unregister("incoming")
    return rows


def _check(table: TableName, schema: Schema, batches: Sequence[pa.RecordBatch]) -> None:
    """Raise InvalidArgument for a column that the table lacks. Unknown nested fields are found when the rows are conformed."""
    known = {field.name for field in schema}
    lacking = sorted({name for batch in batches for name in batch.schema.names} - known)
    if lacking:
        raise InvalidArgument(f"{table} has no column {', '.join(lacking)}")

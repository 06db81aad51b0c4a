"""What an inventory of a store and a table differ in, as one statement: DuckDB spills what does not fit its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.adapters.local.duckdb.definitions import create_or_grow, existing, table_sql
from dicom_export.stored_object import ObjectVersion
from dicom_export.verifying.reconciliation import (
    COUNTS,
    DIFFERENCES,
    OBJECTS,
    REPORT,
    Difference,
    comparison,
    difference_counts,
    has_source_store,
    versions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from duckdb import DuckDBPyConnection

    from dicom_export.names import StoreName, TableName
    from dicom_export.operations.counters import DifferenceCounts

_ROWS_AT_ONCE = 1_000


def write_report(
    cursor: DuckDBPyConnection,
    table: TableName,
    inventory: TableName,
    report: TableName,
    store: StoreName,
    before: datetime,
) -> None:
    """Write the report, as the port's `compare` says, and replace a table of its name. The caller has the transaction."""
    columns = {field.name for field in existing(cursor, table)}
    listed = {field.name for field in existing(cursor, inventory)}
    statement = comparison(table, columns, table_sql(table), listed, table_sql(inventory))
    parameters = [str(store), before] if has_source_store(columns) else [before]
    cursor.execute(f"DROP TABLE IF EXISTS {table_sql(report)}")
    create_or_grow(cursor, report, REPORT)
    cursor.execute(f"INSERT INTO {table_sql(report)} BY NAME {statement}", parameters)


def write_objects(cursor: DuckDBPyConnection, table: TableName, objects: TableName) -> None:
    """Put the copy in the place of the table with its name, as the port's `keep_objects` says. A transaction of the caller's."""
    statement = versions(table, {field.name for field in existing(cursor, table)}, table_sql(table))
    cursor.execute(f"DROP TABLE IF EXISTS {table_sql(objects)}")
    create_or_grow(cursor, objects, OBJECTS)
    cursor.execute(f"INSERT INTO {table_sql(objects)} BY NAME {statement}")


def known(cursor: DuckDBPyConnection, objects: TableName, uris: Sequence[str]) -> list[ObjectVersion]:
    """Return the versions of these objects that have a row, as the port's `known_objects` says."""
    statement = versions(objects, {field.name for field in existing(cursor, objects)}, table_sql(objects))
    found = cursor.execute(f"{statement} AND SourceObject IN (SELECT unnest(?::VARCHAR[]))", [[*uris]])
    return [ObjectVersion(*row) for row in found.fetchall()]


def reported(cursor: DuckDBPyConnection, report: TableName) -> Iterator[Difference]:
    """Yield the rows of the report, as the port's `differences` says."""
    existing(cursor, report)
    answer = cursor.sql(DIFFERENCES.format(report=table_sql(report)))
    for batch in answer.to_arrow_reader(_ROWS_AT_ONCE):
        yield from map(Difference.of, batch.to_pylist())


def counted(cursor: DuckDBPyConnection, report: TableName) -> DifferenceCounts:
    """Return the numbers of differences in the report."""
    existing(cursor, report)
    return difference_counts(cursor.execute(COUNTS.format(report=table_sql(report))).fetchall())

"""What an inventory of a store and a table differ in, as one statement: DuckDB spills what does not fit its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.adapters.local.definitions import existing, table_sql
from dicom_export.errors import FailedPrecondition
from dicom_export.names import InstanceUids
from dicom_export.reconciliation import Difference, DifferenceKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from dicom_export.names import StoreName, TableName

_ROWS_AT_ONCE = 1_000
_NEEDED = ("LastUpdated", "BlobStorageSize")
# The latest row of an instance is the one that queries/latest-instances.sql takes.
_DIFFERENCES = """
WITH objects AS (
    SELECT * FROM {inventory}
    QUALIFY row_number() OVER (PARTITION BY SOPInstanceUID ORDER BY LastUpdated DESC, Object) = 1
), latest AS (
    SELECT * FROM ({rows})
    WHERE SOPInstanceUID IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY SOPInstanceUID ORDER BY LastUpdated DESC NULLS LAST) = 1
)
SELECT
    CASE
        WHEN o.SOPInstanceUID IS NULL THEN 'ORPHANED'
        WHEN r.SOPInstanceUID IS NULL OR NOT r.IsThere THEN 'MISSING'
        ELSE 'STALE'
    END AS Difference,
    coalesce(o.StudyInstanceUID, r.StudyInstanceUID),
    coalesce(o.SeriesInstanceUID, r.SeriesInstanceUID),
    coalesce(o.SOPInstanceUID, r.SOPInstanceUID) AS Instance,
    o.Object, o.Generation, o.LastUpdated, r.LastUpdated
FROM objects o FULL JOIN latest r ON o.SOPInstanceUID = r.SOPInstanceUID
WHERE CASE
    WHEN o.SOPInstanceUID IS NULL THEN r.IsThere
    WHEN r.SOPInstanceUID IS NULL OR NOT r.IsThere THEN TRUE
    ELSE r.LastUpdated IS NULL OR r.LastUpdated < o.LastUpdated OR r.BlobStorageSize IS DISTINCT FROM o.BlobStorageSize
END
ORDER BY Difference, o.Object, Instance
"""


def found_differences(
    cursor: DuckDBPyConnection, table: TableName, inventory: TableName, store: StoreName
) -> Iterator[Difference]:
    """Yield the instances whose latest row is not what the inventory has, as the port's `differences` says."""
    rows, parameters = _rows(cursor, table, store)
    answer = cursor.sql(_DIFFERENCES.format(inventory=table_sql(inventory), rows=rows), params=parameters)
    for batch in answer.to_arrow_reader(_ROWS_AT_ONCE):
        for kind, study, series, instance, *rest in zip(*(column.to_pylist() for column in batch), strict=True):
            yield Difference(DifferenceKind(kind), InstanceUids(study, series, instance), *rest)


def _rows(cursor: DuckDBPyConnection, table: TableName, store: StoreName) -> tuple[str, list[str]]:
    """Return the query for the table's rows of the store, and its parameters. A table without instances has no UIDs yet."""
    columns = {field.name for field in existing(cursor, table)}
    if lacking := [name for name in _NEEDED if name not in columns]:
        raise FailedPrecondition(f"{table} has no column {lacking[0]}: it is no table of an export")
    uids = [
        name if name in columns else f"NULL::VARCHAR AS {name}"
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    ]
    is_there = "Type IS NOT DISTINCT FROM 'CREATE'" if "Type" in columns else "TRUE"
    selected = ", ".join((*uids, *_NEEDED, f"{is_there} AS IsThere"))
    query = f"SELECT {selected} FROM {table_sql(table)}"  # noqa: S608 - names of our own, and a quoted one
    return (f"{query} WHERE SourceDicomStore = ?", [str(store)]) if "SourceDicomStore" in columns else (query, [])

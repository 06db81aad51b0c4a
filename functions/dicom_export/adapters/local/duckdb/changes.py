"""Do change data capture in DuckDB: a table keeps the latest version of each instance, and the bookkeeping its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dicom_export.adapters.local.duckdb import bookkeeping
from dicom_export.adapters.local.duckdb.catalogs import catalog
from dicom_export.adapters.local.duckdb.definitions import table_sql
from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.ports import CHANGE_KEY, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from dicom_export.names import TableName


def make_way(
    cursor: DuckDBPyConnection, table: TableName, batch: pa.RecordBatch, versions: Sequence[Version]
) -> pa.RecordBatch:
    """Delete what the table has of instances of which the batch has later versions, and record these.

    Return the rows to insert in its place, in the same transaction of the caller's.
    """
    newest = _newest(list(map(str, batch.column(CHANGE_KEY).to_pylist())), versions)
    known = bookkeeping.versions(cursor, catalog(table.project), table.dataset, table.table, list(newest))
    later = {key: at for key, at in newest.items() if key not in known or known[key] < versions[at]}
    written = [at for at in later.values() if not versions[at].is_deletion]
    cursor.execute(
        f"DELETE FROM {table_sql(table)} WHERE list_contains(?::VARCHAR[], {quoted(CHANGE_KEY)})",  # noqa: S608 - quoted
        [list(later)],
    )
    latest = {key: versions[at] for key, at in later.items()}
    bookkeeping.record_versions(cursor, catalog(table.project), table.dataset, table.table, latest)
    return batch.take(pa.array(written, pa.int64()))


def _newest(keys: Sequence[str], versions: Sequence[Version]) -> dict[str, int]:
    """Return where in the batch each instance has its highest version."""
    newest: dict[str, int] = {}
    for position, key in enumerate(keys):
        if key not in newest or versions[newest[key]] < versions[position]:
            newest[key] = position
    return newest

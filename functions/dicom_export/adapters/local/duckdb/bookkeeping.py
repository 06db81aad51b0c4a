"""Keep records in a DuckDB file besides its tables: committed streams, replacements, staging tables, exact schemas, watched files.

They are in a schema of their own in the same file, so that one transaction changes them together with the tables.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.operations.reserved_names import BOOKKEEPING_DATASET
from dicom_export.ports import Version
from dicom_export.rows.schema import Schema, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from duckdb import DuckDBPyConnection

SCHEMA = BOOKKEEPING_DATASET
_OF_INSTANCES = "dataset = ? AND table_name = ? AND list_contains(?::VARCHAR[], instance)"
STAGING_EXPIRATION_DAYS = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TABLES = {
    "identity": "id VARCHAR",
    "commits": "stream VARCHAR PRIMARY KEY, row_count BIGINT, committed TIMESTAMPTZ",
    "partial_commits": "stream VARCHAR, row_count BIGINT",
    "replacements": "job VARCHAR PRIMARY KEY, finished TIMESTAMPTZ",
    "staging": "dataset VARCHAR, table_name VARCHAR, created TIMESTAMPTZ",
    "schemas": "dataset VARCHAR, table_name VARCHAR, columns JSON",
    "versions": "dataset VARCHAR, table_name VARCHAR, instance VARCHAR, generation BIGINT, is_deletion BOOLEAN",
    "files": (
        "dataset VARCHAR, table_name VARCHAR, store VARCHAR, name VARCHAR, generation BIGINT, size BIGINT, study VARCHAR,"
        " series VARCHAR, instance VARCHAR, failure VARCHAR"
    ),
    "mounts": "dataset VARCHAR, table_name VARCHAR, store VARCHAR, name VARCHAR",
}


def create(cursor: DuckDBPyConnection, catalog: str) -> None:
    """Create the tables that are missing. Here and below `catalog` is the attached file's name as SQL."""
    cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {catalog}.{quoted(SCHEMA)}")
    for name, columns in _TABLES.items():
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {_sql(catalog, name)} ({columns})")


def identity(cursor: DuckDBPyConnection, catalog: str) -> str:
    """Return an id of this file, which differs from that of another file of the same name, such as one that replaced it."""
    rows = _select(cursor, catalog, "identity", "id", "true", [])
    if not rows:
        _insert(cursor, catalog, "identity", [uuid.uuid4().hex])
        return identity(cursor, catalog)
    return rows[0][0]


def is_committed(cursor: DuckDBPyConnection, catalog: str, stream: str) -> bool:
    """Return whether the stream's rows are in their table."""
    return bool(_select(cursor, catalog, "commits", "1", "stream = ?", [stream]))


def commits(cursor: DuckDBPyConnection, catalog: str, prefix: str) -> dict[str, datetime]:
    """Return the committed streams whose name has the prefix, and when each was committed."""
    rows = cursor.execute(
        f"SELECT stream, epoch_us(committed) FROM {_sql(catalog, 'commits')} WHERE starts_with(stream, ?)",  # noqa: S608 - names of ours
        [prefix],
    ).fetchall()
    return {stream: _EPOCH + timedelta(microseconds=committed) for stream, committed in rows}


def record_commit(cursor: DuckDBPyConnection, catalog: str, stream: str, rows: int) -> None:
    """Note that the stream's rows are in their table."""
    _forget_part(cursor, catalog, stream)
    _insert(cursor, catalog, "commits", [stream, rows, _now()])


def committed_part(cursor: DuckDBPyConnection, catalog: str, stream: str) -> int:
    """Return how many of the stream's rows are in their table although not all are."""
    found = cursor.execute(
        f"SELECT row_count FROM {_sql(catalog, 'partial_commits')} WHERE stream = ?",  # noqa: S608 - names of ours
        [stream],
    ).fetchone()
    return int(found[0]) if found else 0


def record_part(cursor: DuckDBPyConnection, catalog: str, stream: str, rows: int) -> None:
    """Note that the first so many of the stream's rows are in their table."""
    _forget_part(cursor, catalog, stream)
    _insert(cursor, catalog, "partial_commits", [stream, rows])


def is_replaced(cursor: DuckDBPyConnection, catalog: str, job: str) -> bool:
    """Return whether the job has put its staging table in place."""
    return bool(_select(cursor, catalog, "replacements", "1", "job = ?", [job]))


def record_replacement(cursor: DuckDBPyConnection, catalog: str, job: str) -> None:
    """Note that the job has put its staging table in place."""
    _insert(cursor, catalog, "replacements", [job, _now()])


def record_staging(cursor: DuckDBPyConnection, catalog: str, dataset: str, table: str) -> None:
    """Note that this is a staging table, created now."""
    _insert(cursor, catalog, "staging", [dataset, table, _now()])


def recorded_schema(cursor: DuckDBPyConnection, catalog: str, dataset: str, table: str) -> Schema:
    """Return the schema that was recorded, or an empty one."""
    rows = _select(cursor, catalog, "schemas", "columns", "(dataset, table_name) = (?, ?)", [dataset, table])
    return _parsed(rows[0][0]) if rows else ()


def record_schema(cursor: DuckDBPyConnection, catalog: str, dataset: str, table: str, schema: Schema) -> None:
    """Replace the recorded schema of the table."""
    _delete(cursor, catalog, "schemas", dataset, table)
    _insert(cursor, catalog, "schemas", [dataset, table, json.dumps(to_json(schema))])


def versions(
    cursor: DuckDBPyConnection, catalog: str, dataset: str, table: str, instances: Sequence[str]
) -> dict[str, Version]:
    """Return the latest version of each instance that has one in the table."""
    rows = cursor.execute(
        f"SELECT instance, generation, is_deletion FROM {_sql(catalog, 'versions')} WHERE {_OF_INSTANCES}",  # noqa: S608 - names of ours
        [dataset, table, list(instances)],
    ).fetchall()
    return {instance: Version(generation, is_deletion) for instance, generation, is_deletion in rows}


def record_versions(
    cursor: DuckDBPyConnection, catalog: str, dataset: str, table: str, latest: Mapping[str, Version]
) -> None:
    """Replace the recorded latest version of each instance."""
    cursor.execute(
        f"DELETE FROM {_sql(catalog, 'versions')} WHERE {_OF_INSTANCES}",  # noqa: S608 - names of ours
        [dataset, table, list(latest)],
    )
    generations = [version.generation for version in latest.values()]
    deletions = [version.is_deletion for version in latest.values()]
    cursor.execute(
        f"INSERT INTO {_sql(catalog, 'versions')}"
        " SELECT ?, ?, unnest(?::VARCHAR[]), unnest(?::BIGINT[]), unnest(?::BOOLEAN[])",
        [dataset, table, list(latest), generations, deletions],
    )


def mounts(cursor: DuckDBPyConnection, catalog: str, dataset: str, table: str, store: str) -> set[str]:
    """Return where disks were mounted below a watched folder."""
    where = "(dataset, table_name, store) = (?, ?, ?)"
    return {name for (name,) in _select(cursor, catalog, "mounts", "name", where, [dataset, table, store])}


def record_mounts(
    cursor: DuckDBPyConnection, catalog: str, dataset: str, table: str, store: str, names: Iterable[str]
) -> None:
    """Replace the recorded mounts below a watched folder."""
    where = "(dataset, table_name, store) = (?, ?, ?)"
    cursor.execute(f"DELETE FROM {_sql(catalog, 'mounts')} WHERE {where}", [dataset, table, store])  # noqa: S608 - names of ours
    for name in names:
        _insert(cursor, catalog, "mounts", [dataset, table, store, name])


def files_sql(catalog: str) -> str:
    """Return, as SQL, the name of the table of the files of watched folders."""
    return _sql(catalog, "files")


def forget_files(cursor: DuckDBPyConnection, catalog: str, dataset: str, table: str) -> None:
    """Forget the watched files whose rows were in a table that another one has replaced."""
    _delete(cursor, catalog, "files", dataset, table)


def forget_table(cursor: DuckDBPyConnection, catalog: str, dataset: str, table: str) -> None:
    """Drop the records of a table that is gone."""
    _delete(cursor, catalog, "staging", dataset, table)
    _delete(cursor, catalog, "schemas", dataset, table)


def drop_expired_staging(cursor: DuckDBPyConnection, catalog: str) -> None:
    """Drop the staging tables of abandoned overwrites, as BigQuery drops a table that expires."""
    expired = f"created < now() - INTERVAL {STAGING_EXPIRATION_DAYS} DAYS"
    for dataset, table in _select(cursor, catalog, "staging", "dataset, table_name", expired, []):
        cursor.execute(f"DROP TABLE IF EXISTS {catalog}.{quoted(dataset, table)}")
        forget_table(cursor, catalog, dataset, table)


def _forget_part(cursor: DuckDBPyConnection, catalog: str, stream: str) -> None:
    cursor.execute(f"DELETE FROM {_sql(catalog, 'partial_commits')} WHERE stream = ?", [stream])  # noqa: S608 - names of ours


@lru_cache(maxsize=16)
def _parsed(columns: str) -> Schema:
    return from_json(json.loads(columns))


def _select(
    cursor: DuckDBPyConnection, catalog: str, name: str, columns: str, where: str, values: list[str]
) -> list[tuple[str, ...]]:
    return cursor.execute(f"SELECT {columns} FROM {_sql(catalog, name)} WHERE {where}", values).fetchall()  # noqa: S608 - names of ours


def _insert(cursor: DuckDBPyConnection, catalog: str, name: str, values: list[str | int | datetime]) -> None:
    marks = ", ".join("?" * len(values))
    cursor.execute(f"INSERT INTO {_sql(catalog, name)} VALUES ({marks})", values)  # noqa: S608 - as above


def _delete(cursor: DuckDBPyConnection, catalog: str, name: str, dataset: str, table: str) -> None:
    cursor.execute(f"DELETE FROM {_sql(catalog, name)} WHERE (dataset, table_name) = (?, ?)", [dataset, table])  # noqa: S608 - as above


def _now() -> datetime:
    return datetime.now(UTC)


def _sql(catalog: str, name: str) -> str:
    return f"{catalog}.{quoted(SCHEMA, name)}"

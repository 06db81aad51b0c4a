"""Keep tables in DuckDB files, with streams that commit their rows exactly once."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dicom_export.adapters.local.duckdb import bookkeeping, inserts
from dicom_export.adapters.local.duckdb.annotations import annotate
from dicom_export.adapters.local.duckdb.catalogs import COMMIT_BYTES, Catalogs, catalog
from dicom_export.adapters.local.duckdb.changes import make_way
from dicom_export.adapters.local.duckdb.conform import conform_batches
from dicom_export.adapters.local.duckdb.definitions import (
    arrow_schema_of,
    check_dataset,
    columns_to_fill,
    create_or_grow,
    described,
    existing,
    exists,
    row_count,
    table_not_found,
    table_sql,
)
from dicom_export.adapters.local.duckdb.differences import counted, known, reported, write_objects, write_report
from dicom_export.adapters.local.duckdb.streams import Streams, streams_of, table_of
from dicom_export.adapters.local.duckdb.table_views import define_views
from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.adapters.local.folder.files import disk_errors
from dicom_export.errors import FailedPrecondition, InvalidArgument, Unimplemented
from dicom_export.operations.reserved_names import check_dataset_name
from dicom_export.ports import TableInfo

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from dicom_export.names import StoreName, TableName
    from dicom_export.operations.counters import DifferenceCounts
    from dicom_export.ports import Version
    from dicom_export.rows.partitioning import Partitioning
    from dicom_export.rows.schema import Schema
    from dicom_export.stored_object import ObjectVersion
    from dicom_export.verifying.reconciliation import Difference

_MOST_ACCEPTED = 64


class DuckDbTables:
    """Tables in DuckDB files. A project is a file, a dataset a schema in it. Safe to use from several threads of one process.

    A project's file is the one in `files`, else `PROJECT.duckdb` in the directory. Uncommitted rows wait in the folder
    `streams`, where the next process finds them. Writers take turns; a reader sees what was committed when it began.

    A REPEATED column or nested field is an empty list where a row has no value, even in rows older than the column.
    """

    def __init__(
        self,
        files: Mapping[str, Path] | None = None,
        *,
        streams: Path,
        directory: Path | None = None,
        memory_limit: int = 512_000_000,
    ) -> None:
        with disk_errors(streams):
            streams.mkdir(parents=True, exist_ok=True)
            self._streams = Streams(streams)
        self._catalogs = Catalogs(files or {}, directory, spill=streams / "spill", memory_limit=memory_limit)
        self._streams.remove_expired()
        self._writing = threading.Lock()
        self._accepted: dict[TableName, set[pa.Schema]] = {}
        # The tables that this object has created: they have no index, constraint or comment that can be lost.
        self._created: set[TableName] = set()

    def create_dataset(self, project: str, dataset: str) -> None:
        """Create the dataset, and its project's file, if they do not exist."""
        check_dataset_name(project, dataset)
        self._catalogs.create(project)
        with self._writing, self._catalogs.cursor(project, dataset) as cursor:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {catalog(project)}.{quoted(dataset)}")

    def close(self) -> None:
        """Close the files, so that another process can open them."""
        with self._writing:
            self._catalogs.close()
            self._streams.close()

    @property
    def catalogs(self) -> Catalogs:
        """The files, for those who only read."""
        return self._catalogs

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def identity(self, project: str, dataset: str) -> str:
        """Return the id of the project's file, which differs from that of another file of the same name. Raises NotFound without a file."""
        with self._writing, self._catalogs.transaction(project, dataset) as cursor:
            return bookkeeping.identity(cursor, catalog(project))

    @contextmanager
    def transaction(self, table: TableName) -> Iterator[DuckDBPyConnection]:
        """Yield a connection whose changes to the table's file become visible together at the end, or not at all. Callers take turns."""
        with self._writing, self._catalogs.transaction(table.project, table.dataset) as cursor:
            yield cursor

    def describe(self, table: TableName) -> TableInfo | None:
        with self._catalogs.cursor(table.project, table.dataset) as cursor:
            schema = described(cursor, table)
            return None if schema is None else TableInfo(schema, row_count(cursor, table))

    def possible_partitioning(self, table: TableName, wanted: Partitioning) -> None:
        """Return None: a table in DuckDB has no partitions. Raises Unimplemented for an expiration."""
        if wanted.expiration_ms is not None:
            raise Unimplemented(
                f"lastUpdatedPartitionConfig.expirationMs is not implemented for {table}: tables in DuckDB have no partitions,"
                " so the rows would never expire. Leave expirationMs out, and delete old rows yourself"
            )

    def prepare(self, table: TableName, schema: Schema, partitioning: Partitioning | None = None) -> None:
        if partitioning:
            self.possible_partitioning(table, partitioning)
        with self.transaction(table) as cursor:
            self._create_or_grow(cursor, table, schema)

    def staging_table(self, table: TableName, name: str) -> TableName:
        return replace(table, table=name)

    def prepare_staging(self, table: TableName, schema: Schema, like: TableName) -> None:  # noqa: ARG002 - DuckDB partitions nothing
        with self.transaction(table) as cursor:
            if described(cursor, table) is None:
                bookkeeping.record_staging(cursor, catalog(table.project), table.dataset, table.table)
            self._create_or_grow(cursor, table, schema)

    def prepare_changes(self, table: TableName, schema: Schema) -> None:
        """Prepare the table for changes. DuckDB needs no key: `change` knows the version of each instance."""
        self.prepare(table, schema)

    def stream(self, table: TableName, batch: pa.RecordBatch) -> None:
        with self.transaction(table) as cursor:
            self.insert(cursor, table, [batch])

    def change(self, table: TableName, batch: pa.RecordBatch, versions: Sequence[Version]) -> None:
        with self.transaction(table) as cursor:
            self.insert(cursor, table, [make_way(cursor, table, batch, versions)])

    def insert(self, cursor: DuckDBPyConnection, table: TableName, batches: Sequence[pa.RecordBatch]) -> int:
        """Insert rows in a `transaction`, as `inserts.insert` does. DuckDB may use the memory that rows of this size need."""
        self._catalogs.make_room(max((batch.nbytes / batch.num_rows for batch in batches if batch.num_rows), default=0))
        return inserts.insert(cursor, table, batches)

    def await_columns(self, table: TableName) -> None:
        """As the port says. DuckDB knows a column as soon as it is added."""

    def open_stream(self, table: TableName) -> str:
        with self._catalogs.cursor(table.project, table.dataset) as cursor:
            if not exists(cursor, table):
                raise table_not_found(table)
        return self._streams.open(table)

    def append(self, stream: str, offset: int, batch: pa.RecordBatch) -> None:
        self._check(table_of(stream), batch)
        self._streams.append(stream, offset, batch)

    def finalize(self, stream: str) -> int:
        return self._streams.finalize(stream)

    def commit(self, table: TableName, stream: str) -> None:
        if table_of(stream) != table:
            raise InvalidArgument(f"Stream {stream} was not opened for {table}")
        with self._writing:
            is_committed = False
            while not is_committed:
                with self._catalogs.transaction(table.project, table.dataset) as cursor:
                    is_committed = bookkeeping.is_committed(
                        cursor, catalog(table.project), stream
                    ) or self._insert_part(cursor, table, stream)
            self._streams.discard(stream)

    def discard(self, stream: str) -> None:
        self._streams.discard(stream)

    def commits(self, table: TableName) -> dict[str, datetime]:
        """Return the streams that are committed into the table, by its file, and when. Raises NotFound without a file."""
        with self._catalogs.cursor(table.project, table.dataset) as cursor:
            return bookkeeping.commits(cursor, catalog(table.project), streams_of(table))

    def can_commit(self, stream: str) -> bool:
        """Return whether the stream waits for its commit."""
        return self._streams.has(stream)

    def is_replaced(self, table: TableName, job: str) -> bool:
        """Return whether the job has put its staging table in place, by the table's file."""
        with self._catalogs.cursor(table.project, table.dataset) as cursor:
            return bookkeeping.is_replaced(cursor, catalog(table.project), job)

    def keep_streams(self, needed: Collection[str]) -> None:
        """Delete the uncommitted rows of all streams except those that are needed."""
        self._streams.keep(needed)

    def replace(
        self,
        table: TableName,
        staging: TableName,
        *,
        expected_rows: int,
        job: str,
        partitioning: Partitioning | None = None,
    ) -> None:
        if partitioning:
            self.possible_partitioning(table, partitioning)
        if (table.project, table.dataset) != (staging.project, staging.dataset):
            raise InvalidArgument(f"{staging} cannot take the place of {table}: it is in another dataset")
        with self.transaction(table) as cursor:
            if bookkeeping.is_replaced(cursor, catalog(table.project), job):
                return
            schema = existing(cursor, staging)
            rows = row_count(cursor, staging)
            if rows != expected_rows:
                raise FailedPrecondition(f"{staging} has {rows} rows, not the {expected_rows} that were exported")
            cursor.execute(f"DROP TABLE IF EXISTS {table_sql(table)}")
            cursor.execute(f"ALTER TABLE {table_sql(staging)} RENAME TO {quoted(table.table)}")
            bookkeeping.forget_table(cursor, catalog(table.project), staging.dataset, staging.table)
            bookkeeping.record_schema(cursor, catalog(table.project), table.dataset, table.table, schema)
            bookkeeping.forget_files(cursor, catalog(table.project), table.dataset, table.table)
            bookkeeping.record_replacement(cursor, catalog(table.project), job)
            define_views(cursor, table, schema, create=False)
        self._forget(table, staging)

    def annotate(self, table: TableName, *, views: bool) -> None:
        with self.transaction(table) as cursor:
            annotate(cursor, table, views=views)

    def drop(self, staging: TableName) -> None:
        with self.transaction(staging) as cursor:
            check_dataset(cursor, staging)
            cursor.execute(f"DROP TABLE IF EXISTS {table_sql(staging)}")
            bookkeeping.forget_table(cursor, catalog(staging.project), staging.dataset, staging.table)
        self._forget(staging)

    def compare(
        self, table: TableName, inventory: TableName, report: TableName, store: StoreName, *, before: datetime, job: str
    ) -> None:
        with self.transaction(report) as cursor:
            if not bookkeeping.is_replaced(cursor, catalog(report.project), job):
                write_report(cursor, table, inventory, report, store, before)
                bookkeeping.record_replacement(cursor, catalog(report.project), job)
        self._forget(report)

    def keep_objects(self, table: TableName, objects: TableName, *, job: str) -> None:
        with self.transaction(objects) as cursor:
            if not bookkeeping.is_replaced(cursor, catalog(objects.project), job):
                write_objects(cursor, table, objects)
                bookkeeping.record_staging(cursor, catalog(objects.project), objects.dataset, objects.table)
                bookkeeping.record_replacement(cursor, catalog(objects.project), job)
        self._forget(objects)

    def known_objects(self, objects: TableName, uris: Sequence[str]) -> Iterator[ObjectVersion]:
        with self._catalogs.cursor(objects.project, objects.dataset) as cursor:
            yield from known(cursor, objects, uris)

    def differences(self, report: TableName) -> Iterator[Difference]:
        with self._catalogs.cursor(report.project, report.dataset) as cursor:
            yield from reported(cursor, report)

    def count_differences(self, report: TableName) -> DifferenceCounts:
        with self._catalogs.cursor(report.project, report.dataset) as cursor:
            return counted(cursor, report)

    def _create_or_grow(self, cursor: DuckDBPyConnection, table: TableName, schema: Schema) -> None:
        if create_or_grow(cursor, table, schema, is_disposable=table in self._created):
            self._created.add(table)

    def _check(self, table: TableName, batch: pa.RecordBatch) -> None:
        """Raise InvalidArgument if the table cannot take the batch: such a stream must never be claimed for a commit."""
        accepted = self._accepted.setdefault(table, set())
        if batch.schema in accepted:
            return
        with self._catalogs.cursor(table.project, table.dataset) as cursor:
            columns = columns_to_fill(existing(cursor, table), [batch.schema])
            conform_batches([batch.slice(0, 0)], arrow_schema_of(cursor, table, columns)).read_all()
        if len(accepted) >= _MOST_ACCEPTED:
            accepted.clear()
        accepted.add(batch.schema)

    def _forget(self, *tables: TableName) -> None:
        """Forget the cached columns of tables that were replaced or dropped. Other tables only gain columns."""
        for table in tables:
            self._accepted.pop(table, None)
            self._created.discard(table)

    def _insert_part(self, cursor: DuckDBPyConnection, table: TableName, stream: str) -> bool:
        """Insert the next rows of the stream, of some MB, and return whether they are the last."""
        place = catalog(table.project)
        done = bookkeeping.committed_part(cursor, place, stream)
        batches, is_last = _first_of(self._streams.batches(stream, done), COMMIT_BYTES)
        done += self.insert(cursor, table, batches)
        if is_last:
            bookkeeping.record_commit(cursor, place, stream, done)
        else:
            bookkeeping.record_part(cursor, place, stream, done)
        return is_last


def _first_of(batches: Iterator[pa.RecordBatch], most_bytes: int) -> tuple[list[pa.RecordBatch], bool]:
    """Return the first batches, until they have as many bytes, and whether there are no more. They are mapped files, not memory."""
    found: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if size >= most_bytes:
            return found, False
        found.append(batch)
        size += batch.nbytes
    return found, True

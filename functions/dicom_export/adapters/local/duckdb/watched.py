"""Write the rows of each look at a watched folder, and the records of its files, in one transaction."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from dicom_export.adapters.local.duckdb import bookkeeping
from dicom_export.adapters.local.duckdb.annotations import annotate
from dicom_export.adapters.local.duckdb.catalogs import catalog
from dicom_export.adapters.local.duckdb.definitions import create_or_grow, described, table_sql
from dicom_export.decoding.budget import DEFAULT_COLUMN_LIMITS, ColumnLimits
from dicom_export.errors import PermissionDenied
from dicom_export.ports import CHANGE_KEY
from dicom_export.rows.administrative import source_columns
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.fitting import within_budget
from dicom_export.rows.schema import columns_of, columns_of_all, columns_of_layout, covers, merge
from dicom_export.uids import InstanceUids
from dicom_export.watching.rows import LatestRow, WatchedFile, as_unread, reconcile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from duckdb import DuckDBPyConnection

    from dicom_export.adapters.local.duckdb.tables import DuckDbTables
    from dicom_export.decoding.decoded import Row
    from dicom_export.names import StoreName, TableName
    from dicom_export.rows.layout import RowLayout
    from dicom_export.rows.schema import Schema
    from dicom_export.stored_object import StoredObject
    from dicom_export.watching.rows import Look, Reconciled

_PAGE = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UIDS = dict.fromkeys(("StudyInstanceUID", "SeriesInstanceUID", CHANGE_KEY), "")
_COLUMNS = "name, generation, size, study, series, instance, failure"


class WatchedTable:
    """The rows of one folder's files in one table.

    `uri_of` returns the URI of a file's name, and `find` the file of a name, or None if there is none.
    """

    def __init__(
        self,
        tables: DuckDbTables,
        table: TableName,
        store: StoreName,
        layout: RowLayout,
        limits: ColumnLimits = DEFAULT_COLUMN_LIMITS,
        uri_of: Callable[[str], str] = str,
        *,
        find: Callable[[str], StoredObject | None] | None = None,
        views: bool = True,
    ) -> None:
        self._tables = tables
        self._limits = limits
        self._table = table
        self._store = str(store)
        self._layout = layout
        self._views = views
        self._place = catalog(table.project), table.dataset, table.table
        self._index = bookkeeping.files_sql(catalog(table.project))
        self._uri_of = uri_of
        self._find = find
        self._schema = merge(columns_of_layout(layout), columns_of(_UIDS, layout.kind))
        with tables.transaction(table) as cursor:
            self._prepare(cursor, self._schema)

    def known(self, names: Sequence[str]) -> dict[str, WatchedFile]:
        """Return the files of these names as of the last look at them, by name."""
        with self._tables.transaction(self._table) as cursor:
            found = self._files(cursor, "store = ? AND name IN (SELECT unnest(?::VARCHAR[]))", [self._store, [*names]])
        return {file.name: file for file in found}

    def files(self) -> Iterator[WatchedFile]:
        """Yield all files, by name in order of its UTF-8 bytes; a page of them is held in memory."""
        start_after = ""
        while True:
            with self._tables.transaction(self._table) as cursor:
                where = f"store = ? AND name > ? ORDER BY name LIMIT {_PAGE}"
                page = self._files(cursor, where, [self._store, start_after])
            if not page:
                return
            yield from page
            start_after = page[-1].name

    def write(self, look: Look) -> Reconciled:
        """Add the look's rows, and remember its files. Return the result."""
        with self._tables.transaction(self._table) as cursor:
            latest = self._latest(cursor, look.instances)
            others = self._others(cursor, look)
            result = reconcile(look, latest, others, self._source_of, self._is_there)
            self._append(cursor, [*result.created, *result.deleted])
            unread = [as_unread(file) for files in others.values() for file in files if file.name in result.again]
            files = [written.file for written in look.written]
            self._remember([*look.names, *result.again], [*files, *unread], cursor)
        return result

    def mounts(self) -> set[str]:
        """Return where disks were mounted in the folder."""
        with self._tables.transaction(self._table) as cursor:
            return bookkeeping.mounts(cursor, *self._place, self._store)

    def remember_mounts(self, names: Iterable[str]) -> None:
        """Remember where disks are mounted in the folder."""
        with self._tables.transaction(self._table) as cursor:
            bookkeeping.record_mounts(cursor, *self._place, self._store, names)

    def _source_of(self, stored: StoredObject) -> Row:
        return source_columns(stored, self._layout, self._uri_of)

    def _files(self, cursor: DuckDBPyConnection, where: str, values: list[object]) -> list[WatchedFile]:
        sql = f"SELECT {_COLUMNS} FROM {self._index} WHERE dataset = ? AND table_name = ? AND {where}"  # noqa: S608 - texts of ours
        rows = cursor.execute(sql, [self._table.dataset, self._table.table, *values]).fetchall()
        return [_file(*row) for row in rows]

    def _others(self, cursor: DuckDBPyConnection, look: Look) -> dict[str, list[WatchedFile]]:
        """Return the files that hold the look's instances and are not among its own, by SOP Instance UID."""
        own = set(look.names)
        where = "store = ? AND instance IN (SELECT unnest(?::VARCHAR[]))"
        others: dict[str, list[WatchedFile]] = {}
        for file in self._files(cursor, where, [self._store, look.instances]):
            if file.uids and file.uids.instance and file.name not in own:
                others.setdefault(file.uids.instance, []).append(file)
        return others

    def _latest(self, cursor: DuckDBPyConnection, instances: Sequence[str]) -> dict[str, LatestRow]:
        names = {column.name for column in described(cursor, self._table) or ()}
        has_source = {"SourceObject", "SourceGeneration"} <= names
        source = "[SourceObject, SourceGeneration::VARCHAR]" if has_source else "[NULL, NULL]"
        generations = "list(SourceGeneration)" if has_source else "list(NULL::BIGINT)"
        is_creation = "FILTER (Type IS DISTINCT FROM 'DELETE')"
        where = f"{CHANGE_KEY} IN (SELECT unnest(?::VARCHAR[])) AND LastUpdated IS NOT NULL"
        rows = cursor.execute(
            f"SELECT {CHANGE_KEY}, epoch_us(max(LastUpdated)), arg_max(Type, LastUpdated) = 'DELETE',"  # noqa: S608 - quoted
            f" arg_max({source}, LastUpdated), list(epoch_us(LastUpdated)) {is_creation}, {generations} {is_creation}"
            f" FROM {table_sql(self._table)} WHERE {where} GROUP BY {CHANGE_KEY}",
            [[*instances]],
        ).fetchall()
        return {
            instance: LatestRow(
                _time(updated),
                bool(is_deletion),
                (source[0], int(source[1])) if source and None not in source else None,
                frozenset(map(_time, times or ())),
                frozenset(generation for generation in generations or () if generation is not None),
            )
            for instance, updated, is_deletion, source, times, generations in rows
        }

    def _is_there(self, source: tuple[str, int]) -> bool:
        """Return whether the folder has this version of a file; True for what is not in the folder, or cannot be seen."""
        uri, generation = source
        root = self._uri_of("")
        name = os.fsdecode(unquote_to_bytes(uri[len(root) :]))
        if self._find is None or not uri.startswith(root) or self._uri_of(name) != uri:
            return True
        try:
            stored = self._find(name)
        except PermissionDenied:
            return True
        return stored is not None and stored.generation == generation

    def _append(self, cursor: DuckDBPyConnection, rows: Sequence[Row]) -> None:
        if rows:
            rows = within_budget(rows, described(cursor, self._table) or (), self._layout.kind, self._limits)
            schema: Schema = merge(self._schema, columns_of_all(rows, self._layout.kind))
            self._prepare(cursor, schema)
            self._tables.insert(cursor, self._table, [record_batch(rows, schema)])

    def _prepare(self, cursor: DuckDBPyConnection, schema: Schema) -> None:
        """Give the table the columns that it lacks, with their comments, and define its views if there are new ones."""
        if not covers(described(cursor, self._table) or (), schema):
            create_or_grow(cursor, self._table, schema)
            annotate(cursor, self._table, views=self._views)

    def _remember(self, names: Sequence[str], files: Sequence[WatchedFile], cursor: DuckDBPyConnection) -> None:
        where = "dataset = ? AND table_name = ? AND store = ?"
        values = [self._table.dataset, self._table.table, self._store]
        cursor.execute(
            f"DELETE FROM {self._index} WHERE {where} AND name IN (SELECT unnest(?::VARCHAR[]))",  # noqa: S608 - as above
            [*values, [*names]],
        )
        columns = zip(*map(_values, files), strict=True) if files else [[]] * len(_TYPES)
        unnested = ", ".join(f"unnest(?::{type_}[])" for type_ in _TYPES)
        cursor.execute(f"INSERT INTO {self._index} SELECT ?, ?, ?, {unnested}", [*values, *map(list, columns)])


_TYPES = ("VARCHAR", "BIGINT", "BIGINT", "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR")


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _values(file: WatchedFile) -> tuple[object, ...]:
    uids = file.uids or InstanceUids()
    return file.name, file.generation, file.size, uids.study, uids.series, uids.instance, file.failure


def _file(
    name: str, generation: int, size: int, study: str | None, series: str | None, instance: str | None, failure: str
) -> WatchedFile:
    uids = InstanceUids(study, series, instance) if instance else None
    return WatchedFile(name, generation, size, uids, failure)

"""Queries while this process writes the same file: each in a transaction of DuckDB that can only read.

DuckDB opens a file once per process, so a query shares the connection of the exports. What runs is never the text of the user but its
translation, which has no statement but one SELECT, no function that is not on our list, and no table but those of one project.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Thread, Timer
from typing import IO, TYPE_CHECKING

import duckdb

from dicom_export.adapters.local.bigquery_sql.parsing import parse
from dicom_export.adapters.local.duckdb.legacy_sql import check_not_legacy
from dicom_export.adapters.local.duckdb.mistakes import Queried
from dicom_export.adapters.local.duckdb.query import Result, opened, read, translation
from dicom_export.adapters.local.duckdb.result_files import write_result
from dicom_export.adapters.local.duckdb.table_columns import columns_of, table_names
from dicom_export.errors import Cancelled, NotFound
from dicom_export.ports import QueryAnswer, TableColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.adapters.local.duckdb.catalogs import Catalogs
    from dicom_export.names import TableName

_MAIN = "main"
_STOPPED = "The query was stopped"
_KEPT_STOPS = 100
_INTERRUPT_SECONDS = 0.05


@dataclass
class _Running:
    """A query that runs, and why it was stopped."""

    cursor: duckdb.DuckDBPyConnection
    reason: str = ""
    _ended: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def stop(self, reason: str) -> None:
        self.reason = reason
        Thread(target=self._interrupt, daemon=True).start()

    def end(self) -> None:
        """Return when nothing more interrupts the cursor."""
        with self._lock:
            self._ended.set()

    def _interrupt(self) -> None:
        """Interrupt until the query has ended: between two of its statements an interruption has no effect."""
        while not self._ended.is_set():
            with self._lock:
                if not self._ended.is_set():
                    self.cursor.interrupt()
            self._ended.wait(_INTERRUPT_SECONDS)


class DuckDbQueries:
    """Queries over the files that exports write."""

    def __init__(self, catalogs: Catalogs) -> None:
        self._catalogs = catalogs
        self._running: dict[str, _Running] = {}
        # Somebody may stop a query before it has begun here.
        self._stopped: deque[str] = deque(maxlen=_KEPT_STOPS)
        self._lock = Lock()

    def columns(self, table: TableName) -> list[TableColumn]:
        catalog = f"project:{table.project}"
        wanted = table.table if table.dataset.lower() == _MAIN else f"{table.dataset}.{table.table}"
        with self._catalogs.cursor(table.project, table.dataset) as cursor:
            known = {name.lower(): name for name in table_names(cursor, catalog)}
            name = known.get(wanted.lower())
            if name is None:
                raise NotFound(f"Table {table} was not found")
            return [TableColumn(each.path, each.type, each.mode.value) for each in columns_of(cursor, catalog, name)]

    def answer(self, sql: str, project: str, *, rows: int, seconds: float, ticket: str = "") -> QueryAnswer:
        with self._result(sql, project, seconds, ticket) as result:
            found = list(_first(result, rows + 1))
        return QueryAnswer(result.columns, found[:rows], len(found) <= rows)

    def write(self, sql: str, project: str, kind: str, file: IO[bytes], *, seconds: float) -> int:
        with self._result(sql, project, seconds, "") as result:
            return write_result(result, kind, file, has_header=True)

    def stop(self, ticket: str) -> None:
        with self._lock:
            running = self._running.get(ticket)
            if running is None:
                self._stopped.append(ticket)
        if running:
            running.stop(_STOPPED)

    @contextmanager
    def _result(self, sql: str, project: str, seconds: float, ticket: str) -> Iterator[Result]:
        check_not_legacy(sql)
        script = parse(sql)
        with self._catalogs.cursor(project, _MAIN) as cursor, self._stoppable(cursor, seconds, ticket):
            queried = Queried(sql, self._catalogs.file(project), cursor, f"project:{project}", is_translated=True)
            translated = translation(queried, script, project)
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            try:
                reader = opened(queried, translated)
                yield Result(reader.schema, read(queried, reader))
            finally:
                with suppress(duckdb.Error):  # a query that failed has ended its transaction
                    cursor.rollback()

    @contextmanager
    def _stoppable(self, cursor: duckdb.DuckDBPyConnection, seconds: float, ticket: str) -> Iterator[None]:
        running = _Running(cursor)
        timer = Timer(
            seconds,
            running.stop,
            [f"The query took longer than {seconds:g} seconds; add a condition, or read fewer columns"],
        )
        if ticket:
            with self._lock:
                if ticket in self._stopped:
                    raise Cancelled(_STOPPED)
                self._running[ticket] = running
        timer.start()
        try:
            yield
        except Exception as error:
            if running.reason:
                raise Cancelled(running.reason) from error
            raise
        finally:
            timer.cancel()
            running.end()
            with self._lock:
                self._running.pop(ticket, None)


def _first(result: Result, rows: int) -> Iterator[tuple[object, ...]]:
    left = rows
    for batch in result.batches:
        part = batch.slice(0, left)
        yield from replace(result, batches=iter((part,))).rows
        left -= part.num_rows
        if left <= 0:
            return

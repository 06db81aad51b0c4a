"""Compare the state with the DuckDB files, before the operations of an earlier process continue.

Either may have been deleted, or restored from an older copy. An operation continues only if the two agree. If the file lacks
rows, the operation starts over, or another one writes the missing rows. If the file has rows that are not in the state, the
operation ends with an error, because nobody can tell which of its instances they are.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.errors import Code, PermanentError
from dicom_export.logs import Event, operation_event
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Status
from dicom_export.operations.operation import Operation
from dicom_export.operations.outcome import replaces_table
from dicom_export.operations.request import FilesRequest, WriteDisposition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_export.adapters.local.duckdb.destinations import KnownFiles
    from dicom_export.adapters.local.duckdb.tables import DuckDbTables
    from dicom_export.exporting.service import ExportService
    from dicom_export.names import DatasetName, OperationName, TableName
    from dicom_export.state.journal import Journal
    from dicom_export.state.tasks import Claim

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reopening:
    """The operations of a dataset that earlier processes began, and the DuckDB files of their tables."""

    service: ExportService
    tables: DuckDbTables
    known_files: KnownFiles
    parent: DatasetName

    def compare(self) -> None:
        """End every operation that cannot continue, or whose rows were lost before it was reported."""
        replaced: set[TableName] = set()
        for _, operation in list(self.service.list_operations(self.parent)):
            # Copies of files are found again where they are.
            if operation.requested is None or isinstance(operation.requested, FilesRequest):
                continue
            if operation.is_done and operation.awaits_report and operation.table in replaced:
                self._start_over(operation, f"A later export replaced the rows of table {operation.table.table}")
            elif not operation.is_done or operation.awaits_report:
                self._compare(operation)
            if operation.is_done and not operation.error and _overwrites(operation):
                replaced.add(operation.table)

    def _compare(self, operation: Operation) -> None:
        table = operation.table
        if not self.known_files.has(table):
            reason = f"The DuckDB file of table {table.table} was deleted or replaced while the export was unfinished; start it again"
            self._start_over(operation, reason)
        elif _overwrites(operation):
            self._compare_overwrite(operation)
        else:
            self._compare_rows(operation)

    def _compare_overwrite(self, operation: Operation) -> None:
        """Have an overwrite start over unless all of its rows exist: until its end, the table is as it was."""
        is_in_place = self.tables.is_replaced(operation.table, operation.name.operation)
        if is_in_place or _has_left_table(operation):
            return
        written = _Written.of(operation, self.service, self.tables)
        if operation.is_done or written.lacking or written.unknown or not self._has_target(operation, written):
            self._start_over(operation, _older_copy(operation, written))

    def _compare_rows(self, operation: Operation) -> None:
        written = _Written.of(operation, self.service, self.tables)
        if written.unknown and not operation.is_done:
            self._end(
                operation,
                f"Table {operation.table.table} has rows that the state of this export does not know of: the state was restored"
                " from an older copy. To have every row once, export to another table, or with --write-disposition write-truncate;"
                " the same command again would write all rows once more",
            )
        elif not self._has_target(operation, written) or (written.lacking and not written.there):
            self._start_over(operation, _older_copy(operation, written))
        elif written.lacking and operation.cancel_requested:
            self._end(operation, _older_copy(operation, written))
        elif written.lacking:
            self._write_again(operation, written)

    def _has_target(self, operation: Operation, written: _Written) -> bool:
        """Return whether the table exists into which rows were, or will be, committed; True if there are no such rows."""
        needs_it = written.rows if operation.is_done else self.service.journal.plans.pages(operation.name)
        try:
            return not needs_it or self.tables.describe(operation.target) is not None
        except PermanentError:  # it is a view by now
            return False

    def _start_over(self, operation: Operation, reason: str) -> None:
        """Have the next run of the same command begin another operation.

        An operation ends and stops awaiting its report in one step. If a crash could come in between, the next run would find
        one that ended without rows, which does not show that it has to start over, and would report it.
        """
        if _overwrites(operation) and self.known_files.has(operation.table):
            self.tables.drop(operation.target)
        if operation.is_done:
            log.warning("Export %s is not reported: %s", operation.name.operation, reason)
            self.service.set_reported(operation.name)
        else:
            log.warning("Export %s cannot go on: %s", operation.name.operation, reason)
            self.service.give_up(operation, Status(Code.FAILED_PRECONDITION, reason), is_reported=True)

    def _end(self, operation: Operation, reason: str) -> None:
        status = Status(Code.FAILED_PRECONDITION, reason)
        log.warning("Export %s cannot go on: %s", operation.name.operation, reason)
        if operation.is_done:
            self.service.journal.operations.change(operation.name, lambda current: replace(current, error=status))
        else:
            self.service.give_up(operation, status)

    def _write_again(self, operation: Operation, written: _Written) -> None:
        """Have another operation write the rows that the file lacks. It begins with this one's plan and with the existing rows.

        After a crash in between, the next call completes the work: everything is created once, and this operation ends last.
        """
        journal, name = self.service.journal, restored_name(operation.name)
        journal.filters.copy(operation.name, name)
        for number in journal.plans.pages(operation.name):
            page = journal.plans.page(operation.name, number)
            if page:
                journal.plans.create_page(name, number, page)
        for page_number, task, claim in written.there:
            journal.tasks.create_claim(name, page_number, task, claim)
            outcome = journal.tasks.result(operation.name, page_number, task)
            if outcome:
                journal.tasks.create_result(name, page_number, task, outcome)
        journal.operations.create(
            Operation(
                name,
                operation.api_version,
                datetime.now(UTC),
                operation.request,
                operation.filter_generation,
                awaits_report=operation.awaits_report,
                compares_objects=operation.compares_objects,
            )
        )
        log.info("Export of what is missing created", extra=operation_event(name, Event.CREATED))
        self._end(operation, f"{_older_copy(operation, written)}; export {name.operation} writes them again")
        self.service.set_reported(operation.name)
        if operation.request.write_disposition is not WriteDisposition.WRITE_APPEND:
            journal.tables.take(operation.table, name)


def restored_name(name: OperationName) -> OperationName:
    """Return the name of the operation that writes the lost rows of another one again."""
    return replace(name, operation=f"{name.operation}-restored")


@dataclass(slots=True)
class _Written:
    """The rows of an operation, compared with the file.

    Of its claims those whose rows are `there`, or will be, or that have none, and those whose rows are `lacking`; how many `rows` it wrote, and
    how many of them are lacking; whether the file has later rows that no operation knows of.
    """

    there: list[tuple[int, int, Claim]] = field(default_factory=list)
    lacking: list[tuple[int, int, Claim]] = field(default_factory=list)
    rows: int = 0
    rows_lacking: int = 0
    unknown: bool = False

    @classmethod
    def of(cls, operation: Operation, service: ExportService, tables: DuckDbTables) -> _Written:
        found = cls()
        committed = tables.commits(operation.target)
        successes = service.journal.tasks.successes(operation.name)
        streams = set()
        for page, task, claim in service.journal.tasks.claims(operation.name):
            streams.add(claim.stream)
            rows = successes.get((page, task))
            found.rows += rows or 0
            if claim.stream is None or claim.stream in committed or _is_to_come(claim.stream, rows, tables):
                found.there.append((page, task, claim))
            else:
                found.lacking.append((page, task, claim))
                found.rows_lacking += claim.outcome.counters.success
        later = {stream for stream, at in committed.items() if at > operation.create_time} - streams
        found.unknown = bool(later) and bool(later - set(_claimed_by_others(operation, service)))
        return found


def _is_to_come(stream: str, rows: int | None, tables: DuckDbTables) -> bool:
    """Return whether the stream is still to be committed, or was lost before: then the result of its task has no rows."""
    return tables.can_commit(stream) if rows is None else rows == 0


def reopen(
    service: ExportService,
    tables: DuckDbTables,
    known_files: KnownFiles,
    parents: Iterable[DatasetName],
    datasets: Iterable[tuple[str, str]],
) -> None:
    """Compare the state with the files, remember these as the known files, and delete the streams that nobody needs."""
    for parent in parents:
        Reopening(service, tables, known_files, parent).compare()
    for project, dataset in datasets:
        known_files.remember(project, dataset)
    tables.keep_streams(needed_streams(service.journal))


def _claimed_by_others(operation: Operation, service: ExportService) -> Iterator[str]:
    """Yield the streams of all operations into the same table."""
    for _, other in service.list_operations(operation.name.parent):
        has_table = other.requested and not isinstance(other.requested, FilesRequest)
        if has_table and other.target == operation.target:
            for _, _, claim in service.journal.tasks.claims(other.name):
                if claim.stream:
                    yield claim.stream


def _overwrites(operation: Operation) -> bool:
    return operation.request.write_disposition is WriteDisposition.WRITE_TRUNCATE


def _has_left_table(operation: Operation) -> bool:
    """Return whether an overwrite has dropped its rows, or will: then there is nothing to compare."""
    if operation.is_done:
        return operation.error is not None and not replaces_table(operation, operation.counters or Counters())
    counters = operation.counters or Counters()
    return operation.pages is not None and not counters.pending and not replaces_table(operation, counters)


def _older_copy(operation: Operation, written: _Written) -> str:
    file = f"The DuckDB file of table {operation.table.table}"
    if not written.rows_lacking:
        return f"{file} is not as this export left it: it was restored from an older copy"
    return (
        f"{file} lacks {written.rows_lacking:,} rows that this export had written: it was restored from an older copy"
    )


def needed_streams(journal: Journal) -> set[str]:
    """Return the streams that unfinished operations will commit."""
    needed: set[str] = set()
    for parent in journal.operations.parents():
        for _, operation in journal.operations.newest_first(parent):
            if not operation.is_done:
                decided, claims = journal.tasks.successes(operation.name), journal.tasks.claims(operation.name)
                needed |= {claim.stream for page, task, claim in claims if claim.stream and (page, task) not in decided}
    return needed

"""The service that the API, the batch jobs and the command line call."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dicom_export.errors import DicomExportError
from dicom_export.exporting.create import create_export
from dicom_export.exporting.replay import create_replay
from dicom_export.logs import Event, operation_event
from dicom_export.messages import PlanExport
from dicom_export.names import DatasetName, OperationName, StoreName
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Status
from dicom_export.operations.plan_page import PlanPage
from dicom_export.rows.layout import RowLayout
from dicom_export.stores import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dicom_export.exporting.copying import CopyFolders
    from dicom_export.operations.estimate import Estimate
    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import Request
    from dicom_export.ports import DicomStore, Publisher, Tables
    from dicom_export.rows.layout import SchemaKind
    from dicom_export.state.dead_letters import DeadLetter
    from dicom_export.state.journal import Journal
    from dicom_export.stored_object import Unlisted
    from dicom_export.stores import DeclaredStore
    from dicom_export.streaming.config import StreamConfig


log = logging.getLogger(__name__)

_FORGOTTEN = timedelta(minutes=10)


@dataclass(frozen=True)
class OperationsService:
    """The operations of an installation. It needs only their state."""

    journal: Journal

    def get_operation(self, name: OperationName) -> Operation:
        """Return the operation with its counters as they are now. Raises NotFound."""
        return self._counted(self.journal.operations.load(name))

    def list_operations(self, parent: DatasetName, *, start_after: str = "") -> Iterator[tuple[str, Operation]]:
        """Yield a dataset's operations, newest first, each with the position that `start_after` takes."""
        for position, operation in self.journal.operations.newest_first(parent, start_after):
            yield position, self._counted(operation)

    def newest_first(self, parent: DatasetName) -> Iterator[Operation]:
        """Yield a dataset's operations."""
        return (operation for _, operation in self.list_operations(parent))

    def cancel_operation(self, name: OperationName) -> Operation:
        """Request the operation's end. This has no effect on one that has ended. Raises NotFound."""
        operation = self.journal.operations.change(
            name, lambda current: current if current.is_done else replace(current, cancel_requested=True)
        )
        return self._counted(operation)

    def failures(self, name: OperationName) -> Iterator[Failure]:
        """Yield the operation's failures so far. Raises NotFound."""
        return (failure for _, failure in self.failures_after(name))

    def failures_after(self, name: OperationName, *, start_after: str = "") -> Iterator[tuple[str, Failure]]:
        """Yield the operation's failures, each with the position that `start_after` takes. Raises NotFound."""
        self.journal.operations.load(name)
        return self.journal.tasks.failures_after(start_after, name)

    def passed_over(self, name: OperationName) -> Iterator[tuple[str, str]]:
        """Yield the objects that were recognised as other than DICOM, each with its kind. Raises NotFound."""
        self.journal.operations.load(name)
        return self.journal.tasks.passed_over(name)

    def unlisted(self, name: OperationName) -> list[Unlisted]:
        """Return what the operation could not list so far."""
        return self.journal.plans.unlisted(name)

    def dead_letters(self, parent: DatasetName, name: OperationName | None = None) -> Iterator[DeadLetter]:
        """Yield the messages that ran out of attempts, of a dataset's operations or of one of them."""
        return self.journal.dead_letters.all(parent, name)

    def set_reported(self, name: OperationName) -> None:
        """Note that the user has seen how the operation ended: from now on the same command begins another one."""
        self.journal.operations.change(name, lambda current: replace(current, awaits_report=False))

    def _counted(self, operation: Operation) -> Operation:
        return replace(operation, counters=self.journal.pages.counters(operation))


def new_name(request: Request) -> OperationName:
    """Return a new name for an operation."""
    return OperationName(request.store.parent, str(secrets.randbelow(9 * 10**18) + 10**18))


@dataclass(frozen=True)
class ExportService(OperationsService):
    """The operations and the stores of an installation that can start one."""

    stores: Mapping[StoreName, DeclaredStore]
    buckets: Callable[[str], DicomStore | None]
    tables: Tables
    publisher: Publisher
    folders: CopyFolders
    workers: int = 0

    def create_export(
        self,
        request: Request,
        *,
        api_version: str = "v1",
        name: OperationName | None = None,
        awaits_report: bool = False,
    ) -> Operation:
        """Start an export, of a `new_name` unless it has one. Raises what `exporting.create.create_export` raises."""
        name = name or new_name(request)
        operation = self.create(request, name, api_version=api_version, awaits_report=awaits_report)
        try:
            self.resume(operation)
        except DicomExportError as error:
            # The client gets an error, and may request the export again: this operation must not stay pending for ever.
            status = Status(error.code, f"The export could not be started: {error.message}")
            if self.journal.plans.create_page(name, 0, PlanPage(error=status)).error == status:
                self.give_up(operation, status)
                raise
            # Its first message was published after all.
        return operation

    def create(
        self, request: Request, name: OperationName, *, api_version: str, awaits_report: bool = False
    ) -> Operation:
        """Create an operation of this name, which `resume` starts. Raises what `exporting.create.create_export` raises."""
        return create_export(
            request,
            name,
            api_version=api_version,
            journal=self.journal,
            stores=self.stores,
            buckets=self.buckets,
            tables=self.tables,
            folders=self.folders,
            awaits_report=awaits_report,
        )

    def get_operation(self, name: OperationName) -> Operation:
        """Return the operation with its counters as they are now, and mend a plan that does not go on.

        The message that would plan the first or the next page may be lost: once in a while it is published again if
        everything that was planned has its result. Raises NotFound.
        """
        operation = super().get_operation(name)
        periods = (datetime.now(UTC) - operation.create_time) // _FORGOTTEN
        has_results = operation.pages is None and not (operation.counters or Counters()).pending
        is_forgotten = not operation.is_done and periods > 0 and has_results
        if is_forgotten and self.journal.operations.is_first_to_heal(name, periods):
            self._plan_on(name)
        return operation

    def cancel_operation(self, name: OperationName) -> Operation:
        """Request the operation's end, also if the message that plans its next page is lost."""
        operation = super().cancel_operation(name)
        if not operation.is_done:
            self._plan_on(name)
        return operation

    def _plan_on(self, name: OperationName) -> None:
        """Publish the message of the last planned page, which has the next one planned, or the plan sealed."""
        pages = self.journal.plans.pages(name) or [0]
        self.publisher.publish([PlanExport(name, pages[-1])])

    def unfinished(self, parent: DatasetName) -> list[Operation]:
        """Return the operations of a dataset that have not ended."""
        return [operation for _, operation in self.journal.operations.newest_first(parent) if not operation.is_done]

    def replay(self, name: OperationName) -> Operation:
        """Export the instances of an operation's dead letters. Raises what `exporting.replay.create_replay` raises."""
        operation = create_replay(name, self.journal)
        if not operation.is_done:
            self.resume(operation)
        return operation

    def give_up(self, operation: Operation, reason: Status, *, is_reported: bool = False) -> None:
        """End an operation that cannot continue, with its counters as they are. This has no effect on one that has ended.

        If `is_reported`, it does not await its report: the same command begins another operation.
        """
        counters = self.journal.pages.counters(operation)

        def ended(current: Operation) -> Operation:
            if current.is_done:
                return current
            awaits_report = current.awaits_report and not is_reported
            return replace(
                current, end_time=datetime.now(UTC), counters=counters, error=reason, awaits_report=awaits_report
            )

        self.journal.operations.change(operation.name, ended)
        log.warning("Export given up: %s", reason.message, extra=operation_event(operation.name, Event.ENDED))

    def resume(self, operation: Operation) -> None:
        """Continue an operation whose messages were lost: everything that exists stays, and what is missing is done."""
        pages = self.journal.plans.pages(operation.name) or [0]
        self.publisher.publish([PlanExport(operation.name, page) for page in pages])

    def get_store(self, name: StoreName) -> StoreName:
        """Return the store's name if it is declared. Raises NotFound."""
        declared(self.stores, name)
        return name

    def estimate(self, name: StoreName, kind: SchemaKind) -> Estimate:
        """Return what an export of the store would take. Raises NotFound."""
        # It decodes a sample; the HTTP function starts without pydicom and pyarrow.
        from dicom_export.decoding.budget import DEFAULT_LIMITS
        from dicom_export.exporting.estimate import estimate_export

        return estimate_export(declared(self.stores, name), RowLayout(kind), DEFAULT_LIMITS, workers=self.workers)

    def stream_configs(self, name: StoreName) -> tuple[StreamConfig, ...]:
        """Return where rows of the store's new objects go. Raises NotFound."""
        return declared(self.stores, name).streams

    def datasets(self) -> list[DatasetName]:
        """Return the datasets of the declared stores, by name."""
        return sorted({name.parent for name in self.stores})

    def list_stores(self, parent: DatasetName) -> list[StoreName]:
        """Return the declared stores of a dataset, by name."""
        return sorted(name for name in self.stores if name.parent == parent)

"""What the API, the batch jobs and the command line ask for."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.handlers.create import create_export
from dicom_export.messages import PlanExport
from dicom_export.names import DatasetName, OperationName, StoreName
from dicom_export.operations import Status
from dicom_export.stores import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dicom_export.errors import DicomExportError
    from dicom_export.journal import Journal
    from dicom_export.operations import ExportRequest, Failure, Operation
    from dicom_export.ports import DicomStore, Publisher, Tables
    from dicom_export.stores import DeclaredStore


@dataclass(frozen=True)
class OperationsService:
    """The operations of an installation: needs nothing but their state."""

    journal: Journal

    def get_operation(self, name: OperationName) -> Operation:
        """Return the operation with its counters as they are now. Raises NotFound."""
        return self._counted(self.journal.load(name))

    def list_operations(self, parent: DatasetName, *, start_after: str = "") -> Iterator[tuple[str, Operation]]:
        """Yield a dataset's operations, newest first, each with the position that `start_after` takes."""
        for position, operation in self.journal.newest_first(parent, start_after):
            yield position, self._counted(operation)

    def cancel_operation(self, name: OperationName) -> Operation:
        """Ask for the operation's end; without effect on one that has ended. Raises NotFound."""
        operation = self.journal.change(
            name, lambda current: current if current.is_done else replace(current, cancel_requested=True)
        )
        return self._counted(operation)

    def failures(self, name: OperationName) -> Iterator[Failure]:
        """Yield the operation's failures as far as it is. Raises NotFound."""
        self.journal.load(name)
        return self.journal.failures(name)

    def _counted(self, operation: Operation) -> Operation:
        return replace(operation, counters=self.journal.counters(operation))


@dataclass(frozen=True)
class ExportService(OperationsService):
    """The operations and the stores of an installation that can start one."""

    stores: Mapping[StoreName, DeclaredStore]
    buckets: Callable[[str], DicomStore | None]
    tables: Tables
    publisher: Publisher

    def create_export(self, request: ExportRequest, *, api_version: str = "v1") -> Operation:
        """Start an export. Raises what `handlers.create.create_export` raises."""
        return create_export(
            request,
            OperationName(request.store.parent, str(secrets.randbelow(9 * 10**18) + 10**18)),
            api_version=api_version,
            journal=self.journal,
            stores=self.stores,
            buckets=self.buckets,
            tables=self.tables,
            publisher=self.publisher,
        )

    def cancel_operation(self, name: OperationName) -> Operation:
        """Ask for the operation's end, and see to it even if the message that would plan its next page is lost."""
        operation = super().cancel_operation(name)
        if not operation.is_done:
            pages = self.journal.planned_pages(name) or [0]
            self.publisher.publish([PlanExport(name, pages[-1])])
        return operation

    def give_up(self, operation: Operation, reason: DicomExportError) -> None:
        """End an operation that cannot go on, as it is now."""
        counters = self.journal.counters(operation)
        status = Status(reason.code, reason.message)
        self.journal.change(
            operation.name,
            lambda current: replace(current, end_time=datetime.now(UTC), counters=counters, error=status),
        )

    def resume(self, operation: Operation) -> None:
        """Have an operation go on whose messages were lost: everything that exists stays, what is missing is done."""
        pages = self.journal.planned_pages(operation.name) or [0]
        self.publisher.publish([PlanExport(operation.name, page) for page in pages])

    def get_store(self, name: StoreName) -> StoreName:
        """Return the store's name if it is declared. Raises NotFound."""
        declared(self.stores, name)
        return name

    def list_stores(self, parent: DatasetName) -> list[StoreName]:
        """Return the declared stores of a dataset, by name."""
        return sorted(name for name in self.stores if name.parent == parent)

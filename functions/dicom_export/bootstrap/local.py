"""The composition root: which adapters stand behind the ports, and which handler takes which message."""

from __future__ import annotations

import atexit
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from dicom_export import settings
from dicom_export.adapters.local.state import FolderState
from dicom_export.errors import DicomExportError, FailedPrecondition, Internal
from dicom_export.handlers.service import ExportService, OperationsService
from dicom_export.journal import Journal
from dicom_export.messages import ExportStudy, PlanExport, StudyExported
from dicom_export.stores import DeclaredStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from dicom_export.adapters.local.destinations import KnownFiles
    from dicom_export.adapters.local.queue import LocalQueue
    from dicom_export.handlers.decoding import Decode
    from dicom_export.messages import Message
    from dicom_export.names import StoreName
    from dicom_export.planning import PlanLimits
    from dicom_export.ports import DicomStore, OperationStore, Publisher, Tables
    from dicom_export.settings import LocalSettings


@dataclass(frozen=True)
class Ports:
    """The adapters that an installation runs on."""

    operations: OperationStore
    stores: Mapping[StoreName, DeclaredStore]
    buckets: Callable[[str], DicomStore | None]
    tables: Tables
    publisher: Publisher

    @property
    def journal(self) -> Journal:
        """The state of the installation's operations."""
        return Journal(self.operations)


def service_on(ports: Ports) -> ExportService:
    """Return what can be asked of an installation."""
    return ExportService(ports.journal, ports.stores, ports.buckets, ports.tables, ports.publisher)


def handlers_on(ports: Ports, limits: PlanLimits, decode: Decode | None = None) -> dict[str, Callable[..., None]]:
    """Return the handler of each topic's messages."""
    # The HTTP function imports this module, and starts without pydicom and pyarrow.
    from dicom_export.handlers.decoding import decode_in_turn  # noqa: PLC0415 - as said above
    from dicom_export.handlers.export import export_study  # noqa: PLC0415
    from dicom_export.handlers.plan import plan_export  # noqa: PLC0415
    from dicom_export.handlers.record import record_result  # noqa: PLC0415

    journal, stores, tables, publisher = ports.journal, ports.stores, ports.tables, ports.publisher
    return {
        PlanExport.topic: partial(
            plan_export,
            journal=journal,
            stores=stores,
            buckets=ports.buckets,
            tables=tables,
            publisher=publisher,
            limits=limits,
        ),
        ExportStudy.topic: partial(
            export_study,
            journal=journal,
            stores=stores,
            tables=tables,
            publisher=publisher,
            decode=decode or decode_in_turn,
        ),
        StudyExported.topic: partial(record_result, journal=journal, tables=tables),
    }


def dead_letters_on(ports: Ports) -> Callable[[Message, BaseException], None]:
    """Return what becomes of a message that is out of attempts, and of the error of its last one."""
    from dicom_export.handlers.record import record_dead_letter  # noqa: PLC0415 - as in `handlers_on`

    def on_dead_letter(message: Message, error: BaseException) -> None:
        reason = error if isinstance(error, DicomExportError) else Internal(f"{type(error).__name__} in a handler")
        record_dead_letter(
            message,
            reason,
            journal=ports.journal,
            stores=ports.stores,
            tables=ports.tables,
            publisher=ports.publisher,
        )

    return on_dead_letter


@dataclass(frozen=True)
class LocalHouse:
    """Everything on one machine: what can be asked for, and the queue whose workers do it."""

    service: ExportService
    queue: LocalQueue

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Return whether all work was done within the time. Raises what stopped the workers, such as a full disk."""
        return self.queue.join(timeout_seconds)


@contextmanager
def local_house(local: LocalSettings) -> Iterator[LocalHouse]:
    """Open the folders and the DuckDB files, have the workers work, and in the end close all of it.

    Raises FailedPrecondition if a file is no DuckDB file or another process has it open.
    """
    # As in `handlers_on`: without DuckDB too.
    from dicom_export.adapters.local.decoding import ParallelDecoder  # noqa: PLC0415
    from dicom_export.adapters.local.destinations import KnownFiles  # noqa: PLC0415
    from dicom_export.adapters.local.queue import LocalQueue  # noqa: PLC0415
    from dicom_export.adapters.local.store import FolderStore  # noqa: PLC0415
    from dicom_export.adapters.local.tables import DuckDbTables  # noqa: PLC0415

    with ExitStack() as stack:
        tables = DuckDbTables(local.databases, streams=local.data / "streams", directory=local.data)
        stack.callback(tables.close)
        for project, dataset in local.datasets:
            tables.create_dataset(project, dataset)

        def on_dead_letter(message: Message, error: BaseException) -> None:
            dead_letters_on(ports)(message, error)

        queue = LocalQueue(workers=local.workers, on_dead_letter=on_dead_letter)
        ports = Ports(
            FolderState(local.data / "state"),
            {name: DeclaredStore(FolderStore(folder), local.ignore) for name, folder in local.stores.items()},
            {name: FolderStore(folder) for name, folder in local.buckets.items()}.get,
            tables,
            queue,
        )
        service = service_on(ports)
        known_files = KnownFiles(ports.operations, tables)
        _give_up_lost_destinations(service, local, known_files)
        for project, dataset in local.datasets:
            known_files.remember(project, dataset)
        decode = stack.enter_context(ParallelDecoder(local.workers))
        stack.enter_context(queue).start(handlers_on(ports, local.limits, decode))
        yield LocalHouse(service, queue)


def _give_up_lost_destinations(service: ExportService, local: LocalSettings, known_files: KnownFiles) -> None:
    """End the unfinished operations whose file was deleted or replaced: their committed rows are gone."""
    for parent in {name.parent for name in local.stores}:
        for _, operation in service.list_operations(parent):
            table = operation.request.table
            if not operation.is_done and not known_files.has(table):
                reason = f"The file of {table} was deleted or replaced while the export was unfinished; start it again"
                service.give_up(operation, FailedPrecondition(reason))


def local_operations(data: Path) -> OperationsService:
    """Return the operations whose state lies in the folder, without opening their tables."""
    return OperationsService(Journal(FolderState(data / "state")))


def service() -> ExportService:
    """Return the installation that the environment describes, opened once a process.

    Operations whose messages were lost with the process before go on.
    """
    with _opening:
        return _opened()


_opening = threading.Lock()


@cache
def _opened() -> ExportService:
    local = settings.from_environment()
    stack = ExitStack()
    atexit.register(stack.close)
    opened = stack.enter_context(local_house(local)).service
    for parent in {name.parent for name in local.stores}:
        for _, operation in opened.list_operations(parent):
            if not operation.is_done:
                opened.resume(operation)
    return opened

"""Connect handlers to messages and ports, for any adapters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dicom_export.errors import DicomExportError, Internal
from dicom_export.exporting.service import ExportService
from dicom_export.messages import ExportStudy, InstanceChanged, PlanExport, StudyExported
from dicom_export.state.journal import Journal
from dicom_export.state.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dicom_export.exporting.copying import CopyFolders
    from dicom_export.exporting.failure_report import FailureReport
    from dicom_export.messages import Message
    from dicom_export.names import StoreName, TableName
    from dicom_export.operations.planning import PlanLimits
    from dicom_export.ports import Decode, DecodeBatches, DicomStore, OperationStore, Publisher, Warehouse
    from dicom_export.stores import DeclaredStore


@dataclass(frozen=True)
class Ports:
    """The adapters that an installation runs on. `workers` is the number of processes on one machine."""

    operations: OperationStore
    stores: Mapping[StoreName, DeclaredStore]
    buckets: Callable[[str], DicomStore | None]
    tables: Warehouse
    publisher: Publisher
    failures_table: TableName | None = None
    folders: CopyFolders = lambda _: None
    workers: int = 0

    @property
    def journal(self) -> Journal:
        """The state of the installation's operations."""
        return Journal(self.operations)

    @property
    def uploads(self) -> Uploads:
        """The state of its automatic export."""
        return Uploads(self.operations)


def service_on(ports: Ports) -> ExportService:
    """Return the service of an installation."""
    return ExportService(
        ports.journal, ports.stores, ports.buckets, ports.tables, ports.publisher, ports.folders, ports.workers
    )


def handlers_on(
    ports: Ports,
    limits: PlanLimits,
    decode: Decode | None = None,
    decode_batches: DecodeBatches | None = None,
    copy_seconds: float = math.inf,
) -> dict[str, Callable[..., None]]:
    """Return the handler of each topic's messages."""
    # The HTTP function imports this module, and starts without pydicom and pyarrow.
    from dicom_export.decoding.batches import batches_of
    from dicom_export.decoding.many import decode_in_turn
    from dicom_export.handlers.export_study import export_study
    from dicom_export.handlers.plan_export import plan_export
    from dicom_export.handlers.record_result import record_result

    decode = decode or partial(decode_in_turn, limits=limits.objects)
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
            decode=decode,
        ),
        ExportStudy.topic: partial(
            export_study,
            journal=journal,
            stores=stores,
            tables=tables,
            publisher=publisher,
            decode=decode_batches or batches_of(decode),
            columns=limits.columns,
            folders=ports.folders,
            copy_seconds=copy_seconds,
        ),
        StudyExported.topic: partial(
            record_result, journal=journal, tables=tables, publisher=publisher, report=_report_on(ports)
        ),
        InstanceChanged.topic: streaming_on(ports, limits),
    }


def streaming_on(ports: Ports, limits: PlanLimits) -> Callable[[InstanceChanged], None]:
    """Return the handler of changes of the stores' objects."""
    from dicom_export.decoding.many import decode_in_turn
    from dicom_export.handlers.stream_instance import stream_instance
    from dicom_export.streaming.writing import ChangeWriters

    return partial(
        stream_instance,
        journal=ports.journal.uploads,
        stores=ports.stores,
        writers=ChangeWriters(ports.tables, ports.journal.overwrites, limits.columns),
        decode=partial(decode_in_turn, limits=limits.objects),
    )


def lost_changes_on(ports: Ports) -> Callable[[InstanceChanged, DicomExportError], None]:
    """Return the handler of changes that are out of attempts."""
    from dicom_export.handlers.stream_instance import report_lost_instance

    return partial(report_lost_instance, stores=ports.stores)


def _report_on(ports: Ports) -> FailureReport | None:
    from dicom_export.exporting.failure_report import FailureReport

    return FailureReport(ports.failures_table, ports.tables, ports.journal) if ports.failures_table else None


def dead_letters_on(ports: Ports) -> Callable[[Message, BaseException], None]:
    """Return the handler of messages that are out of attempts, which also takes the error of the last attempt."""
    from dicom_export.handlers.record_result import record_dead_letter

    def on_dead_letter(message: Message, error: BaseException) -> None:
        reason = error if isinstance(error, DicomExportError) else Internal(f"{type(error).__name__} in a handler")
        if isinstance(message, InstanceChanged):
            lost_changes_on(ports)(message, reason)
            return
        record_dead_letter(
            message,
            reason,
            journal=ports.journal,
            stores=ports.stores,
            tables=ports.tables,
            publisher=ports.publisher,
        )

    return on_dead_letter


def objects_of(store: DicomStore, ignore: Sequence[str], *, archives: bool) -> DicomStore:
    """Return the store, or with `archives` the store whose archives are replaced by their members."""
    if not archives:
        return store
    # Only those who read archives load the libraries for that.
    from dicom_export.archives.store import ArchiveStore

    return ArchiveStore(store, ignore)

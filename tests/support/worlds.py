"""An installation on one machine whose messages the test delivers, and whose process can die at any call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dicom_export.adapters.local.duckdb.definitions import table_sql
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.adapters.local.folder.copies import FolderCopies
from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.bootstrap.wiring import Ports, handlers_on, service_on
from dicom_export.errors import TransientError
from dicom_export.messages import InstanceChanged, encode
from dicom_export.names import GcsFolder
from dicom_export.operations.planning import PlanLimits
from dicom_export.operations.request import ExportRequest, FilesRequest, WriteDisposition
from dicom_export.rows.layout import SchemaKind
from dicom_export.stores import DeclaredStore
from support.factories import STORE, TABLE
from support.faults import Crash, Faults, Faulty, Mailbox

if TYPE_CHECKING:
    from dicom_export.messages import ObjectEvent
    from dicom_export.names import GcsUri, TableName
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import Request
    from dicom_export.ports import CopyFolder, DicomStore
    from dicom_export.stored_object import StoredObject
    from dicom_export.streaming.config import StreamConfig

LIMITS = PlanLimits(bundle=3, split=4, page_tasks=2, page_objects=6)
ONE_OUTSTANDING = replace(LIMITS, outstanding=1)
"""Pages of one message, each of which is planned when the message before has its result."""
MOST_DELIVERIES = 10_000


class OneAtOnce(FolderCopies):
    """Makes one copy at a time, so that the calls of a test are in order."""

    @property
    def copies_at_once(self) -> int:
        return 1


class World:
    """The local adapters below `root`, on the DICOM files in `store`; `gs://filters` is the folder `root`/filters."""

    def __init__(
        self,
        root: Path,
        store: Path | DicomStore,
        faults: Faults | None = None,
        failures_table: TableName | None = None,
        streams: tuple[StreamConfig, ...] = (),
        limits: PlanLimits = LIMITS,
    ) -> None:
        self.faults = faults or Faults()
        self.mailbox = Mailbox(self.faults)
        self.file = root / "table.duckdb"
        self.copies = root / "copies"
        self.copies.mkdir(parents=True, exist_ok=True)
        self._failures_table = failures_table
        self._limits = limits
        self._root = root
        self._limits = limits
        self._declared = DeclaredStore(FolderStore(store) if isinstance(store, Path) else store, ("*.txt",), streams)
        self._start()
        self.tables.create_dataset("local", "main")

    def _start(self) -> None:
        self.tables = self._open_tables()
        self.ports = Ports(
            cast("Any", Faulty(FolderState(self._root / "state"), self.faults)),
            {STORE: self._declared},
            {"filters": FolderStore(self._root / "filters")}.get,
            cast("Any", Faulty(self.tables, self.faults)),
            self.mailbox,
            self._failures_table,
            self._folder_of_copies,
        )
        self.service = service_on(self.ports)
        self.handlers = handlers_on(self.ports, self._limits)

    def _open_tables(self) -> DuckDbTables:
        return DuckDbTables({"local": self.file}, streams=self._root / "streams")

    def _folder_of_copies(self, folder: GcsFolder) -> CopyFolder | None:
        if folder.bucket != self.copies.name:
            return None
        return cast("CopyFolder", Faulty(OneAtOnce(self.copies, folder.prefix), self.faults))

    def deliver(self, index: int = 0, *, again: bool = False) -> None:
        """Deliver a message. If the process dies of it, the next one starts with what was on disk."""
        try:
            self.mailbox.deliver(self.handlers, index, again=again)
        except TransientError:
            pass  # it comes again
        except Crash:
            self.tables.close()
            self._start()

    def export_files(self, filter_uri: GcsUri | None = None, prefix: str = "") -> Operation:
        """Request copies of the files in `gs://copies`; nothing is delivered yet, and nothing crashes."""
        return self._requested(FilesRequest(STORE, GcsFolder(self.copies.name, prefix), filter_uri))

    def copied(self) -> dict[str, bytes]:
        """Return the content of everything in `gs://copies`."""
        found = (path for path in self.copies.rglob("*") if path.is_file())
        return {str(path.relative_to(self.copies)): path.read_bytes() for path in found}

    def export(
        self,
        disposition: WriteDisposition = WriteDisposition.WRITE_APPEND,
        filter_uri: GcsUri | None = None,
        schema: SchemaKind = SchemaKind.JSON,
        **options: Any,
    ) -> Operation:
        """Request an export; nothing is delivered yet, and nothing crashes."""
        return self._requested(ExportRequest(STORE, TABLE, disposition, schema, filter_uri=filter_uri, **options))

    def _requested(self, request: Request) -> Operation:
        with self.faults.disarmed():
            operation = self.service.create_export(request)
        self.faults.log.clear()
        self.faults.calls.clear()
        return operation

    def drain(self) -> None:
        """Deliver until nothing waits. What comes again for ever is a failure, and no test that never ends."""
        for _ in range(MOST_DELIVERIES):
            if not self.mailbox.waiting:
                return
            self.deliver()
        raise AssertionError(f"After {MOST_DELIVERIES} deliveries still waiting: {self.mailbox.waiting[0]}")

    def change(self, event: ObjectEvent, stored: StoredObject) -> None:
        """Tell of a change of the store's object; nothing is delivered yet."""
        self.mailbox.waiting.append((InstanceChanged.topic, encode(InstanceChanged(STORE, event, stored))))

    def ended(self, operation: Operation) -> Operation:
        with self.faults.disarmed():
            return self.service.get_operation(operation.name)

    def instances(self, table: TableName = TABLE) -> list[str]:
        """Return the SOP Instance UIDs in the destination; none if there is no such table."""
        return [row["SOPInstanceUID"] for row in self.rows(table)]

    def rows(self, table: TableName = TABLE) -> list[dict[str, Any]]:
        """Return the rows of a table by SOP Instance UID; none if there is no such table."""
        if self.tables.describe(table) is None:
            return []
        with self.tables._catalogs.cursor(table.project, table.dataset) as cursor:
            rows: list[dict[str, Any]] = cursor.sql(f"FROM {table_sql(table)}").to_arrow_table().to_pylist()
        return sorted(rows, key=lambda row: str(row["SOPInstanceUID"]))

    def stream_folders(self) -> list[Path]:
        """Return what is left of streams on disk."""
        streams = self._root / "streams"
        return [folder for folder in streams.iterdir() if folder.is_dir()] if streams.is_dir() else []

    def close(self) -> None:
        self.tables.close()


class NoTables:
    """Takes the place of a database where none may be used."""

    def create_dataset(self, project: str, dataset: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class FilesWorld(World):
    """A world without a database, which exports of files do without."""

    def _open_tables(self) -> DuckDbTables:
        return cast("DuckDbTables", NoTables())

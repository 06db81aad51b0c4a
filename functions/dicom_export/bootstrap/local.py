"""Open the deployment on one machine: folders, a queue in this process, and DuckDB files."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.ahead import MOST_READERS, Ahead
from dicom_export.bootstrap.reopening import needed_streams, reopen
from dicom_export.bootstrap.wiring import Ports, dead_letters_on, handlers_on, objects_of, service_on
from dicom_export.errors import InvalidArgument, NotFound
from dicom_export.exporting.service import ExportService, OperationsService
from dicom_export.settings import CONSOLE_BUCKET, LocalBucket
from dicom_export.state.journal import Journal
from dicom_export.stores import DeclaredStore
from dicom_export.watching.touched import Touched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_export.adapters.local.duckdb.tables import DuckDbTables
    from dicom_export.adapters.local.queue import Disorder, LocalQueue
    from dicom_export.decoding.counted import DecodedCounts
    from dicom_export.messages import Message
    from dicom_export.names import GcsFolder, TableName
    from dicom_export.operations.request import TableRequest
    from dicom_export.ports import DicomStore
    from dicom_export.settings import LocalSettings, Place
    from dicom_export.stored_object import StoredObject
    from dicom_export.verifying.verify import Verification
    from dicom_export.watching.keep_watch import Watcher
    from dicom_export.watching.watcher import Looked


@dataclass(frozen=True)
class LocalDeployment:
    """A deployment on one machine: the service, the queue whose workers do the work, and what they have decoded so far."""

    service: ExportService
    queue: LocalQueue
    tables: DuckDbTables
    verification: Callable[[TableName], Verification]
    decoded: DecodedCounts

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for all work, and return whether it was done in time. Raises the error that stopped the workers, such as a full disk."""
        return self.queue.join(timeout_seconds)


@contextmanager
def local_deployment(local: LocalSettings, disorder: Disorder | None = None) -> Iterator[LocalDeployment]:
    """Open the folders and the DuckDB files, start the workers, and close everything at the end of the context.

    Raises FailedPrecondition if a file is not a DuckDB file, or another process has it open.
    """
    # `local_operations` does not need DuckDB.
    from dicom_export.adapters.local.duckdb.destinations import KnownFiles
    from dicom_export.adapters.local.duckdb.tables import DuckDbTables
    from dicom_export.adapters.local.folder.copies import FolderCopies
    from dicom_export.adapters.local.folder.store import FolderStore
    from dicom_export.adapters.local.queue import LocalQueue
    from dicom_export.decoding.counted import CountedBatches, DecodedCounts
    from dicom_export.decoding.processes import ParallelDecoder
    from dicom_export.verifying.verify import Verification

    with ExitStack() as stack:
        tables = DuckDbTables(local.databases, streams=local.data / "streams", directory=local.data)
        stack.callback(tables.close)
        for project, dataset in local.datasets:
            tables.create_dataset(project, dataset)

        def on_dead_letter(message: Message, error: BaseException) -> None:
            dead_letters_on(ports)(message, error)

        buckets = {CONSOLE_BUCKET: local.filter_folder, **local.buckets}

        def folder_of_copies(folder: GcsFolder) -> FolderCopies | None:
            root = local.buckets.get(folder.bucket)
            return FolderCopies(root, folder.prefix, local.links) if root else None

        queue = LocalQueue(workers=local.workers, on_dead_letter=on_dead_letter, disorder=disorder)
        ports = Ports(
            FolderState(local.data / "state"),
            {
                name: local_store_of(place, local.ignore, local.readers, archives=local.archives)
                for name, place in local.stores.items()
            },
            {name: FolderStore(folder) for name, folder in buckets.items()}.get,
            tables,
            queue,
            folders=folder_of_copies,
            workers=local.workers,
        )
        service = service_on(ports)
        parents = {name.parent for name in local.stores}
        reopen(service, tables, KnownFiles(ports.operations, tables), parents, local.datasets)
        stack.callback(lambda: tables.keep_streams(needed_streams(service.journal)))
        decode = stack.enter_context(ParallelDecoder(local.workers, local.limits.objects, local.readers))
        decoded = DecodedCounts()
        stack.enter_context(queue).start(
            handlers_on(ports, local.limits, decode, CountedBatches(decode.batches, decoded))
        )
        yield LocalDeployment(service, queue, tables, partial(Verification, tables=tables, decode=decode), decoded)


@contextmanager
def folder_watcher(
    local: LocalSettings,
    request: TableRequest,
    report: Callable[[Looked], None],
    *,
    follows: bool,
) -> Iterator[Watcher]:
    """Open the watcher that keeps the request's table in sync with its folder. If it `follows`, events of the file system trigger it."""
    from dicom_export.adapters.local.duckdb.tables import DuckDbTables
    from dicom_export.adapters.local.duckdb.watched import WatchedTable
    from dicom_export.adapters.local.folder.events import folder_events
    from dicom_export.adapters.local.folder.mounts import Mounts
    from dicom_export.decoding.processes import ParallelDecoder
    from dicom_export.watching.keep_watch import Watcher
    from dicom_export.watching.watcher import PATIENCE_SECONDS, REST_SECONDS, FolderWatch

    folder = local.stores[request.store]
    if isinstance(folder, LocalBucket):
        raise InvalidArgument(f"{folder} is a bucket: expected a folder")
    touched = Touched()
    unlisted: dict[str, str] = {}
    store = local_store_of(folder, local.ignore, local.readers)
    layout = request.row_layout

    _remove_unneeded_streams(local.data)
    with ExitStack() as stack:
        decode = stack.enter_context(ParallelDecoder(local.workers, local.limits.objects, local.readers))
        ahead = stack.enter_context(Ahead(local.readers))

        @contextmanager
        def opened() -> Iterator[FolderWatch]:
            with DuckDbTables(local.databases, streams=local.data / "streams", directory=local.data) as tables:
                for project, dataset in local.datasets:
                    tables.create_dataset(project, dataset)
                limits, uri_of = local.limits.columns, store.objects.uri
                rows = WatchedTable(
                    tables,
                    request.table,
                    request.store,
                    layout,
                    limits,
                    uri_of,
                    find=store.objects.get,
                    views=request.views,
                )
                patience = PATIENCE_SECONDS if follows else 0
                yield FolderWatch(
                    store,
                    rows,
                    decode,
                    layout,
                    touched,
                    patience=patience,
                    unlisted=unlisted,
                    mounts=Mounts(folder),
                    ahead=ahead,
                )

        if follows:
            stack.enter_context(folder_events(folder, touched, local.ignore, REST_SECONDS))
        yield Watcher(opened, touched, report)


def _remove_unneeded_streams(data: Path) -> None:
    """Delete the rows that a killed export has left and that nobody will commit: `watch` may be the only command that is run."""
    from dicom_export.adapters.local.duckdb.streams import Streams

    folder = data / "streams"
    if folder.is_dir():
        with closing(Streams(folder)) as streams:
            streams.keep(needed_streams(local_operations(data).journal))


def local_store_of(
    place: Place, ignore: tuple[str, ...], readers: int = MOST_READERS, *, archives: bool = False
) -> DeclaredStore:
    """Return the folder or the bucket as a store. Raises ConfigurationError if the library of the bucket is not installed."""
    from dicom_export.adapters.local.folder.store import FolderStore
    from dicom_export.bootstrap.buckets import declared_bucket

    if isinstance(place, LocalBucket):
        declared = declared_bucket(place)
        return replace(declared, objects=objects_of(declared.objects, ignore, archives=archives), ignore=ignore)
    return DeclaredStore(objects_of(FolderStore(place, ignore, readers), ignore, archives=archives), ignore)


def file_and_store(file: Path) -> tuple[DicomStore, StoredObject]:
    """Return the folder of a file as a store, and the file as its object. Raises NotFound if it is not a regular file."""
    from dicom_export.adapters.local.folder.store import FolderStore
    from dicom_export.adapters.local.folder.walk import name_of_entry

    path = file.absolute()
    store = FolderStore(path.parent)
    stored = store.get(name_of_entry(path.name))
    if stored is None:
        raise NotFound(
            f"{str(file)!r} is not a regular file" if file.exists() else f"File {str(file)!r} does not exist"
        )
    return store, stored


def local_operations(data: Path) -> OperationsService:
    """Return the operations whose state is in the folder, without opening their tables."""
    return OperationsService(Journal(FolderState(data / "state")))


def resumed(stack: ExitStack, local: LocalSettings) -> LocalDeployment:
    """Open the deployment until the stack closes, and resume the operations whose messages were lost with an earlier process."""
    opened = stack.enter_context(local_deployment(local))
    for parent in {name.parent for name in local.stores}:
        for _, operation in opened.service.list_operations(parent):
            if not operation.is_done:
                opened.service.resume(operation)
    return opened

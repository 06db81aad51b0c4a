"""What the handlers need of the world. Each port has an adapter on Google Cloud and one on a single machine.

Every method may raise TransientError; what else it raises is said with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from dicom_export.decoding.decoded import Decoded, DecodedBatch, Select
    from dicom_export.messages import Message
    from dicom_export.names import DatasetName, OperationName, StoreName, TableName
    from dicom_export.operations.counters import DifferenceCounts
    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import ExportRequest
    from dicom_export.rows.layout import RowLayout
    from dicom_export.rows.schema import Schema
    from dicom_export.stored_object import StoredObject, Unlisted
    from dicom_export.streaming.config import StreamConfig
    from dicom_export.verifying.reconciliation import Difference
    from dicom_export.watching.rows import Look, Reconciled, WatchedFile


class DicomStore(Protocol):
    """The objects below one bucket and prefix, or in one folder."""

    def uri(self, name: str) -> str:
        """Return the object's address for logs and failure reports: `gs://…` or `file://…`."""

    def list(
        self, *, prefix: str = "", start_after: str = "", unlisted: Callable[[Unlisted], None] = lambda _: None
    ) -> Iterator[StoredObject]:
        """Yield the objects whose name has the prefix and sorts after `start_after`, by name in order of its UTF-8 bytes.

        Holds one page of the listing in memory, however many objects there are. `unlisted` gets each folder that cannot be
        listed before the first object that sorts after it is yielded. Raises NotFound if the bucket or folder is not there.
        """

    def get(self, name: str) -> StoredObject | None:
        """Return the object as it is now, or None. Raises PermissionDenied if that cannot be told."""

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        """Return at most `length` bytes of exactly this generation, fewer only at the object's end.

        Raises InstanceGone if the generation is gone, PermissionDenied if it may not be read.
        """


class Publisher(Protocol):
    """Sends messages, each to the topic of its kind, at least once."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when every message is accepted. After an error any of them may or may not be delivered."""


@dataclass(frozen=True, slots=True)
class StateObject:
    """The content of one object of the state, and the version that `replace` compares."""

    content: bytes
    version: str


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One object of a listing: its path and its metadata, without its content."""

    path: str
    metadata: Mapping[str, str] = field(default_factory=dict)


class OperationStore(Protocol):
    """Create-once objects, and compare-and-set of one object. Paths have `/` between their parts."""

    def create(self, path: str, content: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        """Create the object with its whole content, or return False if there is one already, whoever created it."""

    def read(self, path: str) -> StateObject | None:
        """Return the object, or None."""

    def replace(self, path: str, content: bytes, version: str) -> bool:
        """Replace the object if it still has this version, else return False. Its metadata is kept."""

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StateEntry]:
        """Yield the objects whose path has the prefix and sorts after `start_after`, by path."""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """What a table is like: its columns, and how many rows have been committed."""

    schema: Schema
    row_count: int


CHANGE_KEY = "SOPInstanceUID"
"""The primary key of a table that keeps the latest version of each instance."""
MAX_STALENESS_HOURS = 4
"""How many hours such a table may lag, unless an installation says otherwise."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Where a change stands among those of an instance: by the object's generation, a deletion after what it deletes."""

    generation: int
    is_deletion: bool = False


class Tables(Protocol):
    """The tables of a warehouse.

    The dataset of a table that is named has to exist: every method raises NotFound if it does not.
    """

    def describe(self, table: TableName) -> TableInfo | None:
        """Return what the table is like, or None if there is no such table.

        Raises FailedPrecondition if it is a view or the like, that nobody can write rows to.
        """

    def prepare(self, table: TableName, schema: Schema) -> None:
        """Create the table, or add the columns and nested fields that it lacks; it never loses or changes one.

        Raises FailedPrecondition if a column exists with another type or mode.
        """

    def prepare_staging(self, table: TableName, schema: Schema, like: TableName) -> None:
        """As `prepare`, for a table that takes the rows of an overwrite and expires by itself if nobody drops it.

        It is partitioned, clustered and encrypted like the one that it is to replace, if that is there.
        """

    def prepare_changes(self, table: TableName, schema: Schema) -> None:
        """As `prepare`, for a table that `change` keeps: its primary key is CHANGE_KEY.

        Raises FailedPrecondition if it exists without that key.
        """

    def replace(self, table: TableName, staging: TableName, *, expected_rows: int, job: str) -> None:
        """Put the staging table's columns and rows in the place of the table's, atomically, once per `job`.

        The staging table is gone afterwards. Raises FailedPrecondition if it does not hold the expected number of rows.
        """

    def drop(self, staging: TableName) -> None:
        """Delete a staging table. Without effect if there is none."""


class WriteStreams(Protocol):
    """Streams that commit their rows to a table exactly once, and rows that show at once.

    The dataset of a table that is named has to exist: every method raises NotFound if it does not.
    """

    def stream(self, table: TableName, batch: pa.RecordBatch) -> None:
        """Append rows at least once; they are durable when it returns, and show at once. Raises as `append`, and NotFound."""

    def change(self, table: TableName, batch: pa.RecordBatch, versions: Sequence[Version]) -> None:
        """Put each row in the place of the one with its key, or delete that one if the version is a deletion.

        Of each key the highest version that was ever given counts, in whatever order and however often they come. Each row has a
        version, and the key. Durable when it returns. Raises as `append`, and NotFound.
        """

    def open_stream(self, table: TableName) -> str:
        """Return the name of a new stream into the table. Nothing that is appended shows before the stream is committed."""

    def append(self, stream: str, offset: int, batch: pa.RecordBatch) -> None:
        """Append rows at an offset (in rows); again at the same offset it changes nothing.

        The table has to have every column of the batch; those that the batch lacks become NULL, or empty if REPEATED.
        Raises RowsRefused, which names them, if rows are wrong by themselves: then no row of the batch was appended, and the
        others may be appended at the same offset. It may not name all of them at once.
        """

    def finalize(self, stream: str) -> int:
        """End the stream and return how many rows it holds. Again, it returns the same."""

    def commit(self, table: TableName, stream: str) -> None:
        """Make the finalized stream's rows part of the table, once, however often this is called.

        Raises NotFound if the stream was neither committed nor is there any more.
        """

    def discard(self, stream: str) -> None:
        """Give up a stream that nobody will commit. Without effect on one that is not there."""


class Comparisons(Protocol):
    """Comparisons of a table with an inventory of a store.

    The dataset of a table that is named has to exist: every method raises NotFound if it does not.
    """

    def compare(
        self, table: TableName, inventory: TableName, report: TableName, store: StoreName, *, before: datetime, job: str
    ) -> None:
        """Put what the table's latest rows and the inventory differ in in the place of the report, atomically, once per `job`.

        Of the objects of one instance the newest counts. Where the table has SourceDicomStore, only the store's rows count. An
        instance whose latest row is not of `before` that moment is not judged: its object may have changed after it was listed.
        Raises NotFound without the table or the inventory, FailedPrecondition if the table is none of an export's.
        """

    def differences(self, report: TableName) -> Iterator[Difference]:
        """Yield what a report has, by kind and object, in bounded memory. Raises NotFound."""

    def count_differences(self, report: TableName) -> DifferenceCounts:
        """Return how many differences a report has. Raises NotFound."""


class Warehouse(Tables, WriteStreams, Comparisons, Protocol):
    """Where tables are: BigQuery, or DuckDB files."""


class Exports(Protocol):
    """Every method may raise any DicomExportError."""

    def create_export(self, request: ExportRequest, *, api_version: str = "v1") -> Operation:
        """Start an export."""

    def get_operation(self, name: OperationName) -> Operation:
        """Return the operation with its counters as they are now. Raises NotFound."""

    def list_operations(self, parent: DatasetName, *, start_after: str = "") -> Iterator[tuple[str, Operation]]:
        """Yield the operations, the newest first, each with a position that a later call starts after."""

    def cancel_operation(self, name: OperationName) -> Operation:
        """Ask for the operation's end, and return it as it is then. Without effect on one that has ended. Raises NotFound."""

    def failures_behind(self, name: OperationName, *, start_after: str = "") -> Iterator[tuple[str, Failure]]:
        """Yield the operation's failed instances, each with a position that a later call starts after. Raises NotFound."""

    def get_store(self, name: StoreName) -> StoreName:
        """Return the store's name. Raises NotFound."""

    def stream_configs(self, name: StoreName) -> Sequence[StreamConfig]:
        """Return where rows of the store's new objects go. Raises NotFound."""

    def datasets(self) -> Sequence[DatasetName]:
        """Return the names of the datasets that a store is in, in order."""

    def list_stores(self, parent: DatasetName) -> Sequence[StoreName]:
        """Return the names of the dataset's stores, in order."""


class WatchedRows(Protocol):
    """A table, with what is remembered of the files that its rows are of."""

    def known(self, names: Sequence[str]) -> dict[str, WatchedFile]:
        """Return the files of these names as they were when they were looked at last, by name."""

    def files(self) -> Iterator[WatchedFile]:
        """Yield all files, by name in order of its UTF-8 bytes."""

    def write(self, look: Look) -> Reconciled:
        """Add the look's rows and remember its files, both or nothing."""

    def mounts(self) -> set[str]:
        """Return where disks were mounted at the last scan."""

    def remember_mounts(self, names: Iterable[str]) -> None:
        """Remember where disks are mounted."""


class Mounts(Protocol):
    """The places in a folder at which disks are mounted, by their names, which end in `/`; the folder's own is empty."""

    def present(self) -> set[str]:
        """Return where disks are mounted."""

    def missing(self, known: Collection[str]) -> set[str]:
        """Return those of the known places that are empty because nothing is mounted there."""


class Decode(Protocol):
    """Decodes many objects, in turn or side by side."""

    def __call__(
        self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, /, *, following: int = 0
    ) -> Iterable[Decoded]:
        """Yield what each object holds, in their order. Raises TransientError.

        `following` is how many more objects will be decoded soon: whether it pays to start what decodes them.
        """


class DecodeBatches(Protocol):
    """Decodes many objects into batches."""

    def __call__(
        self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, select: Select | None, /
    ) -> Iterable[DecodedBatch]:
        """Yield batches with what each object holds, in their order, as `select` leaves it. Raises TransientError."""

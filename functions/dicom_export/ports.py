"""The interfaces of the handlers to storage, messages and tables.

Each port has an adapter for Google Cloud and one for a single machine. Every method may raise
TransientError; its docstring names other errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from dicom_export.decoding.decoded import Decoded, DecodedBatch, Select
    from dicom_export.diagnosing.check_message import Check
    from dicom_export.diagnosing.facts import (
        ApiAnswer,
        BucketFacts,
        DatasetFacts,
        NotificationFacts,
        RuntimeFacts,
        SubscriptionFacts,
    )
    from dicom_export.logs import LogLine
    from dicom_export.messages import Message
    from dicom_export.names import DatasetName, GcsUri, OperationName, StoreName, TableName
    from dicom_export.operations.counters import DifferenceCounts
    from dicom_export.operations.estimate import Estimate
    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import ExportRequest, FilesRequest
    from dicom_export.rows.layout import RowLayout, SchemaKind
    from dicom_export.rows.partitioning import Partitioning
    from dicom_export.rows.schema import Schema
    from dicom_export.stored_object import ObjectVersion, StoredObject, Unlisted
    from dicom_export.streaming.config import StreamConfig
    from dicom_export.verifying.reconciliation import Difference
    from dicom_export.watching.rows import Look, Reconciled, WatchedFile


class DicomStore(Protocol):
    """The objects below one bucket and prefix, or in one folder."""

    def uri(self, name: str) -> str:
        """Return the object's address for logs and failure reports: `gs://…` or `file://…`."""

    def copy_source(self, name: str) -> str:
        """Return the address that a `CopyFolder` copies the object from. Raises InstanceError if it cannot be copied."""

    def list(
        self, *, prefix: str = "", start_after: str = "", unlisted: Callable[[Unlisted], None] = lambda _: None
    ) -> Iterator[StoredObject]:
        """Yield the objects whose name has the prefix and sorts after `start_after`.

        They are in the order of the UTF-8 bytes of their names. Memory holds one page of the
        listing, however many objects there are. `unlisted` receives each folder that cannot be
        listed, before the first object that sorts after it is yielded. Raises NotFound if the
        bucket or folder does not exist.
        """

    def get(self, name: str) -> StoredObject | None:
        """Return the current object, or None.

        Raises PermissionDenied if the store does not show whether the object exists.
        """

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        """Return at most `length` bytes of exactly this generation; fewer only at its end.

        Raises InstanceGone if the generation is gone, PermissionDenied if it may not be read.
        """


class CopyResult(Enum):
    """What a folder has under a name after an object was to be copied there."""

    MADE = "a new copy"
    PRESENT = "an object with the same content, which was there"
    NAME_TAKEN = "an object with another content"


@dataclass(frozen=True, slots=True)
class UnfinishedCopy:
    """A copy that takes further calls: `token` continues it."""

    token: str


class CopyFolder(Protocol):
    """A folder that objects of stores are copied to, or a bucket and a prefix.

    Copies appear with their whole content. Nothing is ever replaced or deleted.
    """

    @property
    def copies_at_once(self) -> int:
        """The number of copies that should be made at the same time."""

    def uri(self, name: str) -> str:
        """Return the address of a copy for logs and errors: `gs://…` or `file://…`."""

    def check(self) -> None:
        """Raise NotFound if the bucket or folder does not exist."""

    def adds_to(self, root: str) -> bool:
        """Say whether copies may become objects of the store whose `uri("")` is this root."""

    def copy(self, source: str, stored: StoredObject, name: str, token: str = "") -> CopyResult | UnfinishedCopy:
        """Copy exactly this generation of the object at `source`, which is the `copy_source` of its store.

        `name` has `/` between its parts. Repeated and simultaneous calls make one copy. Raises
        InstanceGone if the generation is gone, PermissionDenied, NotFound if the folder is gone,
        InvalidArgument if no object can have the name.
        """

    def flush(self, names: Iterable[str]) -> None:
        """Return when the copies of these names survive a power failure."""


class Publisher(Protocol):
    """Sends messages at least once, each to the topic of its kind."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when every message is accepted. After an error, any of them may be delivered."""


@dataclass(frozen=True, slots=True)
class StateObject:
    """The content of a state object, and the version that `replace` compares."""

    content: bytes
    version: str


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One object of a listing: its path and its metadata, without its content."""

    path: str
    metadata: Mapping[str, str] = field(default_factory=dict)


class OperationStore(Protocol):
    """Create-once objects, and compare-and-set of one object.

    Paths have `/` between their parts.
    """

    def create(self, path: str, content: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        """Create the object with its whole content; return False if it exists already."""

    def read(self, path: str) -> StateObject | None:
        """Return the object, or None."""

    def replace(self, path: str, content: bytes, version: str) -> bool:
        """Replace the object if it still has this version, else return False.

        Its metadata is kept.
        """

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StateEntry]:
        """Yield the objects whose path has the prefix and sorts after `start_after`, by path."""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """The columns of a table, and how many rows have been committed.

    `partitioning` is that of a table which is partitioned by LastUpdated.
    """

    schema: Schema
    row_count: int
    partitioning: Partitioning | None = None


CHANGE_KEY = "SOPInstanceUID"
"""The primary key of a table that keeps only the latest version of each instance."""
MAX_STALENESS_HOURS = 4
"""Hours that such a table may lag, unless the settings of the installation differ."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """The position of a change among the changes of an instance.

    Changes are ordered by the generation of the object, and a deletion follows the write that it
    deletes.
    """

    generation: int
    is_deletion: bool = False


class Tables(Protocol):
    """The tables of a warehouse.

    The dataset of a named table has to exist: every method raises NotFound if it does not.
    """

    def describe(self, table: TableName) -> TableInfo | None:
        """Return the columns and the row count of the table, or None if it does not exist.

        Raises FailedPrecondition if it is a view or another kind that rows cannot be written to.
        """

    def possible_partitioning(self, table: TableName, wanted: Partitioning) -> Partitioning | None:
        """Return the partitions that a new table of this name gets; None if the warehouse has no partitions.

        Raises Unimplemented if rows would have to expire that never do, FailedPrecondition if
        rows would expire because of a default of the dataset.
        """

    def prepare(self, table: TableName, schema: Schema, partitioning: Partitioning | None = None) -> None:
        """Create the table with these partitions, or add the columns and nested fields that it lacks.

        Existing columns and partitions are never removed or changed. Raises FailedPrecondition if a column exists
        with another type or mode.
        """

    def staging_table(self, table: TableName, name: str) -> TableName:
        """Return the full name of a staging table for rows that will replace those of the table."""

    def prepare_staging(self, table: TableName, schema: Schema, like: TableName) -> None:
        """Prepare a staging table, as `prepare` does, for rows that will replace those of `like`.

        It expires if nobody drops it. Raises FailedPrecondition if `like` keeps columns that the
        rows cannot fill.
        """

    def prepare_changes(self, table: TableName, schema: Schema) -> None:
        """Prepare a table for `change`, as `prepare` does: its primary key is CHANGE_KEY.

        Raises FailedPrecondition if it exists without that key.
        """

    def replace(
        self,
        table: TableName,
        staging: TableName,
        *,
        expected_rows: int,
        job: str,
        partitioning: Partitioning | None = None,
    ) -> None:
        """Replace the rows of the table with those of the staging table, and add their columns.

        A table that does not exist is created with the partitions.
        This is atomic, and happens once per `job`. The staging table is gone afterwards. In
        BigQuery, the columns of the table and who may see them stay as they are. Raises
        FailedPrecondition if the staging table does not hold the expected number of rows.
        """

    def annotate(self, table: TableName, *, views: bool) -> None:
        """Describe the columns of a table, and define its views again where they are defined.

        `views` also defines those that do not exist yet. A table or view that has the name of a view
        and is not ours is left alone. Does nothing to a table that does not exist.
        """

    def drop(self, staging: TableName) -> None:
        """Delete a staging table. Does nothing if it does not exist."""


class WriteStreams(Protocol):
    """Streams that commit their rows to a table exactly once, and rows that are visible at once.

    The dataset of a named table has to exist: every method raises NotFound if it does not.
    """

    def stream(self, table: TableName, batch: pa.RecordBatch) -> None:
        """Append rows at least once; on return they are durable and visible.

        Raises the errors of `append`, and NotFound.
        """

    def change(self, table: TableName, batch: pa.RecordBatch, versions: Sequence[Version]) -> None:
        """Replace the row that has the same key, or delete it if the version is a deletion.

        For each key the highest version ever given counts, in whatever order and however often
        versions come. Each row has a version and the key. The changes are durable on return. Raises
        the errors of `append`, and NotFound.
        """

    def await_columns(self, table: TableName) -> None:
        """Return when streams take rows with all columns that the table has, or if it is gone.

        Raises ColumnsNotKnown if that takes longer than the current message may take.
        """

    def open_stream(self, table: TableName) -> str:
        """Return the name of a new stream into the table.

        Appended rows are visible only after the stream is committed.
        """

    def append(self, stream: str, offset: int, batch: pa.RecordBatch) -> None:
        """Append rows at an offset, in rows; a repeated call at the same offset changes nothing.

        The table has to have every column of the batch; columns that the batch lacks become NULL,
        or empty if REPEATED. Raises RowsRefused, with their indices, if rows are invalid: then no
        row of the batch was appended, and the others may be appended at the same offset. It may not
        name all invalid rows at once. Raises ColumnsNotKnown if the service does not know new
        columns of the table yet: the rows may be appended again, also to a new stream.
        """

    def finalize(self, stream: str) -> int:
        """End the stream and return how many rows it holds. A repeated call returns the same."""

    def commit(self, table: TableName, stream: str) -> None:
        """Add the rows of the finalized stream to the table, once, however often this is called.

        Raises NotFound if the stream was never committed and is gone.
        """

    def discard(self, stream: str) -> None:
        """Give up a stream that nobody will commit. Does nothing if it does not exist."""


class Comparisons(Protocol):
    """Comparisons of a table with an inventory of a store.

    The dataset of a named table has to exist: every method raises NotFound if it does not.
    """

    def compare(
        self, table: TableName, inventory: TableName, report: TableName, store: StoreName, *, before: datetime, job: str
    ) -> None:
        """Replace the report with the differences between the latest rows and the inventory.

        This is atomic, and happens once per `job`. Of the objects of one instance the newest
        counts. Where the table has SourceDicomStore, only rows of the store count. An instance
        whose latest row is not older than `before` is not judged: its object may have changed after
        it was listed. An object of the inventory that has a SourceObject has the UIDs of the row
        for this version of it. Raises NotFound if the table or the inventory does not exist,
        FailedPrecondition if no export wrote the table.
        """

    def keep_objects(self, table: TableName, objects: TableName, *, job: str) -> None:
        """Copy the object versions of the rows of a table to a new table, once per `job`.

        The copy is fast to search and expires if nobody drops it. Rows of deletions are left out.
        Raises NotFound, and FailedPrecondition if the rows do not name their objects.
        """

    def known_objects(self, objects: TableName, uris: Sequence[str]) -> Iterator[ObjectVersion]:
        """Yield the versions of these objects that have a row, in any order, some perhaps twice.

        `objects` is a copy that `keep_objects` made, or a table whose rows name their objects. Rows
        of deletions do not count. Raises NotFound.
        """

    def differences(self, report: TableName) -> Iterator[Difference]:
        """Yield the differences of a report, by kind and object, in bounded memory.

        Raises NotFound.
        """

    def count_differences(self, report: TableName) -> DifferenceCounts:
        """Return how many differences a report has. Raises NotFound."""


class Warehouse(Tables, WriteStreams, Comparisons, Protocol):
    """The place of the tables: BigQuery, or DuckDB files."""


class Exports(Protocol):
    """Exports as the API serves them. Every method may raise any DicomExportError."""

    def create_export(self, request: ExportRequest | FilesRequest, *, api_version: str = "v1") -> Operation:
        """Start an export."""

    def get_operation(self, name: OperationName) -> Operation:
        """Return the operation with its current counters. Raises NotFound."""

    def list_operations(self, parent: DatasetName, *, start_after: str = "") -> Iterator[tuple[str, Operation]]:
        """Yield the operations, newest first, each with a position for `start_after`."""

    def cancel_operation(self, name: OperationName) -> Operation:
        """Request cancellation, and return the operation in its state after that.

        Does nothing to an operation that has ended. Raises NotFound.
        """

    def failures_after(self, name: OperationName, *, start_after: str = "") -> Iterator[tuple[str, Failure]]:
        """Yield the failed instances, each with a position for `start_after`. Raises NotFound."""

    def get_store(self, name: StoreName) -> StoreName:
        """Return the store's name. Raises NotFound."""

    def estimate(self, name: StoreName, kind: SchemaKind) -> Estimate:
        """Return the estimated effort of an export of the store. Raises NotFound."""

    def stream_configs(self, name: StoreName) -> Sequence[StreamConfig]:
        """Return the destinations of the rows of new objects of the store. Raises NotFound."""

    def datasets(self) -> Sequence[DatasetName]:
        """Return the names of the datasets that have a store, in order."""

    def list_stores(self, parent: DatasetName) -> Sequence[StoreName]:
        """Return the names of the dataset's stores, in order."""


class Operations(Protocol):
    """The operations of an installation, for the command line: read from its state, or served by its API.

    Every method may raise any DicomExportError.
    """

    def get_operation(self, name: OperationName) -> Operation:
        """Return the operation with its current counters. Raises NotFound."""

    def newest_first(self, parent: DatasetName) -> Iterator[Operation]:
        """Yield the operations of a dataset."""

    def cancel_operation(self, name: OperationName) -> Operation:
        """Request cancellation, and return the operation in its state after that.

        Does nothing to an operation that has ended. Raises NotFound.
        """

    def failures(self, name: OperationName) -> Iterator[Failure]:
        """Yield the failed instances so far. Raises NotFound."""


class ServedExports(Operations, Protocol):
    """Exports that a service runs, for the command line."""

    def create_export(self, request: ExportRequest | FilesRequest) -> Operation:
        """Start an export. Only the name and the time of the returned operation need be known."""

    def estimate(self, name: StoreName, kind: SchemaKind) -> Estimate:
        """Return the estimated effort of an export of the store. Raises NotFound."""


class ExportSteps(Protocol):
    """An export that a command starts, follows and may cancel."""

    def begin(self) -> Operation:
        """Start the export, or continue one that was interrupted."""

    def states(self, operation: Operation) -> Iterator[Operation]:
        """Yield the operation as it is, again and again, and last after its end."""

    def cancel(self, operation: Operation) -> None:
        """Request the operation's end."""


class TableLists(Protocol):
    """The names of the tables that exist, for people who choose one.

    A list may be incomplete: it has what the installation may see.
    """

    def projects(self) -> Sequence[str]:
        """Return the projects that tables can be in."""

    def datasets(self, project: str) -> Sequence[str]:
        """Return the datasets of the project."""

    def tables(self, project: str, dataset: str) -> Sequence[str]:
        """Return the tables and views of the dataset, without those of this program."""

    def location(self, project: str, dataset: str) -> str:
        """Return the location of the dataset, or an empty text on one machine. Raises NotFound."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column or nested field: its names from the top, its type, and its mode, as BigQuery has them."""

    path: tuple[str, ...]
    type: str
    mode: str


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The first rows of a query's result, as Python values; `is_whole` says whether these are all."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    is_whole: bool


class Queries(Protocol):
    """Queries in BigQuery's SQL over the tables of one project, which they cannot change.

    A query reads no file and no other project. Raises InvalidArgument for a mistake in it, and
    Cancelled if it was stopped, or took longer than `seconds`.
    """

    def columns(self, table: TableName) -> Sequence[TableColumn]:
        """Return the columns of a table or view, each nested field after its record.

        Raises NotFound.
        """

    def answer(self, sql: str, project: str, *, rows: int, seconds: float, ticket: str = "") -> QueryAnswer:
        """Return at most `rows` rows. `ticket` is what `stop` calls the query."""

    def write(self, sql: str, project: str, kind: str, file: IO[bytes], *, seconds: float) -> int:
        """Write all rows as `csv`, `json` or `parquet`, and return how many there are."""

    def stop(self, ticket: str) -> None:
        """Stop the query with the ticket, even if it only begins later."""


class FilterFiles(Protocol):
    """A bucket that takes the filter files of people who paste or choose them."""

    def put(self, name: str, content: bytes) -> GcsUri:
        """Store the file under a name that no other one has, and return its address."""


class LogLines(Protocol):
    """The latest log lines of this process."""

    def of(self, label: str) -> Sequence[LogLine]:
        """Return the lines about an operation or a store, given by its resource name, oldest first."""


class WatchedRows(Protocol):
    """A table, and the recorded state of the files that its rows are from."""

    def known(self, names: Sequence[str]) -> dict[str, WatchedFile]:
        """Return the recorded files of these names, by name."""

    def files(self) -> Iterator[WatchedFile]:
        """Yield all recorded files, in the order of the UTF-8 bytes of their names."""

    def write(self, look: Look) -> Reconciled:
        """Add the rows of the look and record its files, both or neither."""

    def mounts(self) -> set[str]:
        """Return the recorded mount points of the last scan."""

    def remember_mounts(self, names: Iterable[str]) -> None:
        """Record the mount points."""


class Mounts(Protocol):
    """The mount points in a folder, by name.

    Names end in `/`; that of the folder itself is empty.
    """

    def present(self) -> set[str]:
        """Return the present mount points."""

    def missing(self, known: Collection[str]) -> set[str]:
        """Return the known mount points that are empty because nothing is mounted there."""


class Inspection(Protocol):
    """What Google Cloud says of the resources of an installation. It changes nothing.

    Datasets are named PROJECT.DATASET, topics and subscriptions by their resource names. Every method may raise
    PermissionDenied.
    """

    def enabled_apis(self, project: str, names: Collection[str]) -> Collection[str]:
        """Return those of the named APIs that are enabled in the project."""

    def bucket(self, name: str) -> BucketFacts | None:
        """Return the bucket, or None."""

    def notifications(self, bucket: str) -> Sequence[NotificationFacts]:
        """Return the notification configurations of a bucket. Raises NotFound."""

    def has_topic(self, topic: str) -> bool:
        """Return whether the topic exists."""

    def subscription(self, name: str) -> SubscriptionFacts | None:
        """Return the subscription, or None."""

    def dataset(self, name: str) -> DatasetFacts | None:
        """Return the dataset, or None."""

    def runtimes(self, project: str, region: str) -> Mapping[str, RuntimeFacts]:
        """Return the runtimes of functions in a region."""

    def call_api(self, url: str) -> ApiAnswer:
        """Return the answer to a GET with the caller's token. Raises Unavailable if there is no answer."""


class CheckSender(Protocol):
    """Sends check messages to the functions. Every method may raise NotFound or PermissionDenied."""

    def publish(self, topic: str, check: Check) -> None:
        """Publish the check on a topic, a resource name."""

    def post(self, api_url: str, check: Check) -> None:
        """Send the check to the API, which has no topic. Returns when it has answered in the state."""


class Probes(Protocol):
    """Calls that change nothing and succeed only if the account of this process may make them.

    Datasets are named PROJECT.DATASET. Every method raises PermissionDenied if the account may not, and NotFound if
    the resource does not exist.
    """

    def describe_bucket(self, bucket: str) -> None:
        """Read the settings of a bucket."""

    def describe_tables(self, dataset: str) -> None:
        """Describe the dataset, and a table in it that does not exist."""

    def edit_tables(self, dataset: str) -> None:
        """Delete a table that does not exist."""

    def run_job(self) -> None:
        """Run a query without executing it, and look up a job that does not exist."""

    def publish(self, kind: str, check: str) -> None:
        """Publish a probe on the topic of a kind of message."""


@dataclass(frozen=True, slots=True)
class OpenStream:
    """A new write stream, and the names of the columns that it shows."""

    name: str
    columns: frozenset[str]


class Laboratory(Protocol):
    """What a smoke test does in a project. Every method may raise any DicomExportError."""

    def put(self, name: str, content: bytes) -> None:
        """Write an object of the store of the smoke test."""

    def delete(self, name: str) -> None:
        """Delete an object. Does nothing if it does not exist."""

    def objects(self) -> Sequence[str]:
        """Return the names of the objects of the store."""

    def api(self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> ApiAnswer:  # noqa: ANN401 - JSON
        """Return the answer of the installation's API to a request with the caller's token."""

    def publish(self, topic: str, data: bytes) -> str:
        """Publish a message, and return its id."""

    def bigquery(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer of BigQuery's REST API. The path follows `/bigquery/v2`."""

    def job(self, configuration: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run a job to its end, and return it. A dry run is not waited for. A job that fails has `errorResult`."""

    def rows(self, sql: str) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a query."""

    def open_stream(self, table: TableName) -> OpenStream:
        """Create a PENDING stream."""

    def stream_columns(self, stream: str) -> frozenset[str]:
        """Return the names of the columns that a stream shows."""

    def append(self, stream: str, batch: pa.RecordBatch, *, as_proto: bool = False) -> str:
        """Append rows as Arrow, or rows of text as protocol buffers. Return the reason if the append was refused, or an empty text."""

    def finish(self, table: TableName, stream: str) -> str:
        """Finalize and commit a stream. Return the errors of the commit, or an empty text."""

    def google(self, url: str, parameters: Mapping[str, Any] | None = None, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer of another REST API of Google: to a POST if there is a body, else to a GET."""


class Decode(Protocol):
    """Decodes many objects, one after another or in parallel."""

    def __call__(
        self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, /, *, following: int = 0
    ) -> Iterable[Decoded]:
        """Yield the decoded content of each object, in their order. Raises TransientError.

        `following` is how many more objects will be decoded soon: it tells whether starting
        processes pays off.
        """


class DecodeBatches(Protocol):
    """Decodes many objects into batches."""

    def __call__(
        self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, select: Select | None, /
    ) -> Iterable[DecodedBatch]:
        """Yield batches of decoded objects, in their order, as `select` returns them.

        Raises TransientError.
        """

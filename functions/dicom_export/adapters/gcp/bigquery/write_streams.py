"""Write to PENDING streams of the Storage Write API, and to each table's default stream, whose rows are visible at once.

Source: https://cloud.google.com/bigquery/docs/write-api-batch and https://cloud.google.com/bigquery/docs/write-api-streaming. A stream that nobody commits expires by itself; there is no call to delete one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from threading import Lock
from typing import TYPE_CHECKING

import grpc
from google.api_core import exceptions
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.cloud.bigquery_storage_v1.types import BatchCommitWriteStreamsRequest, StorageError, WriteStream

from dicom_export.adapters.gcp.bigquery.append_connection import EXTRA_FIELDS, AppendConnection, AppendRefused, name_of
from dicom_export.adapters.gcp.bigquery.append_rows import ArrowRows, ChangeRows, Rows
from dicom_export.adapters.gcp.bigquery.arrow_batches import fields_besides, without_null_lists
from dicom_export.adapters.gcp.bigquery.preparation import fields_of
from dicom_export.adapters.gcp.bigquery.stream_columns import StreamColumns
from dicom_export.adapters.gcp.bigquery.stream_names import default_stream, table_of, table_path
from dicom_export.adapters.gcp.bigquery.table_catalog import table_not_found
from dicom_export.adapters.gcp.calls import RETRY, TIMEOUT_SECONDS, as_denied, google_errors
from dicom_export.errors import (
    ColumnsNotKnown,
    DicomExportError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RowsRefused,
    Unavailable,
)
from dicom_export.pubsub.attempts import pauses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from google.api_core.retry import Retry

    from dicom_export.adapters.gcp.bigquery.table_catalog import Resource, TableCatalog
    from dicom_export.names import TableName
    from dicom_export.ports import Version

_NEW_SECONDS = 600.0
"""How long after a change of a table a refused append may be due to its columns."""

_LAG_SECONDS = 45.0
"""How long one append to a stream of an export is repeated."""

_TURN_SECONDS = 7.0
"""How long one append to a default stream is repeated: others wait for their turn."""

_REST_SECONDS = 60.0
"""The time that is left of a message's when its appends are not repeated any more."""

_LONGEST_PAUSE = 15.0

_Status = grpc.StatusCode
_AGAIN = {
    each.value[0]
    for each in (
        _Status.ABORTED,
        _Status.CANCELLED,
        _Status.DEADLINE_EXCEEDED,
        _Status.INTERNAL,
        _Status.RESOURCE_EXHAUSTED,
        _Status.UNAVAILABLE,
        _Status.UNKNOWN,
    )
}

# The meaning of other storage errors. It takes precedence over the gRPC status, which is less specific.
_ERROR_OF_STORAGE: dict[str, type[DicomExportError]] = {
    "KMS_SERVICE_ERROR": Unavailable,
    "KMS_PERMISSION_DENIED": PermissionDenied,
}
_ERROR_OF_STATUS: dict[int, type[DicomExportError]] = {
    _Status.PERMISSION_DENIED.value[0]: PermissionDenied,
    _Status.UNAUTHENTICATED.value[0]: PermissionDenied,
    _Status.FAILED_PRECONDITION.value[0]: FailedPrecondition,
    _Status.OUT_OF_RANGE.value[0]: Unavailable,  # an append before this one was lost: a new stream will have all rows
}


def write_client(endpoint: str | None) -> BigQueryWriteClient:
    """Return a client of the Storage Write API at Google, or of the emulator that listens at `HOST:PORT`."""
    channel = grpc.insecure_channel(endpoint) if endpoint else None
    transport = BigQueryWriteGrpcTransport(channel=channel) if channel else None
    client: BigQueryWriteClient = BigQueryWriteClient(transport=transport)
    return client


class WriteStreams:
    """Writes to streams, whose rows are visible once, after the commit."""

    def __init__(
        self,
        client: BigQueryWriteClient,
        catalog: TableCatalog,
        retry: Retry = RETRY,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._retry = retry
        self._sleep = sleep
        self._columns = StreamColumns(client, catalog, sleep)
        self._append = retry.with_predicate(_may_pass)(self._send)
        self._connections: dict[str, AppendConnection] = {}
        self._turns: defaultdict[str, Lock] = defaultdict(Lock)

    def await_columns(self, table: TableName) -> None:
        """Return when new streams know all columns of the table. Raises ColumnsNotKnown."""
        self._columns.wait(table)

    def open(self, table: TableName) -> str:
        """Open a stream and return its name. Raises NotFound without the table, Unavailable while the API does not know it."""
        with google_errors(f"Open a stream into {table}"):
            try:
                stream = self._client.create_write_stream(
                    parent=table_path(table),
                    write_stream=WriteStream(type_=WriteStream.Type.PENDING),
                    retry=self._retry,
                    timeout=TIMEOUT_SECONDS,
                )
            except exceptions.NotFound as error:
                raise self._unknown_table(table) from error
        return str(stream.name)

    def append_at_once(
        self, table: TableName, batch: pa.RecordBatch, versions: Sequence[Version] | None = None
    ) -> None:
        """Append rows to the table's default stream; with versions, as changes of existing rows. Callers take turns.

        Rows are appended at least once, because an answer may be lost.
        """
        stream = default_stream(table)
        filled = without_null_lists(batch)
        with self._turns[stream]:
            rows = ArrowRows(filled) if versions is None else ChangeRows(filled, versions)
            self._append_rows(stream, None, rows, patience=_TURN_SECONDS)

    def append(self, stream: str, offset: int, batch: pa.RecordBatch) -> None:
        """Append rows at the offset, unless the stream already has rows there."""
        self._append_rows(stream, offset, ArrowRows(without_null_lists(batch)), patience=_LAG_SECONDS)

    def _append_rows(self, stream: str, offset: int | None, rows: Rows, *, patience: float) -> None:
        """Append the rows. While the service does not know all columns, repeat that on new connections."""
        waiting = pauses(_LONGEST_PAUSE, leaving=_REST_SECONDS, at_most=patience)
        while True:
            try:
                self._append(stream, offset, rows)
            except exceptions.RetryError as error:
                raise Unavailable(f"{_appending(stream, offset)}: {error.cause}") from None
            except AppendRefused as error:
                refused = self._refused(error, stream, offset, rows.batch)
            else:
                return
            pause = next(waiting, None) if isinstance(refused, ColumnsNotKnown) else None
            if pause is None:
                raise refused from None
            self._sleep(pause)

    def finalize(self, stream: str) -> int:
        """End the stream and return its number of rows."""
        self.close(stream)
        with google_errors(f"Finalize {stream}"):
            try:
                answer = self._client.finalize_write_stream(name=stream, retry=self._retry, timeout=TIMEOUT_SECONDS)
            except exceptions.NotFound as error:
                raise _unknown_stream(stream, self._find(stream), "finalizing does") from error
        return int(answer.row_count)

    def commit(self, table: TableName, stream: str) -> None:
        """Commit the stream, unless it is committed."""
        with google_errors(f"Commit {stream}"):
            try:
                answer = self._client.batch_commit_write_streams(
                    request=BatchCommitWriteStreamsRequest(parent=table_path(table), write_streams=[stream]),
                    retry=self._retry,
                    timeout=TIMEOUT_SECONDS,
                )
            except exceptions.ClientError as error:
                if isinstance(error, exceptions.TooManyRequests):
                    raise
                found = self._find(stream)
                if _is_committed(found):
                    return
                if isinstance(error, exceptions.NotFound):
                    raise _unknown_stream(stream, found, "commits do") from error
                raise
        errors = {name_of(StorageError.StorageErrorCode, error.code) for error in answer.stream_errors}
        if errors or "commit_time" not in answer:
            self._check_committed(table, stream, errors)

    def close(self, stream: str) -> None:
        """Close the connection to the stream, if one is open."""
        connection = self._connections.pop(stream, None)
        if connection:
            connection.close()

    def _send(self, stream: str, offset: int | None, rows: Rows) -> None:
        connection = self._connections.get(stream)
        if connection is None or not connection.takes(rows.format):
            self.close(stream)
            connection = self._connections[stream] = AppendConnection(self._client, stream, rows.format)
        try:
            connection.send(offset, rows)
        except AppendRefused as refused:
            if _is_there(refused):
                return
            self.close(stream)
            raise

    def _refused(
        self, refused: AppendRefused, stream: str, offset: int | None, batch: pa.RecordBatch
    ) -> DicomExportError:
        """Return the error for an append that was refused permanently, or too often."""
        if refused.storage == EXTRA_FIELDS:
            return self._extra_columns(stream, batch)
        if refused.storage == "STREAM_FINALIZED":
            return FailedPrecondition(f"Stream {stream} is finalized: it takes no more rows")
        if refused.status == _Status.NOT_FOUND.value[0]:
            return self._not_found(stream)
        kind = _ERROR_OF_STORAGE.get(refused.storage) or _ERROR_OF_STATUS.get(refused.status, InvalidArgument)
        message = f"{_appending(stream, offset)}: {refused}"
        if kind is InvalidArgument and refused.indices and _are_within(batch, refused.indices):
            return RowsRefused(message, refused.indices)
        if kind in (InvalidArgument, FailedPrecondition) and not refused.rows and self._has_new_columns(stream, batch):
            return ColumnsNotKnown(f"{message}, which may be because {table_of(stream)} has new columns")
        return as_denied(message) if kind is PermissionDenied else kind(message)

    def _not_found(self, stream: str) -> DicomExportError:
        """Return the error for an append to a stream that the service does not know."""
        if stream == default_stream(table_of(stream)):
            return self._unknown_table(table_of(stream))
        return _unknown_stream(stream, self._find(stream), "appends do")

    def _extra_columns(self, stream: str, batch: pa.RecordBatch) -> DicomExportError:
        """Return the error for columns that the API does not know. It may learn new columns only after minutes."""
        table = table_of(stream)
        found = self._catalog.find(table)
        if found is None:
            return table_not_found(table)
        lacking = fields_besides(batch.schema, fields_of(found))
        if lacking:
            return InvalidArgument(f"{table} has no column {', '.join(lacking)}")
        return ColumnsNotKnown(f"Stream {stream} does not know all columns of its table yet")

    def _has_new_columns(self, stream: str, batch: pa.RecordBatch) -> bool:
        """Say whether the table has all columns, and was changed so recently that the service may not know them.

        A stream that shows a column may still refuse it, and it is not documented with which error.
        """
        found = self._catalog.find(table_of(stream))
        return found is not None and _is_new(found) and not fields_besides(batch.schema, fields_of(found))

    def _unknown_table(self, table: TableName) -> DicomExportError:
        """Return the error for a table that the API does not know. It may learn a new table only after minutes."""
        if self._catalog.find(table) is None:
            return table_not_found(table)
        return Unavailable(f"{table} exists, and the Storage Write API does not know it yet")

    def _check_committed(self, table: TableName, stream: str, errors: set[str]) -> None:
        """Raise the error that a commit ended with, unless the stream was committed before."""
        if "STREAM_ALREADY_COMMITTED" in errors:
            return
        found = self._find(stream)
        if _is_committed(found):
            return
        if "STREAM_NOT_FOUND" in errors:
            raise _unknown_stream(stream, found, "commits do")
        if "TABLE_NOT_FOUND" in errors:
            raise self._unknown_table(table)
        if "INVALID_STREAM_STATE" in errors:
            raise FailedPrecondition(f"Stream {stream} is not finalized, or has expired: its rows cannot be committed")
        name = min(errors, default="no commit time")
        raise _ERROR_OF_STORAGE.get(name, FailedPrecondition if errors else Unavailable)(f"Commit {stream}: {name}")

    def _find(self, stream: str) -> WriteStream | None:
        with google_errors(f"Look up {stream}"):
            try:
                return self._client.get_write_stream(name=stream, retry=self._retry, timeout=TIMEOUT_SECONDS)
            except (exceptions.NotFound, exceptions.InvalidArgument):
                return None


def _is_new(found: Resource) -> bool:
    milliseconds = max(int(found.get(key, 0)) for key in ("creationTime", "lastModifiedTime"))
    return time.time() - milliseconds / 1000 < _NEW_SECONDS


def _is_there(refused: AppendRefused) -> bool:
    """Return whether the rows were appended before: then an answer was lost, and the append was repeated."""
    is_repeated = refused.status == _Status.ALREADY_EXISTS.value[0]
    return is_repeated or refused.storage == "OFFSET_ALREADY_EXISTS"


def _is_committed(found: WriteStream | None) -> bool:
    return found is not None and "commit_time" in found


def _are_within(batch: pa.RecordBatch, indices: tuple[int, ...]) -> bool:
    return min(indices) >= 0 and max(indices) < batch.num_rows


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, AppendRefused) and error.status in _AGAIN


def _appending(stream: str, offset: int | None) -> str:
    return f"Append to {stream}" + ("" if offset is None else f" at row {offset}")


def _unknown_stream(stream: str, found: WriteStream | None, who_do: str) -> DicomExportError:
    """Return the error for a stream that a call does not know. Another of the service's machines may know it."""
    if found is None:
        return NotFound(f"Stream {stream} was not found: it has expired, or was never opened")
    return Unavailable(f"Stream {stream} exists, and {who_do} not know it yet")

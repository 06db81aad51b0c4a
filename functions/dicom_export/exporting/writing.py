"""Write rows to one stream in batches, so that memory holds a batch and not a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import pyarrow as pa

from dicom_export.decoding.budget import DEFAULT_COLUMN_LIMITS, NO_MORE_COLUMNS, ColumnLimits
from dicom_export.decoding.decoded import Wide
from dicom_export.errors import (
    Aborted,
    ColumnsNotKnown,
    NotFound,
    PermanentError,
    RowsRefused,
    TooManyColumns,
    Unavailable,
)
from dicom_export.operations.request import ExportRequest, VerifyRequest, WriteDisposition
from dicom_export.rows.arrow import MAX_BATCH_BYTES, TooLarge, batches
from dicom_export.rows.fitting import fits, within_budget
from dicom_export.rows.schema import columns_of_all, covers, merge
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from dicom_export.decoding.decoded import DecodedBatch, Row
    from dicom_export.operations.operation import Operation
    from dicom_export.ports import Tables, Warehouse
    from dicom_export.rows.partitioning import Partitioning
    from dicom_export.rows.schema import Schema
    from dicom_export.stored_object import StoredObject

_MOST_STREAMS = 3
"""How often rows are appended whose columns the service does not know yet; each append waits, too."""

Pending = tuple["StoredObject", InstanceUids]
Rejected = tuple["StoredObject", InstanceUids, PermanentError]


def prepare_target(operation: Operation, schema: Schema, tables: Tables) -> None:
    """Add these columns to the table that the operation writes to. The staging table of an overwrite or a verification expires."""
    if operation.request.write_disposition is WriteDisposition.WRITE_TRUNCATE:
        like = operation.target if isinstance(operation.request, VerifyRequest) else operation.table
        tables.prepare_staging(operation.target, schema, like)
    else:
        tables.prepare(operation.target, schema, requested_partitioning(operation))


def requested_partitioning(operation: Operation) -> Partitioning | None:
    """Return the partitions that the table gets if the export creates it."""
    request = operation.request
    return request.partitioning if isinstance(request, ExportRequest) else None


class StreamWriter:
    """Writes an operation's rows to a new stream. Before each batch it adds the columns that the table lacks.

    `is_wanted` returns False if another worker was faster: the staging table of an overwrite that has ended is not made again.
    """

    def __init__(
        self,
        operation: Operation,
        tables: Warehouse,
        is_wanted: Callable[[], bool] = lambda: True,
        limits: ColumnLimits = DEFAULT_COLUMN_LIMITS,
    ) -> None:
        self._operation = operation
        self._tables = tables
        self._is_wanted = is_wanted
        self._limits = limits
        self._columns: Schema | None = None
        self._stream: str | None = None
        self._offset = 0
        self._rejected: list[Rejected] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Discard a stream that an error left unfinished, because no message will claim it."""
        if self._stream and isinstance(error, Exception):
            self._tables.discard(self._stream)

    def await_columns(self) -> None:
        """Return when a stream takes rows with all columns of the table. Raises TransientError."""
        self._existing()
        self._tables.await_columns(self._operation.target)

    def write(self, objects: Sequence[StoredObject], batch: DecodedBatch) -> None:
        """Write the rows of a batch of these objects."""
        if not batch.rows:
            return
        instances = [
            (stored, found)
            for stored, found in zip(objects, batch.found, strict=True)
            if isinstance(found, InstanceUids)
        ]
        for part in batch.rows:
            if isinstance(part, TooLarge):
                self._rejected.append((*instances[part.index], part.error()))
            elif isinstance(part, Wide):
                self._append_fitted([instances[part.index]], [part.row])
            else:
                pending = instances[part.start : part.start + part.records.num_rows]
                if fits(self._existing(), batch.schema, self._limits) and self._takes(batch.schema):
                    self._append(pending, part.records)
                else:
                    self._append_fitted(pending, part.records.to_pylist())

    def finish(self) -> tuple[str | None, list[Rejected]]:
        """Finalize the stream. Return its name, or None if it has no rows, and the rows that the table refused.

        Raises Unavailable if the stream does not hold what was sent.
        """
        if self._stream and not self._offset:
            self._tables.discard(self._stream)
            self._stream = None
        if self._stream:
            count = self._tables.finalize(self._stream)
            if count != self._offset:
                raise Unavailable(f"Stream {self._stream} holds {count} rows of {self._offset} that were sent")
        return self._stream, self._rejected

    def _append_fitted(self, pending: list[Pending], rows: Sequence[Row]) -> None:
        """Append rows that may need more columns than the table can have."""
        kind = self._operation.request.row_layout.kind
        fitting = within_budget(rows, self._existing(), kind, self._limits)
        if not self._takes(columns_of_all(fitting, kind)):
            fitting = within_budget(rows, self._existing(), kind, self._limits)
        schema = columns_of_all(fitting, kind)
        self._ensure(schema)
        for part in batches(fitting, schema, MAX_BATCH_BYTES):
            if isinstance(part, TooLarge):
                self._rejected.append((*pending[part.index], part.error()))
            else:
                self._append(pending[part.start : part.start + part.records.num_rows], part.records)

    def _append(self, pending: list[Pending], records: pa.RecordBatch) -> None:
        """Append the instances' rows without those that the table refuses. It may take several answers to learn all of these."""
        while pending:
            try:
                self._append_all(records)
            except RowsRefused as error:
                kept = self._reject(pending, error)
                pending, records = [pending[index] for index in kept], records.take(pa.array(kept, pa.int64()))
            else:
                self._offset += records.num_rows
                return

    def _open_stream(self) -> str:
        """Return a new stream. Raises Aborted if the table is gone because others have done the work."""
        try:
            return self._tables.open_stream(self._operation.target)
        except NotFound as error:
            if self._is_wanted():
                raise
            raise self._overtaken() from error

    def _overtaken(self) -> Aborted:
        return Aborted(f"{self._operation.target} is gone because others did this work meanwhile")

    def _append_all(self, records: pa.RecordBatch) -> None:
        """Append the rows. A stream without rows that does not know their columns is replaced with a new one."""
        for attempt in range(1, _MOST_STREAMS + 1):
            if self._stream is None:
                self._stream = self._open_stream()
            try:
                self._tables.append(self._stream, self._offset, records)
            except ColumnsNotKnown:
                if attempt == _MOST_STREAMS:
                    raise
                if not self._offset:
                    self._tables.discard(self._stream)
                    self._stream = None
            else:
                return

    def _reject(self, pending: list[Pending], error: RowsRefused) -> list[int]:
        """Reject the rows that the error names and return the indices of the others. Raises it if it names none of them."""
        refused = {index for index in error.indices if 0 <= index < len(pending)}
        if not refused:
            raise error
        for index in sorted(refused):
            self._rejected.append((*pending[index], error))
        return [index for index in range(len(pending)) if index not in refused]

    def _takes(self, schema: Schema) -> bool:
        """Add the columns that the table lacks. Return False if it takes no further column."""
        try:
            self._ensure(schema)
        except TooManyColumns:
            self._limits = NO_MORE_COLUMNS
            return False
        return True

    def _ensure(self, schema: Schema) -> None:
        """Add the columns that the table lacks."""
        existing = self._existing()
        if not covers(existing, schema):
            prepare_target(self._operation, schema, self._tables)
            self._tables.await_columns(self._operation.target)
            self._columns = merge(existing, schema)

    def _existing(self) -> Schema:
        """Return the columns of the table, which are requested once per stream."""
        if self._columns is None:
            table = self._tables.describe(self._operation.target)
            self._columns = table.schema if table else ()
            if table is None and not self._is_wanted():
                raise self._overtaken()
        return self._columns

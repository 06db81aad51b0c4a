"""Write rows of changes to their tables: first the columns, then the rows. Return the result of each row."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from dicom_export.decoding.budget import DEFAULT_COLUMN_LIMITS, NO_MORE_COLUMNS, ColumnLimits
from dicom_export.errors import (
    DicomExportError,
    PermanentError,
    RowsRefused,
    TooManyColumns,
    TransientError,
)
from dicom_export.rows.arrow import MAX_BATCH_BYTES, TooLarge, batches
from dicom_export.rows.fitting import within_budget
from dicom_export.rows.schema import columns_of, columns_of_all, common_columns, covers, merge
from dicom_export.streaming.group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.names import TableName
    from dicom_export.ports import Warehouse
    from dicom_export.rows.schema import Schema
    from dicom_export.state.overwrites import Overwrites
    from dicom_export.streaming.change_row import ChangeRow
    from dicom_export.streaming.config import StreamConfig


WriteResult = DicomExportError | None
"""The result of a row: None if it is durable, else the error."""


class ChangeWriters:
    """Writes rows of changes, each to the table of its stream config. Rows that arrive together share one append.

    Before the append, they are recorded with each running overwrite of the table.
    """

    def __init__(self, tables: Warehouse, overwrites: Overwrites, limits: ColumnLimits = DEFAULT_COLUMN_LIMITS) -> None:
        self._tables = tables
        self._overwrites = overwrites
        self._limits = limits
        self._groups: dict[StreamConfig, GroupCommit[ChangeRow]] = {}
        self._opening = threading.Lock()

    def write(self, row: ChangeRow) -> None:
        """Return when the row is durable. Raises PermanentError if the table does not take it, TransientError."""
        self._group(row.config).commit(row)

    def _group(self, config: StreamConfig) -> GroupCommit[ChangeRow]:
        with self._opening:
            if config not in self._groups:
                self._groups[config] = GroupCommit(
                    partial(self._flush, ChangeWriter(config, self._tables, self._limits))
                )
            return self._groups[config]

    def _flush(self, writer: ChangeWriter, rows: Sequence[ChangeRow]) -> list[WriteResult]:
        for overwrite in self._overwrites.running(writer.table):
            for row in rows:
                self._overwrites.record(overwrite, row.change)
        return writer.write(rows)


class ChangeWriter:
    """Writes rows of one stream config to its table. Its calls take turns.

    Every append has all columns that earlier rows had, so that one connection serves them. A row with another column is
    appended separately: BigQuery may not know a new column for minutes, and the other rows need not wait for that.
    """

    def __init__(self, config: StreamConfig, tables: Warehouse, limits: ColumnLimits = DEFAULT_COLUMN_LIMITS) -> None:
        self._config = config
        self._tables = tables
        self._configured = self._limits = limits
        self._taken: Schema = ()

    @property
    def table(self) -> TableName:
        """The table that the rows are written to."""
        return self._config.table

    def write(self, rows: Sequence[ChangeRow]) -> list[WriteResult]:
        """Write the rows, and return the result of each, in their order."""
        is_known = [covers(self._taken, columns_of(row.row, self._config.schema)) for row in rows]
        outcomes: dict[int, WriteResult] = {}
        for known in (True, False):
            positions = [position for position, each in enumerate(is_known) if each is known]
            written = self._write([rows[position] for position in positions]) if positions else []
            outcomes.update(zip(positions, written, strict=True))
        return [outcomes[position] for position in range(len(rows))]

    def _write(self, rows: Sequence[ChangeRow]) -> list[WriteResult]:
        taken = self._taken
        schema: Schema | None = None
        try:
            rows = self._within_budget(rows)
            schema = merge(
                taken or self._common_columns(), columns_of_all([row.row for row in rows], self._config.schema)
            )
            if schema != taken:
                self._prepare(schema)
            outcomes = self._append(rows, schema)
        except TransientError as error:
            return [error] * len(rows)
        except TooManyColumns as error:
            return self._write_without_more(rows, error)
        except PermanentError as error:
            return self._write_again(rows, error, was_prepared=schema != taken)
        self._taken = schema
        return outcomes

    def _write_without_more(self, rows: Sequence[ChangeRow], error: TooManyColumns) -> list[WriteResult]:
        """Write the rows with only the columns that the table has."""
        if self._limits is NO_MORE_COLUMNS:
            return [error] * len(rows)
        self._limits = NO_MORE_COLUMNS
        return self._write(rows)

    def _within_budget(self, rows: Sequence[ChangeRow]) -> Sequence[ChangeRow]:
        """Return the rows without columns that the table cannot get. The table's columns are requested only if it lacks one."""
        wanted = columns_of_all([row.row for row in rows], self._config.schema)
        if covers(self._taken, wanted):
            return rows
        table = self._tables.describe(self._config.table)
        existing = table.schema if table else ()
        fitted = within_budget([row.row for row in rows], existing, self._config.schema, self._limits)
        return [replace(row, row=each) for row, each in zip(rows, fitted, strict=True)]

    def _write_again(
        self, rows: Sequence[ChangeRow], error: PermanentError, *, was_prepared: bool
    ) -> list[WriteResult]:
        """Write the rows to a table that may have been replaced. If it was not, write each row separately."""
        self._taken = ()
        self._limits = self._configured
        if not was_prepared:
            return self._write(rows)
        if len(rows) == 1:
            return [error]
        return [outcome for row in rows for outcome in self._write([row])]

    def _common_columns(self) -> Schema:
        columns = common_columns(
            self._config.schema,
            has_source_store=self._config.include_source_store,
            has_source_object=self._config.include_source_object,
        )
        return tuple(column for column in columns if column.name != "Type" or not self._config.tracks_changes)

    def _prepare(self, schema: Schema) -> None:
        if self._config.tracks_changes:
            self._tables.prepare_changes(self._config.table, schema)
        else:
            self._tables.prepare(self._config.table, schema, self._config.partitioning)
        # Before the rows: if this fails, nothing was written, and all of it is done again.
        self._tables.annotate(self._config.table, views=self._config.views)

    def _append(self, rows: Sequence[ChangeRow], schema: Schema) -> list[WriteResult]:
        outcomes: list[WriteResult] = [None] * len(rows)
        for batch in batches([row.row for row in rows], schema, MAX_BATCH_BYTES):
            if isinstance(batch, TooLarge):
                outcomes[batch.index] = batch.error(rows[batch.index].uids)
                continue
            span = slice(batch.start, batch.start + batch.records.num_rows)
            outcomes[span] = self._send(rows[span], batch.records)
        return outcomes

    def _send(self, rows: Sequence[ChangeRow], records: pa.RecordBatch) -> list[WriteResult]:
        """Append the rows without those that the table refuses. It may take several answers to learn all of these."""
        outcomes: list[WriteResult] = [None] * len(rows)
        left = list(range(len(rows)))
        while left:
            try:
                self._send_all([rows[index] for index in left], records.take(pa.array(left, pa.int64())))
            except RowsRefused as error:
                refused = {left[index] for index in error.indices if 0 <= index < len(left)}
                if not refused:
                    raise
                for index in refused:
                    outcomes[index] = error
                left = [index for index in left if index not in refused]
            else:
                break
        return outcomes

    def _send_all(self, rows: Sequence[ChangeRow], records: pa.RecordBatch) -> None:
        if self._config.tracks_changes:
            self._tables.change(self._config.table, records, [row.version for row in rows])
        else:
            self._tables.stream(self._config.table, records)

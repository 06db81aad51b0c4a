"""Write the failures of a page as rows of a table, exactly once, as the rows of instances are written."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from dicom_export.errors import Internal, PermanentError, Unavailable
from dicom_export.rows.arrow import TooLarge, batches
from dicom_export.rows.failure_rows import FAILURE_SCHEMA, failure_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_export.names import TableName
    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation
    from dicom_export.ports import Warehouse
    from dicom_export.state.journal import Journal

log = logging.getLogger(__name__)

_BATCH_ROWS = 5_000


@dataclass(frozen=True)
class FailureReport:
    """The table that has a row for each failed instance."""

    table: TableName
    tables: Warehouse
    journal: Journal

    def write(self, operation: Operation, page: int, failures: Iterable[Failure]) -> None:
        """Commit a row for each failure of the page, once, however often this is called.

        A table that cannot take them is logged and holds up no export: the failures are in the operation as well. Raises
        TransientError.
        """
        try:
            stream = self.journal.reports.find(operation.name, page) or self._claimed(operation, page, failures)
            self.tables.commit(self.table, stream)
        except PermanentError as error:
            log.error(  # noqa: TRY400 - its message says it all
                "The failures of page %d cannot be written to %s: %s",
                page,
                self.table,
                error.message,
                extra={"operation": str(operation.name)},
            )

    def _claimed(self, operation: Operation, page: int, failures: Iterable[Failure]) -> str:
        self.tables.prepare(self.table, FAILURE_SCHEMA)
        ours = self.tables.open_stream(self.table)
        sent = self._append(ours, operation, failures)
        held = self.tables.finalize(ours)
        if held != sent:
            raise Unavailable(f"Stream {ours} holds {held} rows of {sent} that were sent")
        claimed = self.journal.reports.create(operation.name, page, ours)
        if claimed != ours:
            self.tables.discard(ours)
        return claimed

    def _append(self, stream: str, operation: Operation, failures: Iterable[Failure]) -> int:
        now, offset, waiting = datetime.now(UTC), 0, iter(failures)
        while rows := [failure_row(operation, failure, now) for failure in islice(waiting, _BATCH_ROWS)]:
            for batch in batches(rows, FAILURE_SCHEMA):
                if isinstance(batch, TooLarge):
                    raise Internal(f"A failure makes a row of {batch.bytes} bytes")
                self.tables.append(stream, offset, batch.records)
                offset += batch.records.num_rows
        return offset

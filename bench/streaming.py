"""Events per second and append requests per 1,000 events, with and without group commit, in one run.

Real are the handler, the header's decoding, the rows and the group commit. The table takes as long for each append as BigQuery does, and counts
them; the objects are in memory.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.handlers.stream_instance import stream_instance
from dicom_export.messages import InstanceChanged, ObjectEvent
from dicom_export.state.overwrites import Overwrites
from dicom_export.state.uploads import Uploads
from dicom_export.stores import DeclaredStore
from dicom_export.streaming.config import StreamConfig
from dicom_export.streaming.writing import ChangeWriter, ChangeWriters
from support.buckets import Bucket
from support.dicom_files import make_archive_objects
from support.factories import STORE, TABLE
from tables import print_section, print_table

if TYPE_CHECKING:
    import pyarrow as pa

    from dicom_export.names import TableName
    from dicom_export.rows.schema import Schema
    from dicom_export.streaming.change_row import ChangeRow

THREADS, APPEND_SECONDS = 16, 0.03
HEAD = ("automatic export", "events", "events/s", "append requests per 1,000 events")
NOTE = f"""\
Uploads become rows of one table, {THREADS} at the same time in one worker. The handler, the decoding of the header, the rows and the group commit are real. The objects
are in memory, and an append takes {APPEND_SECONDS * 1000:.0f} ms. Appends run one after the other, as on a connection to BigQuery."""


class SlowTable:
    """A table whose appends take their time, one after the other: a worker has one connection to a table's default stream."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = Lock()
        self.appends = 0
        self.rows = 0

    def describe(self, _: TableName) -> None:
        """Return that there is no table yet."""

    def annotate(self, *_: object, views: bool) -> None:
        """Define no views."""

    def prepare(self, table: TableName, schema: Schema, *_: object) -> None:
        """Take any columns."""

    def stream(self, _: TableName, batch: pa.RecordBatch) -> None:
        """Take the rows."""
        with self._turn:
            time.sleep(self._seconds)
            self.appends += 1
            self.rows += batch.num_rows


class OneByOne:
    """Writes each row by an append of its own."""

    def __init__(self, tables: Any, overwrites: Overwrites) -> None:  # noqa: ANN401 - a part of the port
        self._overwrites = overwrites
        self._writer = partial(ChangeWriter, tables=tables)

    def write(self, row: ChangeRow) -> None:
        """Write the row as `ChangeWriters` does, fence and all."""
        self._overwrites.running(row.config.table)
        (outcome,) = self._writer(row.config).write([row])
        if outcome:
            raise outcome


def print_streaming(events: int) -> None:
    """Print the section for so many events."""
    print_section("Automatic export, with and without group commit", NOTE)
    ways = {"one append per event": OneByOne, "group commit": ChangeWriters}
    print_table(HEAD, (_row(name, writers, events) for name, writers in ways.items()))


def _row(name: str, writers: Any, events: int) -> tuple[str, ...]:  # noqa: ANN401 - either of two
    seconds, appends = measure(writers, events)
    return name, f"{events:,}", f"{events / seconds:,.0f}", f"{1000 * appends / events:,.0f}"


def measure(writers: Any, events: int) -> tuple[float, int]:  # noqa: ANN401 - as above
    """Handle the events, and return how many seconds and appends it took. Raises SystemExit if a row is missing."""
    bucket, table = Bucket(), SlowTable(APPEND_SECONDS)
    stored = [bucket.write(each, content) for each, content in make_archive_objects(-(-events // 25), 25)][:events]
    with tempfile.TemporaryDirectory() as folder:
        state = FolderState(Path(folder))
        handle = partial(
            stream_instance,
            journal=Uploads(state),
            stores={STORE: DeclaredStore(bucket, streams=(StreamConfig(TABLE),))},
            writers=writers(table, Overwrites(state, lambda _: None)),
        )
        begin = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(handle, (InstanceChanged(STORE, ObjectEvent.WRITTEN, each) for each in stored)))
        took = time.perf_counter() - begin
    if table.rows != events:
        raise SystemExit(f"{table.rows} rows of {events} events")
    return took, table.appends

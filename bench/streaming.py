"""Events per second and append requests per 1,000 events, with and without group commit, in one run.

    .venv/bin/python bench/streaming.py [EVENTS] [THREADS] [APPEND_MILLISECONDS]

Real are the handler, the header's decoding, the rows and the group commit. The table takes as long for each append as BigQuery does, and counts
them; the objects are in memory.
"""

# A script that wires what it measures by itself.
# ruff: noqa: TID251

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "functions"), str(ROOT / "tests")]

from buckets import Bucket  # noqa: E402 - where it is was said above
from dicom_export.adapters.local.state import FolderState  # noqa: E402
from dicom_export.handlers.stream import stream_instance  # noqa: E402
from dicom_export.handlers.stream_writing import StreamWriters, TableWriter  # noqa: E402
from dicom_export.messages import Event, InstanceChanged  # noqa: E402
from dicom_export.overwrites import Overwrites  # noqa: E402
from dicom_export.stores import DeclaredStore  # noqa: E402
from dicom_export.stream_config import StreamConfig  # noqa: E402
from dicom_export.stream_journal import StreamJournal  # noqa: E402
from dicom_files import make_archive_objects  # noqa: E402
from factories import STORE, TABLE  # noqa: E402

if TYPE_CHECKING:
    import pyarrow as pa

    from dicom_export.handlers.stream import ChangeRow
    from dicom_export.names import TableName
    from dicom_export.schema import Schema


class SlowTable:
    """A table whose appends take their time, one after the other: a worker has one connection to a table's default stream."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = Lock()
        self.appends = 0
        self.rows = 0

    def prepare(self, table: TableName, schema: Schema) -> None:
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
        self._writer = partial(TableWriter, tables=tables)

    def write(self, row: ChangeRow) -> None:
        """Write the row as `StreamWriters` does, fence and all."""
        self._overwrites.running(row.config.table)
        (outcome,) = self._writer(row.config).write([row])
        if outcome:
            raise outcome


def measure(name: str, writers: Any, events: int, threads: int, seconds: float) -> None:  # noqa: ANN401 - either of two
    """Handle the events, and print how long it took."""
    bucket, table = Bucket(), SlowTable(seconds)
    stored = [bucket.write(each, content) for each, content in make_archive_objects(-(-events // 25), 25)][:events]
    with tempfile.TemporaryDirectory() as folder:
        state = FolderState(Path(folder))
        handle = partial(
            stream_instance,
            journal=StreamJournal(state),
            stores={STORE: DeclaredStore(bucket, streams=(StreamConfig(TABLE),))},
            writers=writers(table, Overwrites(state, lambda _: None)),
        )
        begin = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(handle, (InstanceChanged(STORE, Event.WRITTEN, each) for each in stored)))
        took = time.perf_counter() - begin
    if table.rows != events:
        raise SystemExit(f"{table.rows} rows of {events} events")
    requests = 1000 * table.appends / events
    print(f"{name:22} {events / took:8.0f} events/s {requests:8.0f} append requests per 1,000 events")


def main() -> None:
    """Measure both."""
    events, threads, milliseconds = (int(each) for each in (*sys.argv[1:], *("2000", "16", "30")[len(sys.argv) - 1 :]))
    print(f"{events} events, {threads} at once, an append takes {milliseconds} ms")
    measure("without group commit", OneByOne, events, threads, milliseconds / 1000)
    measure("with group commit", StreamWriters, events, threads, milliseconds / 1000)


if __name__ == "__main__":
    main()

"""Objects per second that are planned of a store that nobody has to store, and what it takes to be told of such an operation.

    PYTHONPATH=bench:tests .venv/bin/python bench/planner.py OBJECTS

prints the figures of one size as JSON, from a process of its own, so that its peak memory is that of this size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.exporting.service import OperationsService
from dicom_export.handlers.plan_export import plan_export
from dicom_export.messages import ExportStudy, PlanExport
from dicom_export.operations.counters import Counters
from dicom_export.operations.outcome import Outcome
from dicom_export.operations.planning import PlanLimits
from dicom_export.operations.request import WriteDisposition
from dicom_export.protocol.operations_json import operation_to_json
from dicom_export.state.journal import Journal
from dicom_export.stores import DeclaredStore
from support.dicom_files import make_instance
from support.factories import STORE, make_object, make_operation
from support.memory import peak_bytes
from tables import print_section, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.messages import Message
    from dicom_export.operations.operation import Operation
    from dicom_export.ports import StateEntry, StateObject
    from dicom_export.stored_object import StoredObject

SERIES = 250
HEAD = (
    "objects",
    "planned, objects/s",
    "messages",
    "peak memory, MiB",
    "growth while planning, MiB",
    "GET: state lists",
    "GET: state reads",
    "GET: peak, MiB",
    "GET: ms",
)
NOTE = f"""\
The planner plans all pages of a store, one after the other. The names of the store (`STUDY/SERIES/INSTANCE.dcm`, {SERIES} per study) are made when they are asked for.
The state is in a folder; published messages are counted and dropped. Each size has its own process. GET reads the operation when all its messages have a result and no
page is summed yet, which is the most that it ever has to read."""


@dataclass
class VirtualStore:
    """A store of so many objects of which none is kept."""

    count: int
    header: bytes = field(default_factory=make_instance)

    def uri(self, name: str) -> str:
        return f"virtual://{name}"

    def copy_source(self, name: str) -> str:
        return self.uri(name)

    def list(
        self,
        *,
        prefix: str = "",  # noqa: ARG002 - the benchmark has no prefixes
        start_after: str = "",
        unlisted: object = None,  # noqa: ARG002 - all can be listed
    ) -> Iterator[StoredObject]:
        first = int(start_after.rpartition(".dcm")[0].rpartition(".")[2]) - 10**9 + 1 if start_after else 0
        for number in range(first, self.count):
            study = 10**8 + number // SERIES
            yield make_object(f"1.2.{study}/1.2.{study}.1/1.2.{study}.1.{10**9 + number}.dcm", size=len(self.header))

    def get(self, name: str) -> StoredObject | None:
        return make_object(name, size=len(self.header))

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:  # noqa: ARG002 - the port's
        return self.header[start : start + length]


@dataclass
class Queue:
    """A Publisher that keeps the next page's message, and counts those of the workers."""

    waiting: list[PlanExport] = field(default_factory=list)
    studies: list[tuple[int, int]] = field(default_factory=list)
    objects: int = 0

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if isinstance(message, PlanExport):
                self.waiting.append(message)
            elif isinstance(message, ExportStudy):
                self.studies.append((message.page, message.task))
                self.objects += len(message.objects)


class AnyTable:
    """Tables that are not there yet and take any columns."""

    def await_columns(self, table: object) -> None:
        del table

    def possible_partitioning(self, *arguments: object) -> None:
        del arguments

    def describe(self, *_: object) -> None:
        """Say that there is none."""

    def prepare(self, *_: object) -> None:
        """Take the columns."""


class CountedState(FolderState):
    """Counts lists and reads."""

    lists = reads = 0

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StateEntry]:
        self.lists += 1
        return super().list(prefix, start_after=start_after)

    def read(self, path: str) -> StateObject | None:
        self.reads += 1
        return super().read(path)


def print_planner(sizes: Sequence[int]) -> None:
    """Print the section for so many objects each."""
    print_section("Planning, and GET of an operation", NOTE)
    print_table(HEAD, map(_row, sizes))


def _row(size: int) -> list[str]:
    command = [sys.executable, __file__, str(size)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=dict(os.environ)).stdout  # noqa: S603 - this script
    return [f"{figure:,}" for figure in json.loads(output)]


def figures(size: int) -> list[float]:
    """Return the row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        journal, before = Journal(FolderState(Path(folder))), peak_bytes() >> 20
        journal.operations.create(_operation())
        begin = time.perf_counter()
        queue = plan(journal, size)
        rate = size / (time.perf_counter() - begin)
        peak = peak_bytes() >> 20
        for page, task in queue.studies:
            journal.tasks.create_result(_operation().name, page, task, Outcome(Counters(success=1), studies=("1.2",)))
        return [size, round(rate), len(queue.studies), peak, peak - before, *get_operation(Path(folder))]


def plan(journal: Journal, size: int) -> Queue:
    """Plan an export of a store of so many objects. Raises SystemExit if not all were planned."""
    queue = Queue([PlanExport(_operation().name, 0)])
    stores = {STORE: DeclaredStore(VirtualStore(size))}
    tables: Any = AnyTable()
    while queue.waiting:
        message = queue.waiting.pop()
        plan_export(
            message,
            journal=journal,
            stores=stores,
            buckets=lambda _: None,
            tables=tables,
            publisher=queue,
            limits=PlanLimits(outstanding=sys.maxsize),  # there are no workers to wait for
        )
    if queue.objects != size:
        raise SystemExit(f"{queue.objects} of {size} objects were planned")
    return queue


def get_operation(folder: Path) -> list[float]:
    """Return the lists and the reads of the state that one GET takes, its peak memory in MiB, and its milliseconds."""
    state = CountedState(folder)
    service, name = OperationsService(Journal(state)), _operation().name
    begin = time.perf_counter()
    json.dumps(operation_to_json(service.get_operation(name)))
    milliseconds = round((time.perf_counter() - begin) * 1000)
    lists, reads = state.lists, state.reads
    tracemalloc.start()
    json.dumps(operation_to_json(service.get_operation(name)))
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return [lists, reads, round(peak, 1), milliseconds]


def _operation() -> Operation:
    return make_operation(disposition=WriteDisposition.WRITE_APPEND)


if __name__ == "__main__":
    print(json.dumps(figures(int(sys.argv[1]))))

"""The functions of Google Cloud, each dying at every one of its calls, on the local adapters; then its message is delivered again.

A death is an exception that nothing catches, and the next process begins with what was on disk. `python -m soak.functions [--every N]`
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from dicom_export import messages
from dicom_export.bootstrap.wiring import dead_letters_on
from dicom_export.errors import Unavailable
from dicom_export.handlers.start_export import give_up_batch_export, start_batch_export
from dicom_export.messages import InstanceChanged
from dicom_export.names import OperationName, TableName
from dicom_export.operations.counters import Counters
from dicom_export.operations.request import WriteDisposition
from dicom_export.rows.layout import SchemaKind
from dicom_export.streaming.config import StreamConfig
from soak.forks import scratch
from support.buckets import Bucket
from support.dicom_files import make_instance
from support.factories import PARENT, STORE, TABLE
from support.faults import Crash, Faults
from support.worlds import LIMITS, ONE_OUTSTANDING, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_export.stores import DeclaredStore

    Deliver = Callable[[Callable[[], None], str], None]
    Case = Callable[[World, Deliver], str]

INSTANCES = [f"1.2.{study}.{number}" for study in range(1, 4) for number in range(study)]
EXPECTED = Counters(planned=7, success=6, failure=1, studies=3)
TABLES = tuple(
    StreamConfig(TableName("local", "main", name), SchemaKind.JSON, tracks_changes=name == "latest")
    for name in ("rows", "latest")
)
FUNCTIONS = {
    "plan-export": "plan_export",
    "export-study": "export_study",
    "study-exported": "record_result",
    "instance-changed": "stream_instance",
}


class Deaths:
    """How often each function died, and what was wrong afterwards."""

    def __init__(self, every: int = 1) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._every = every
        self._number = 0

    def at_every_call(self, name: str, case: Case) -> None:
        """Run the case once without any death, and then once for each call after which it dies."""
        calls = self._run(name, case, None)
        for point in range(0, calls, self._every):
            self._run(name, case, point)

    def _run(self, name: str, case: Case, point: int | None) -> int:
        self._number += 1
        root = scratch() / "functions" / str(self._number)
        root.mkdir(parents=True)
        faults = Faults()
        world = World(
            root,
            Bucket() if name == "uploads" else make_store(),
            faults,
            streams=TABLES,
            limits=ONE_OUTSTANDING if "deferred" in name else LIMITS,
        )
        calls = 0

        def deliver(function: Callable[[], None], entry_point: str) -> None:
            """Call a function until it does not die."""
            nonlocal calls
            faults.log.clear()
            faults.at = frozenset() if point is None or point < calls else frozenset({point - calls})
            try:
                function()
            except Crash:
                self.counts[entry_point] += 1
                calls += len(faults.log)
                faults.at = frozenset()
                world.tables.close()
                world._start()
                function()
            else:
                calls += len(faults.log)
            faults.at = frozenset()

        wrong = case(world, deliver)
        world.close()
        shutil.rmtree(root)
        if wrong:
            self.wrong.append(f"{name}, died after call {point}: {wrong}")
        return calls


def make_store() -> Path:
    """Return a folder of three studies, with a file that is not DICOM."""
    root = scratch() / "functions-store"
    if not root.exists():
        for uid in INSTANCES:
            study = uid.rpartition(".")[0]
            (root / study / "1.3").mkdir(parents=True, exist_ok=True)
            instance = make_instance(StudyInstanceUID=study, SeriesInstanceUID="1.3", SOPInstanceUID=uid)
            (root / study / "1.3" / f"{uid}.dcm").write_bytes(instance)
        (root / "1.2.3/1.3/1.2.3.9.dcm").write_bytes(b"\0no DICOM at all")
    return root


def export(world: World, deliver: Deliver, disposition: WriteDisposition) -> str:
    """Start an export by a batch job, deliver all messages, and return what is wrong at the end."""
    body = {
        "name": str(STORE),
        "bigqueryDestination": {"tableUri": str(TABLE), "writeDisposition": disposition.value, "schemaJson": {}},
    }
    name = OperationName(PARENT, "job1")
    deliver(lambda: start_batch_export(json.dumps(body).encode(), "job1", world.service), "start_export")
    _deliver_all(world, deliver)
    operation = world.service.get_operation(name)
    if operation.counters != EXPECTED or not operation.is_done:
        return f"{operation.counters}"
    return "" if world.instances() == INSTANCES else f"{world.instances()}"


def give_up(world: World, deliver: Deliver) -> str:
    """Have every message that reads or plans run out of attempts: the operation ends, with each instance a failure or a row."""
    operation = world.export()
    kept = world.mailbox.waiting
    while kept:
        topic, data = kept[0]
        message = messages.decode(topic, data)
        assert not isinstance(message, InstanceChanged)
        if topic == "export-study":
            letter = partial(lambda m: dead_letters_on(world.ports)(m, Unavailable("out of attempts")), message)
            deliver(letter, "record_dead_letter")
            kept.remove((topic, data))
        else:
            world.deliver()
    counters = world.ended(operation).counters
    is_right = counters is not None and (counters.failure, counters.abandoned, counters.success) == (7, 7, 0)
    return "" if is_right and not world.instances() else f"{counters}"


def refuse(world: World, deliver: Deliver) -> str:
    """Have a batch job run out of attempts: an operation says so, once."""
    body = {"name": str(STORE), "bigqueryDestination": {"tableUri": str(TABLE)}}
    reason = Unavailable("out of attempts")
    deliver(lambda: give_up_batch_export(json.dumps(body).encode(), "job1", reason, world.service), "refuse_export")
    operation = world.service.get_operation(OperationName(PARENT, "job1"))
    return "" if operation.error and operation.is_done else "no operation tells of it"


def uploads(world: World, deliver: Deliver) -> str:
    """Write, overwrite and delete objects: at least one row each, and exactly one where changes are tracked."""
    bucket = _bucket(world)
    bucket.tell = world.change
    first, second = (make_instance(SOPInstanceUID=f"1.4.{number}") for number in range(2))
    bucket.write("a", first)
    bucket.write("b", second)
    _deliver_all(world, deliver)
    bucket.write("a", first)
    bucket.delete("b")
    _deliver_all(world, deliver)
    latest = [row["SOPInstanceUID"] for row in world.rows(TABLES[1].table)]
    kinds = Counter(row["Type"] for row in world.rows(TABLES[0].table))
    return "" if latest == ["1.4.0"] and kinds["CREATE"] >= 3 and kinds["DELETE"] >= 1 else f"{latest} {kinds}"


def _bucket(world: World) -> Bucket:
    declared: DeclaredStore = world.ports.stores[STORE]
    assert isinstance(declared.objects, Bucket)
    return declared.objects


def _deliver_all(world: World, deliver: Deliver) -> None:
    while world.mailbox.waiting:
        topic, data = world.mailbox.waiting[0]
        deliver(lambda t=topic, d=data: world.handlers[t](messages.decode(t, d)), FUNCTIONS[topic])  # type: ignore[misc]
        world.mailbox.waiting.remove((topic, data))


def cases() -> Iterator[tuple[str, Case]]:
    """Yield what is run, by name."""
    for disposition in (WriteDisposition.WRITE_EMPTY, WriteDisposition.WRITE_APPEND, WriteDisposition.WRITE_TRUNCATE):
        yield f"export {disposition}", partial(export, disposition=disposition)
    yield "deferred export", partial(export, disposition=WriteDisposition.WRITE_APPEND)
    yield "dead letters", give_up
    yield "refused", refuse
    yield "uploads", uploads


def run(every: int = 1) -> Deaths:
    """Run all cases."""
    deaths = Deaths(every)
    for name, case in cases():
        deaths.at_every_call(name, case)
    return deaths


def main() -> None:
    """Print how often each function died. Ends with an error if anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="die after every so manieth call")
    begun = time.monotonic()
    deaths = run(parser.parse_args().every)
    for function, count in sorted(deaths.counts.items()):
        print(f"{function:24} {count:6,} deaths")
    print(f"{deaths.counts.total():,} deaths in {time.monotonic() - begun:,.0f} s, {len(deaths.wrong)} wrong")
    shutil.rmtree(scratch())
    sys.exit("\n".join(deaths.wrong) or 0)


if __name__ == "__main__":
    main()

"""Planner, workers and counting of an export on a state in memory: a worker is a result without a row, so that nothing takes time."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from dicom_export.errors import TransientError
from dicom_export.exporting.service import ExportService
from dicom_export.handlers.plan_export import plan_export
from dicom_export.handlers.record_result import record_result
from dicom_export.messages import ExportStudy, PlanExport, StudyExported
from dicom_export.operations.counters import Counters
from dicom_export.operations.outcome import Outcome
from dicom_export.operations.planning import PlanLimits
from dicom_export.state.journal import Journal
from dicom_export.stores import DeclaredStore
from support.factories import STORE, make_object, make_operation
from support.faults import Crash, Faults, Faulty, Mailbox
from support.memory_state import MemoryState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_export.operations.operation import Operation
    from dicom_export.stored_object import StoredObject

STUDIES = 6
LIMITS = PlanLimits(bundle=1, page_tasks=2, sample=0, outstanding=4)
EXPECTED = Counters(planned=STUDIES, success=STUDIES)


class Archive:
    """A store of studies of one instance each."""

    def uri(self, name: str) -> str:
        return f"file:///{name}"

    def copy_source(self, name: str) -> str:
        return self.uri(name)

    def list(self, *, prefix: str = "", start_after: str = "", unlisted: object = None) -> Iterator[StoredObject]:
        del unlisted
        for number in range(STUDIES):
            name = f"1.2.{number}/1.3/1.2.{number}.1"
            if name.startswith(prefix) and name > start_after:
                yield make_object(name)


class NoTable:
    """A table that takes every column."""

    def describe(self, table: object) -> None:
        del table

    def prepare(self, table: object, schema: object, partitioning: object = None) -> None:
        del table, schema, partitioning

    def await_columns(self, table: object) -> None:
        del table

    def annotate(self, table: object, *, views: bool) -> None:
        del table, views


class Installation:
    """The planner, workers and counting of an export whose messages the test delivers."""

    def __init__(
        self,
        faults: Faults | None = None,
        limits: PlanLimits = LIMITS,
        store: DeclaredStore | None = None,
        operation: Operation | None = None,
        table: NoTable | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.limits = limits
        self.mailbox = Mailbox(self.faults)
        self.published: Counter[str] = Counter()
        self.sample: list[StoredObject] = []
        self.state = MemoryState()
        self.journal = Journal(cast("Any", Faulty(self.state, self.faults)))
        stores = {STORE: store or DeclaredStore(cast("Any", Archive()))}
        tables = cast("Any", table or NoTable())
        self.service = ExportService(self.journal, stores, lambda _: None, tables, self.mailbox, lambda _: None)
        planner = partial(plan_export, stores=stores, buckets=lambda _: None, tables=tables, limits=limits)
        self.handlers: dict[str, Callable[[Any], None]] = {
            PlanExport.topic: partial(
                planner, journal=self.journal, publisher=self.mailbox, decode=cast("Any", self.sampled)
            ),
            ExportStudy.topic: self.work,
            StudyExported.topic: partial(record_result, journal=self.journal, tables=tables, publisher=self.mailbox),
        }
        self.tables = tables
        self.operation = operation or make_operation()
        with self.faults.disarmed():
            self.journal.operations.create(self.operation)
            self.journal.tables.take(self.operation.table, self.operation.name)
            self.service.resume(self.operation)
        self.faults.log.clear()

    def sampled(self, _: object, objects: Sequence[StoredObject], *__: object, **___: object) -> tuple[()]:
        self.sample += objects
        return ()

    def work(self, message: ExportStudy) -> None:
        self.published["exported"] += 1
        outcome = Outcome(Counters(success=len(message.objects)))
        self.journal.tasks.create_result(message.operation, message.page, message.task, outcome)
        self.mailbox.publish([StudyExported(message.operation, message.page)])

    def deliver(self, index: int = 0, *, again: bool = False) -> None:
        with suppress(Crash, TransientError):  # then the message comes again
            self.mailbox.deliver(self.handlers, index, again=again)
        assert self.outstanding() <= self.limits.outstanding

    def drain(self) -> None:
        for _ in range(5_000):
            if not self.mailbox.waiting:
                return
            self.deliver()
        raise AssertionError(f"still waiting: {self.mailbox.waiting[0]}")

    def outstanding(self) -> int:
        with self.faults.disarmed():
            return self.journal.pages.outstanding(self.operation.name, self.journal.plans.tasks(self.operation.name))

    def ended(self) -> Operation:
        with self.faults.disarmed():
            return self.journal.operations.load(self.operation.name)

    def has_deferred(self) -> bool:
        return any("/deferred/" in path for path in self.state.objects)

    def assert_exact(self) -> None:
        ended = self.ended()
        assert ended.is_done
        assert ended.error is None
        assert replace(ended.counters or Counters(), studies=0) == EXPECTED

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.errors import Code, Internal, InvalidArgument, NotFound
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Failure, FailureStage, Status
from dicom_export.operations.outcome import Outcome
from dicom_export.operations.plan_page import PlanPage
from dicom_export.operations.planning import Cursor, Layout
from dicom_export.state.journal import Journal
from dicom_export.state.tasks import Claim
from support.factories import PARENT, TABLE, make_object, make_operation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_export.operations.operation import Operation
    from dicom_export.ports import StateEntry, StateObject

OPERATION = make_operation()
NAME = OPERATION.name


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(FolderState(tmp_path))
    journal.operations.create(OPERATION)
    return journal


def make_outcome(success: int = 1, *, study: str = "1.2", failures: int = 0) -> Outcome:
    failed = tuple(Failure(f"bad{n}", 1, FailureStage.READ, Code.DATA_LOSS, "why") for n in range(failures))
    return Outcome(Counters(success=success, failure=failures, studies=1), failed, (study,))


def plan(journal: Journal, page: int, tasks: int) -> None:
    objects = tuple((make_object(f"{page}/{task}"),) for task in range(tasks))
    journal.plans.create_page(NAME, page, PlanPage(objects, Cursor(Layout.UIDS, 0, f"{page}/9")))


def test_an_operation_is_created_once(journal: Journal) -> None:
    assert journal.operations.create(replace(OPERATION, api_version="v1beta1")) is False
    assert journal.operations.load(NAME) == OPERATION


def test_an_operation_that_is_not_there_is_not_found(journal: Journal) -> None:
    with pytest.raises(NotFound, match="operations/2"):
        journal.operations.load(make_operation("2").name)


def test_changes_from_many_sides_are_all_kept(journal: Journal) -> None:
    def count(operation: Operation) -> Operation:
        return replace(operation, pages=(operation.pages or 0) + 1)

    threads = [threading.Thread(target=journal.operations.change, args=(NAME, count)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.operations.load(NAME).pages == 8


def test_operations_are_listed_newest_first_and_from_any_position(journal: Journal) -> None:
    for number in range(2, 6):
        operation = make_operation(str(number))
        journal.operations.create(replace(operation, create_time=operation.create_time + timedelta(seconds=number)))
    listed = list(journal.operations.newest_first(PARENT))
    assert [operation.name.operation for _, operation in listed] == ["5", "4", "3", "2", "1"]
    position = listed[1][0]
    assert [operation.name.operation for _, operation in journal.operations.newest_first(PARENT, position)] == [
        "3",
        "2",
        "1",
    ]


def test_a_page_comes_back_with_what_need_not_be_read(journal: Journal) -> None:
    tasks = (make_object("a"),), (make_object("b"),)
    journal.plans.create_page(NAME, 0, PlanPage(tasks, known_tasks=(1,), unchanged=7))
    assert journal.plans.page(NAME, 0) == PlanPage(tasks, known_tasks=(1,), unchanged=7)
    assert journal.pages.counters(OPERATION) == Counters(planned=2, unchanged=7)


def test_the_first_plan_of_a_page_stands(journal: Journal) -> None:
    first = PlanPage(((make_object("a"),),), Cursor(Layout.DICOMWEB, 3, "a"), Layout.DICOMWEB, applies_filter=True)
    tombstone = PlanPage(error=Status(Code.CANCELLED, "stop"))
    assert journal.plans.create_page(NAME, 0, first) == first
    assert journal.plans.create_page(NAME, 0, tombstone) == first
    assert journal.plans.create_page(NAME, 1, tombstone) == journal.plans.page(NAME, 1) == tombstone
    assert journal.plans.pages(NAME) == [0, 1]


def test_the_first_claim_stands(journal: Journal) -> None:
    assert journal.tasks.claim(NAME, 0, 0) is None
    first, second = Claim("streams/1", make_outcome(2, failures=1)), Claim("streams/2", make_outcome(3))
    assert journal.tasks.create_claim(NAME, 0, 0, first) == first
    assert journal.tasks.create_claim(NAME, 0, 0, second) == first


def sum_page(journal: Journal, page: int) -> None:
    results = journal.pages.results(NAME, page)
    assert results
    journal.pages.create_sum(NAME, page, results)


def test_a_page_is_summed_when_all_its_results_are_in(journal: Journal) -> None:
    plan(journal, 0, tasks=2)
    journal.tasks.create_result(NAME, 0, 0, make_outcome(study="1.2"))
    assert journal.pages.results(NAME, 0) is None
    journal.tasks.create_result(NAME, 0, 1, make_outcome(study="1.3"))
    sum_page(journal, 0)
    assert journal.pages.sums(NAME) == {0: Counters(planned=2, success=2, studies=2)}


def test_a_study_that_two_messages_share_is_counted_once(journal: Journal) -> None:
    plan(journal, 0, tasks=2)
    for task in range(2):
        journal.tasks.create_result(NAME, 0, task, make_outcome(study="1.2"))
    sum_page(journal, 0)
    assert journal.pages.sums(NAME)[0].studies == 1


def test_a_repeated_result_changes_nothing(journal: Journal) -> None:
    plan(journal, 0, tasks=1)
    for success in (1, 5):
        journal.tasks.create_result(NAME, 0, 0, make_outcome(success))
    sum_page(journal, 0)
    assert journal.pages.sums(NAME)[0].success == 1


def test_counters_of_a_running_operation_are_those_of_finished_and_of_open_pages(journal: Journal) -> None:
    plan(journal, 0, tasks=2)
    plan(journal, 1, tasks=3)
    for page, task in ((0, 0), (0, 1), (1, 2)):
        journal.tasks.create_result(NAME, page, task, make_outcome(study=f"1.{page}.{task}"))
    before = journal.pages.counters(OPERATION)
    sum_page(journal, 0)
    assert journal.pages.counters(OPERATION) == before == Counters(planned=5, success=3, studies=3)
    assert before.pending == 2


def test_failures_are_listed_in_the_order_of_the_plan(journal: Journal) -> None:
    journal.tasks.create_result(NAME, 1, 0, make_outcome(failures=1))
    journal.tasks.create_result(NAME, 0, 0, make_outcome(failures=2))
    journal.tasks.create_result(NAME, 0, 1, make_outcome())
    assert [failure.object for failure in journal.tasks.failures(NAME)] == ["bad0", "bad1", "bad0"]


def test_failures_go_on_behind_any_of_them(journal: Journal) -> None:
    for page, task, failures in ((0, 0, 2), (0, 1, 0), (0, 2, 3), (1, 0, 1)):
        journal.tasks.create_result(NAME, page, task, make_outcome(failures=failures))
    everything = list(journal.tasks.failures_after("", NAME))
    assert len(everything) == 6
    for number, (position, _) in enumerate(everything, 1):
        assert list(journal.tasks.failures_after(position, NAME)) == everything[number:]


def test_a_table_is_taken_by_one_operation_until_that_has_ended(journal: Journal) -> None:
    first, second = make_operation("8"), make_operation("9")
    journal.operations.create(second)
    assert journal.tables.holder(TABLE) is None
    assert journal.tables.take(TABLE, first.name) == first.name
    assert journal.tables.take(TABLE, first.name) == first.name
    assert journal.tables.take(TABLE, second.name) == second.name
    assert journal.tables.take(TABLE, first.name) == second.name == journal.tables.holder(TABLE)
    journal.operations.change(second.name, lambda operation: replace(operation, end_time=operation.create_time))
    assert journal.tables.take(TABLE, first.name) == first.name


def test_a_filter_is_stored_in_chunks(journal: Journal) -> None:
    paths: list[tuple[str, ...]] = [("1.2", str(number)) for number in range(25)]
    assert journal.filters.index(NAME) is None
    index = journal.filters.create(NAME, paths, chunk_size=10)
    assert journal.filters.index(NAME) == index
    assert index.firsts == (("1.2", "0"), ("1.2", "10"), ("1.2", "20"))
    assert [path for chunk in range(3) for path in journal.filters.chunk(NAME, chunk)] == paths


class WatchedState(FolderState):
    """Counts its lists and its reads, also those at once, each of which takes a moment."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.lists = self.reads = self.at_once = self.most_at_once = 0
        self._counting = threading.Lock()

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StateEntry]:
        self.lists += 1
        return super().list(prefix, start_after=start_after)

    def read(self, path: str) -> StateObject | None:
        with self._counting:
            self.reads += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.005)
        with self._counting:
            self.at_once -= 1
        return super().read(path)


@pytest.fixture
def watched(tmp_path: Path) -> WatchedState:
    return WatchedState(tmp_path)


def create_results(journal: Journal, count: int) -> None:
    for task in range(count):
        journal.tasks.create_result(NAME, 0, task, make_outcome(task + 1, failures=1))


def test_many_results_are_read_at_once_and_come_in_order(watched: WatchedState) -> None:
    journal = Journal(watched)
    create_results(journal, 100)
    assert [outcome.counters.success for outcome in journal.tasks.results(NAME)] == list(range(1, 101))
    assert 1 < watched.most_at_once <= 32


def test_many_page_sums_and_failures_are_read_at_once(watched: WatchedState) -> None:
    journal = Journal(watched)
    for page in range(20):
        plan(journal, page, tasks=1)
        journal.tasks.create_result(NAME, page, 0, make_outcome(study=f"1.{page}", failures=1))
        sum_page(journal, page)
    watched.most_at_once = 0
    assert journal.pages.studies(NAME, are_in_order=True) == 20
    assert watched.most_at_once > 1
    watched.most_at_once = 0
    assert len(list(journal.tasks.failures(NAME))) == 20
    assert watched.most_at_once > 1


def test_two_results_are_read_one_by_one_and_more_no_further_ahead_than_a_window(watched: WatchedState) -> None:
    journal = Journal(watched)
    create_results(journal, 100)
    failures = journal.tasks.failures_after("", NAME)
    for _ in range(2):
        next(failures)
    assert (watched.reads, watched.most_at_once) == (2, 1)
    next(failures)
    assert watched.reads <= 2 + 1 + 32


def test_a_result_that_cannot_be_read_is_an_error_in_its_place(
    watched: WatchedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(watched)
    create_results(journal, 10)
    read = watched.read
    monkeypatch.setattr(watched, "read", lambda path: None if path.endswith("005.json") else read(path))
    results = journal.tasks.results(NAME)
    assert [next(results).counters.success for _ in range(5)] == [1, 2, 3, 4, 5]
    with pytest.raises(Internal, match=r"005\.json is gone"):
        next(results)


def test_counters_of_many_open_pages_take_three_lists(watched: WatchedState) -> None:
    journal = Journal(watched)
    for page in range(12):
        plan(journal, page, tasks=2)
        for task in range(1 + (page in {0, 5})):
            journal.tasks.create_result(NAME, page, task, make_outcome(study=f"1.{page}.{task}"))
    for page in (0, 5):
        sum_page(journal, page)
    watched.lists = 0
    assert journal.pages.counters(OPERATION) == Counters(planned=24, success=14, studies=14)
    assert watched.lists == 3


def test_a_study_on_both_sides_of_a_page_without_any_is_counted_once(journal: Journal) -> None:
    for page, tasks in enumerate((1, 0, 1)):
        plan(journal, page, tasks)
        for task in range(tasks):
            journal.tasks.create_result(NAME, page, task, make_outcome(study="1.2"))
        sum_page(journal, page)
    assert journal.pages.studies(NAME, are_in_order=True) == 1


@pytest.mark.parametrize(
    "position", ["#zz", "000000/000.json#zz", "000000/000.json#-1", "#", "zz", "\ud800#1", "#" + "9" * 5000]
)
def test_a_position_that_no_failure_has_is_an_invalid_argument(journal: Journal, position: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid page position"):
        list(journal.tasks.failures_after(position, NAME))

"""Callers that arrive together share a flush, and each returns, or fails, after the flush of its own item."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_export.errors import RowsRefused, Unavailable
from dicom_export.streaming.group_commit import GroupCommit
from support.faults import Crash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECONDS = 30


class Flushes:
    """Flushes that begin when the test lets them, and refuse the items that it says."""

    def __init__(self, *, are_held: bool = True) -> None:
        self.groups: list[list[int]] = []
        self.refused: set[int] = set()
        self.error: BaseException | None = None
        self.most_at_once = 0
        self._running = 0
        self._begun = threading.Semaphore(0)
        self._may_end = threading.Semaphore(0 if are_held else 10_000)

    def __call__(self, items: Sequence[int]) -> list[BaseException | None]:
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        self.groups.append(list(items))
        self._begun.release()
        assert self._may_end.acquire(timeout=SECONDS)
        self._running -= 1
        if self.error:
            raise self.error
        return [RowsRefused(str(item), (0,)) if item in self.refused else None for item in items]

    def wait_for_one(self) -> None:
        assert self._begun.acquire(timeout=SECONDS)

    def end_one(self) -> None:
        self._may_end.release()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as made:
        yield made


def queue(pool: ThreadPoolExecutor, group: GroupCommit[int], *items: int) -> list[Future[None]]:
    """Have a thread commit each item, in this order, and return when all of them wait."""
    futures = []
    for item in items:
        waiting = len(group._waiting)
        futures.append(pool.submit(group.commit, item))
        while len(group._waiting) == waiting:
            threading.Event().wait(0.001)
    return futures


def begin(pool: ThreadPoolExecutor, flushes: Flushes) -> tuple[GroupCommit[int], Future[None]]:
    """Return a group whose first flush, of item 0, is under way."""
    group = GroupCommit(flushes)
    first = pool.submit(group.commit, 0)
    flushes.wait_for_one()
    return group, first


def test_one_alone_is_flushed_at_once() -> None:
    flushes = Flushes(are_held=False)
    GroupCommit(flushes).commit(1)
    assert flushes.groups == [[1]]


def test_all_that_arrive_during_a_flush_go_with_the_next_one(pool: ThreadPoolExecutor) -> None:
    flushes = Flushes()
    group, first = begin(pool, flushes)
    others = queue(pool, group, 1, 2, 3)
    flushes.end_one()
    flushes.wait_for_one()
    first.result(SECONDS)
    late = queue(pool, group, 4)
    assert not any(future.done() for future in (*others, *late))
    flushes.end_one()
    flushes.end_one()
    for future in (*others, *late):
        future.result(SECONDS)
    assert flushes.groups == [[0], [1, 2, 3], [4]]


def test_a_refused_item_costs_its_own_caller_only(pool: ThreadPoolExecutor) -> None:
    flushes = Flushes()
    flushes.refused = {2}
    group, _ = begin(pool, flushes)
    one, two, three = queue(pool, group, 1, 2, 3)
    flushes.end_one()
    flushes.end_one()
    assert (one.result(SECONDS), three.result(SECONDS)) == (None, None)
    with pytest.raises(RowsRefused, match="2"):
        two.result(SECONDS)


@pytest.mark.parametrize("error", [Unavailable("not now"), ZeroDivisionError(), Crash()])
def test_a_flush_that_fails_fails_each_of_its_callers_and_no_other(
    pool: ThreadPoolExecutor, error: BaseException
) -> None:
    flushes = Flushes()
    group, first = begin(pool, flushes)
    flushes.error = error
    others = queue(pool, group, 1, 2)
    flushes.end_one()
    for future in (first,):
        with pytest.raises(type(error)):
            future.result(SECONDS)
    flushes.wait_for_one()
    flushes.error = None
    flushes.end_one()
    for future in others:
        future.result(SECONDS)
    group_again = queue_done(pool, group, flushes)
    assert group_again == [[0], [1, 2], [9]]


def queue_done(pool: ThreadPoolExecutor, group: GroupCommit[int], flushes: Flushes) -> list[list[int]]:
    """Commit one more, and return all groups: a failure leaves nobody in the way."""
    flushes.end_one()
    pool.submit(group.commit, 9).result(SECONDS)
    return flushes.groups


@settings(max_examples=30)
@given(threads=st.integers(1, 12), each=st.integers(1, 20), refused=st.sets(st.integers(0, 239), max_size=20))
def test_each_of_many_is_flushed_once_in_turn_and_hears_of_its_own_item(
    threads: int, each: int, refused: set[int]
) -> None:
    flushes = Flushes(are_held=False)
    flushes.refused = refused
    group = GroupCommit(flushes)
    heard: dict[int, bool] = {}

    def commit_all(thread: int) -> None:
        for item in range(thread * each, thread * each + each):
            try:
                group.commit(item)
                heard[item] = True
            except RowsRefused as error:
                heard[int(error.message)] = False

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(commit_all, thread) for thread in range(threads)]:
            future.result(SECONDS)
    assert heard == {item: item not in refused for item in range(threads * each)}
    assert sorted(item for flushed in flushes.groups for item in flushed) == sorted(heard)
    assert flushes.most_at_once == 1

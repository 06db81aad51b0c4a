"""Calls for the next items begin early if calls are slow, and only then."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event, current_thread, main_thread
from typing import TYPE_CHECKING

import pytest

from dicom_export.ahead import ITEMS_PER_THREAD, MOST_BYTES, Ahead, Pace, always_slow

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 4
MOST = ITEMS_PER_THREAD * THREADS
SLOW, FAST = 0.002, 0.00002


@dataclass
class Calls:
    """A function that takes `seconds` on a clock of its own, and which items it was called for, in which kind of thread."""

    seconds: float = SLOW
    now: float = 0.0
    begun: list[int] = field(default_factory=list)
    alone: list[int] = field(default_factory=list)

    def __call__(self, item: int) -> int:
        self.begun.append(item)
        if current_thread() is main_thread():
            self.alone.append(item)
            self.now += self.seconds
        return item * item

    def clock(self) -> float:
        return self.now


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def ahead(calls: Calls) -> Iterator[Ahead]:
    with Ahead(THREADS, clock=calls.clock) as opened:
        yield opened


def test_fast_calls_are_made_one_at_a_time_where_their_results_are_used(ahead: Ahead, calls: Calls) -> None:
    calls.seconds = FAST
    for item, result in ahead.over(range(100), calls):
        assert calls.begun == [*range(item)]
        assert result() == item * item
    assert calls.alone == [*range(100)]


def test_after_a_few_slow_calls_the_next_ones_begin_in_threads(ahead: Ahead, calls: Calls) -> None:
    assert [(item, result()) for item, result in ahead.over(range(100), calls)] == [(n, n * n) for n in range(100)]
    assert calls.alone == [0, 1, 2, 3]
    assert sorted(calls.begun) == [*range(100)]


def test_one_slow_call_among_fast_ones_starts_no_thread(ahead: Ahead, calls: Calls) -> None:
    for item, result in ahead.over(range(100), calls):
        calls.seconds = FAST if item % 4 else SLOW
        result()
    assert calls.alone == [*range(100)]


def test_a_second_sequence_knows_that_calls_are_slow(ahead: Ahead, calls: Calls) -> None:
    for _ in range(2):
        for _, result in ahead.over(range(20), calls):
            result()
    assert calls.alone == [0, 1, 2, 3]


def test_calls_are_timed_anew_after_a_thousand_in_threads(ahead: Ahead, calls: Calls) -> None:
    for item, result in ahead.over(range(3_000), calls):
        result()
        if item == 500:
            calls.seconds = FAST
    assert calls.alone == [0, 1, 2, 3, *range(1_004, 3_000)]


def test_slow_calls_overlap_again_after_they_were_timed_anew(ahead: Ahead, calls: Calls) -> None:
    assert [result() for _, result in ahead.over(range(3_000), calls)] == [n * n for n in range(3_000)]
    assert calls.alone == [*range(4), *range(1_004, 1_008), *range(2_008, 2_012)]


def test_one_thread_is_none(calls: Calls) -> None:
    with Ahead(1, always_slow(), calls.clock) as ahead:
        assert [result() for _, result in ahead.over(range(20), calls)] == [n * n for n in range(20)]
    assert calls.alone == [*range(20)]


def test_only_so_many_calls_begin_before_their_results_are_used(calls: Calls) -> None:
    with Ahead(THREADS, always_slow()) as ahead:
        most = 0
        for position, (_, result) in enumerate(ahead.over(range(100), calls)):
            result()
            most = max(most, len(calls.begun) - position)
    assert most <= MOST


def test_results_that_wait_are_bounded_in_bytes(calls: Calls) -> None:
    with Ahead(THREADS, always_slow()) as ahead:
        for position, (_, result) in enumerate(ahead.over(range(20), calls, lambda _: MOST_BYTES // 3)):
            assert result() == position * position
            assert len(calls.begun) <= position + 3


def test_a_result_that_is_larger_than_all_may_be_is_the_only_one_that_waits(calls: Calls) -> None:
    with Ahead(THREADS, always_slow()) as ahead:
        for position, (_, result) in enumerate(ahead.over(range(20), calls, lambda _: 2 * MOST_BYTES)):
            result()
            assert calls.begun == [*range(position + 1)]


def test_an_error_is_raised_where_the_result_of_its_item_is_used() -> None:
    def fail_at_three(item: int) -> int:
        if item == 3:
            raise LookupError(str(item))
        return item

    with Ahead(THREADS, always_slow()) as ahead:
        used: list[object] = []
        for item, result in ahead.over(range(6), fail_at_three):
            try:
                used.append(result())
            except LookupError as error:
                used.append(f"failed: {error}")
                assert item == 3
    assert used == [0, 1, 2, "failed: 3", 4, 5]


def test_calls_that_have_not_begun_are_not_made_after_the_iteration_ends() -> None:
    begun, release = [], Event()

    def wait(item: int) -> int:
        begun.append(item)
        if item:
            release.wait()
        return item

    with Ahead(THREADS, always_slow()) as ahead:
        iteration = ahead.over(range(100), wait)
        _, first = next(iteration)
        assert first() == 0
        iteration.close()  # type: ignore[attr-defined]
        release.set()
    assert len(begun) <= 1 + THREADS  # of MOST that were to be


def test_an_item_without_a_size_is_only_called_when_its_result_is_used(calls: Calls) -> None:
    with Ahead(THREADS, always_slow(), calls.clock) as ahead:
        for item, result in ahead.over(range(40), calls, lambda item: 1 if item % 2 else None):
            if item % 4:
                assert result() == item * item
    assert calls.alone == [*range(2, 40, 4)]
    assert sorted(calls.begun) == [item for item in range(40) if item % 4]


def test_an_item_without_a_size_is_not_timed(ahead: Ahead, calls: Calls) -> None:
    assert [result() for _, result in ahead.over(range(40), calls, lambda _: None)] == [n * n for n in range(40)]
    assert calls.alone == [*range(40)]


def test_a_pace_is_slow_after_as_many_slow_calls_in_a_row() -> None:
    pace = Pace(in_a_row=2)
    paces = []
    for seconds in (SLOW, FAST, SLOW, SLOW, SLOW, FAST):
        pace.note(seconds)
        paces.append(pace.is_slow)
    assert paces == [False, False, False, True, True, False]

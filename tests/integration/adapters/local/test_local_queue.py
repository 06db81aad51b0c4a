"""The queue of one machine: its order, its disorder on demand, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.adapters.local.queue import Disorder, LocalQueue
from dicom_export.errors import InvalidArgument, PermanentError, ResourceExhausted, TransientError, Unavailable
from dicom_export.messages import ExportStudy, Message, PlanExport, StudyExported
from support.factories import make_object, make_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = make_operation().name
TIMEOUT_SECONDS = 60


def study(task: int) -> ExportStudy:
    return ExportStudy(NAME, 0, task, (make_object("Doe^John"),))


def make_queue(
    handler: Callable[[Any], object],
    *,
    on_dead_letter: Callable[[Message, BaseException], None] = lambda *_: None,
    workers: int = 0,
    disorder: Disorder | None = None,
    backoff_seconds: float = 0,
) -> LocalQueue:
    def handle(message: Message) -> None:
        handler(message)

    queue = LocalQueue(
        on_dead_letter=on_dead_letter,
        workers=workers,
        max_attempts=3,
        backoff_seconds=backoff_seconds,
        disorder=disorder,
    )
    return queue.start(dict.fromkeys([PlanExport.topic, ExportStudy.topic, StudyExported.topic], handle))


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_results_come_before_work_and_work_before_planning() -> None:
    taken: list[Message] = []
    queue = make_queue(taken.append)
    queue.publish([PlanExport(NAME, 1), study(1), StudyExported(NAME, 1), study(2)])
    queue.drain()
    assert taken == [StudyExported(NAME, 1), study(1), study(2), PlanExport(NAME, 1)]


def test_a_planner_never_runs_ahead_of_the_workers() -> None:
    waiting: list[int] = []

    def handle(message: Message) -> None:
        if isinstance(message, PlanExport) and message.page < 20:
            waiting.append(len(queue.pending()))
            queue.publish([study(task) for task in range(10)])
            queue.publish([PlanExport(NAME, message.page + 1)])

    queue = make_queue(handle)
    queue.publish([PlanExport(NAME, 0)])
    queue.drain()
    assert waiting == [0] * 20


def test_the_test_chooses_what_is_delivered_next_and_again() -> None:
    taken: list[Message] = []
    queue = make_queue(taken.append)
    queue.publish([study(0), study(1), study(2)])
    queue.deliver(2)
    queue.deliver(0, keep=True)
    queue.deliver(0)
    assert taken == [study(2), study(0), study(0)]
    assert [delivery.topic for delivery in queue.pending()] == ["export-study"]


@given(seed=st.integers(0, 1000))
def test_disorder_delivers_everything_at_least_once(seed: int) -> None:
    taken: list[Message] = []
    queue = make_queue(taken.append, disorder=Disorder(seed, duplicate=0.5))
    sent = [study(task) for task in range(10)]
    queue.publish(sent)
    queue.drain()
    assert set(Counter(taken).values()) <= {1, 2}
    assert set(taken) == set(sent)


def test_disorder_is_the_same_for_the_same_seed() -> None:
    def order(seed: int) -> list[Message]:
        taken: list[Message] = []
        queue = make_queue(taken.append, disorder=Disorder(seed, duplicate=0.5))
        queue.publish([study(task) for task in range(10)])
        queue.drain()
        return taken

    assert order(7) == order(7)
    assert order(7) != order(8)


def test_a_duplicate_can_be_in_two_workers_at_once() -> None:
    together = threading.Barrier(2, timeout=TIMEOUT_SECONDS)
    with make_queue(lambda _: together.wait(), workers=2, disorder=Disorder(duplicate=1, shuffle=False)) as queue:
        queue.publish([study(1)])
        assert queue.join(TIMEOUT_SECONDS)
    assert not together.broken


def test_a_dead_letter_that_cannot_be_recorded_yet_is_not_lost() -> None:
    errors: list[Exception] = [Unavailable("not now")] * 10
    recorded: list[Message] = []

    def record(message: Message, _: BaseException) -> None:
        if errors:
            raise errors.pop()
        recorded.append(message)

    queue = make_queue(raising(InvalidArgument("wrong")), on_dead_letter=record)
    queue.publish([study(1)])
    queue.drain()
    assert recorded == [study(1)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_disk_that_stays_full_stops_the_queue_and_reaches_the_user(workers: int) -> None:
    dead: list[object] = []
    handler = raising(ResourceExhausted("The disk is full"))
    with make_queue(handler, workers=workers, on_dead_letter=lambda *letter: dead.append(letter)) as queue:
        queue.publish([study(1)])
        with pytest.raises(ResourceExhausted, match="disk is full"):
            queue.join(TIMEOUT_SECONDS) if workers else queue.drain()
    # Not before the other worker has ended, which may just have taken it once more.
    assert [delivery.attempt for delivery in queue.pending()] == [3]
    assert dead == []


@pytest.mark.parametrize("error", [ResourceExhausted("full"), InvalidArgument("wrong"), KeyError("surprise")])
def test_whatever_keeps_a_dead_letter_from_being_recorded_reaches_the_user(error: Exception) -> None:
    with make_queue(raising(InvalidArgument("wrong")), workers=2, on_dead_letter=raising(error)) as queue:
        queue.publish([study(1)])
        with pytest.raises(type(error)):
            queue.join(TIMEOUT_SECONDS)


def test_the_log_says_what_failed_and_no_content(caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue(raising(ValueError("Doe^John is no number")))
    queue.publish([study(1)])
    queue.drain()
    assert "export-study failed at attempt 3" in caplog.text
    assert "in fail" in caplog.text
    assert "ValueError" in caplog.text
    assert "Doe" not in caplog.text


@pytest.mark.parametrize(
    ("error", "level"), [(TransientError("later"), logging.WARNING), (PermanentError("never"), logging.ERROR)]
)
def test_only_what_a_retry_does_not_help_is_logged_as_an_error(
    caplog: pytest.LogCaptureFixture, error: Exception, level: int
) -> None:
    queue = make_queue(raising(error))
    queue.publish([study(1)])
    queue.deliver()
    assert [record.levelno for record in caplog.records] == [level]


def test_a_crash_in_the_hands_of_a_test_leaves_the_message_pending() -> None:
    class Crash(BaseException):
        pass

    queue = make_queue(raising(Crash()))
    queue.publish([study(1)])
    with pytest.raises(Crash):
        queue.deliver()
    assert len(queue.pending()) == 1


def test_a_stopped_queue_ends_the_wait_and_delivers_nothing_more() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def handle(_: Message) -> None:
        begun.set()
        go_on.wait(TIMEOUT_SECONDS)

    queue = make_queue(handle, workers=1)
    queue.publish([study(1), study(2)])
    assert begun.wait(TIMEOUT_SECONDS)
    assert queue.join(timeout_seconds=0) is False
    stopping = threading.Thread(target=queue.stop)
    stopping.start()
    assert queue.join(TIMEOUT_SECONDS) is False
    go_on.set()
    stopping.join()
    assert len(queue.pending()) == 1


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt, also where whoever started the tests has had them ignore it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_of_the_user_ends_the_wait() -> None:
    go_on = threading.Event()

    def interrupt(_: Message) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        go_on.wait(TIMEOUT_SECONDS)

    with make_queue(interrupt, workers=1) as queue:
        queue.publish([study(1)])
        with pytest.raises(KeyboardInterrupt):
            queue.join(TIMEOUT_SECONDS)
        go_on.set()


def test_a_retry_waits_for_its_backoff() -> None:
    queue = make_queue(raising(Unavailable("not now")), workers=1, backoff_seconds=3600)
    queue.publish([study(1)])
    assert queue.join(timeout_seconds=0.2) is False
    queue.stop()
    assert [delivery.attempt for delivery in queue.pending()] == [2]

"""What every Publisher does, whatever it is made of: at least once, to the handler of the message's kind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.adapters.local.queue import LocalQueue
from dicom_export.errors import InvalidArgument, Unavailable
from dicom_export.messages import ExportStudy, Message, PlanExport, StudyExported
from factories import make_object, make_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dicom_export.ports import Publisher

NAME = make_operation().name
TIMEOUT_SECONDS = 60


class LocalSubscriptions:
    """Has messages delivered by the local queue."""

    def __init__(self) -> None:
        self.dead: list[tuple[Message, BaseException]] = []
        self.queue = LocalQueue(
            on_dead_letter=lambda *letter: self.dead.append(letter), max_attempts=3, backoff_seconds=0
        )

    def start(self, handlers: Mapping[str, Callable[[Any], None]]) -> Publisher:
        return self.queue.start(handlers)

    def wait(self) -> None:
        assert self.queue.join(TIMEOUT_SECONDS)


@pytest.fixture(params=[LocalSubscriptions])
def subscriptions(request: pytest.FixtureRequest) -> Iterator[LocalSubscriptions]:
    made: LocalSubscriptions = request.param()
    yield made
    made.queue.stop()


def test_each_message_reaches_the_handler_of_its_kind_as_it_was_sent(subscriptions: LocalSubscriptions) -> None:
    sent: list[Message] = [
        PlanExport(NAME, 0),
        ExportStudy(NAME, 0, 1, (make_object("ü/\udce9"), make_object())),
        StudyExported(NAME, 0),
    ]
    received: dict[str, list[Message]] = {message.topic: [] for message in sent}
    subscriptions.start({topic: messages.append for topic, messages in received.items()}).publish(sent)
    subscriptions.wait()
    assert received == {message.topic: [message] for message in sent}


def test_a_handler_can_publish(subscriptions: LocalSubscriptions) -> None:
    pages: list[int] = []

    def plan(message: PlanExport) -> None:
        pages.append(message.page)
        if message.page < 5:
            publisher.publish([PlanExport(NAME, message.page + 1)])

    publisher = subscriptions.start({PlanExport.topic: plan})
    publisher.publish([PlanExport(NAME, 0)])
    subscriptions.wait()
    assert pages == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("error", [Unavailable("not now"), ZeroDivisionError("surprise")])
def test_a_message_whose_handler_fails_is_delivered_again(subscriptions: LocalSubscriptions, error: Exception) -> None:
    attempts: list[Message] = []

    def fail_once(message: Message) -> None:
        attempts.append(message)
        if len(attempts) == 1:
            raise error

    subscriptions.start({PlanExport.topic: fail_once}).publish([PlanExport(NAME, 0)])
    subscriptions.wait()
    assert attempts == [PlanExport(NAME, 0)] * 2
    assert subscriptions.dead == []


def test_a_message_that_is_out_of_attempts_is_a_dead_letter(subscriptions: LocalSubscriptions) -> None:
    attempts = threading.Semaphore(0)

    def fail(_: Message) -> None:
        attempts.release()
        raise Unavailable("never")

    subscriptions.start({PlanExport.topic: fail}).publish([PlanExport(NAME, 0)])
    subscriptions.wait()
    ((message, error),) = subscriptions.dead
    assert message == PlanExport(NAME, 0)
    assert isinstance(error, Unavailable)
    assert [attempts.acquire(blocking=False) for _ in range(4)] == [True, True, True, False]


def test_a_permanent_error_is_a_dead_letter_at_once(subscriptions: LocalSubscriptions) -> None:
    attempts: list[Message] = []

    def fail(message: Message) -> None:
        attempts.append(message)
        raise InvalidArgument("wrong")

    subscriptions.start({PlanExport.topic: fail}).publish([PlanExport(NAME, 0)])
    subscriptions.wait()
    assert len(attempts) == len(subscriptions.dead) == 1

"""What every Publisher does, whatever it is made of: at least once, to the handler of the message's kind."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol, Self
from uuid import uuid4

import pytest

from dicom_export.adapters.gcp.pubsub import TopicPublisher
from dicom_export.adapters.local.queue import LocalQueue
from dicom_export.errors import InvalidArgument, Unavailable
from dicom_export.messages import TOPICS, ExportStudy, Message, PlanExport, StudyExported
from dicom_export.pubsub import push
from dicom_export.pubsub.notifications import Notification
from support.factories import make_object, make_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dicom_export.ports import Publisher
    from dicom_export.pubsub.push import UndeliveredMessage
    from support.emulators.pubsub import PubSub

NAME = make_operation().name
TIMEOUT_SECONDS = 60
MAX_ATTEMPTS = 5


class Subscriptions(Protocol):
    """Has messages delivered to handlers, and keeps the dead letters."""

    dead: list[tuple[Message, BaseException]]

    def start(self, handlers: Mapping[str, Callable[[Any], None]]) -> Publisher:
        """Return what publishes to the handlers."""

    def wait(self) -> None:
        """Return when all that was published is handled."""


class LocalSubscriptions:
    """Has messages delivered by the local queue."""

    def __init__(self, stack: ExitStack) -> None:
        self.dead: list[tuple[Message, BaseException]] = []
        self.queue = LocalQueue(
            on_dead_letter=lambda *letter: self.dead.append(letter), max_attempts=MAX_ATTEMPTS, backoff_seconds=0
        )
        stack.callback(self.queue.stop)

    def start(self, handlers: Mapping[str, Callable[[Any], None]]) -> Publisher:
        return self.queue.start(handlers)

    def wait(self) -> None:
        assert self.queue.join(TIMEOUT_SECONDS)


class PubSubSubscriptions:
    """Has messages pushed by the emulator to this process, which answers as `main` does."""

    def __init__(self, stack: ExitStack, emulator: PubSub) -> None:
        self.dead: list[tuple[Message, BaseException]] = []
        self._emulator = emulator
        self._stack = stack
        self._prefix = f"test-{uuid4().hex}-"
        self._endpoints = Endpoints()
        self._settled: set[str] = set()
        self._publisher = CountingPublisher(
            TopicPublisher({kind: self._created(emulator.create_topic(self._prefix + kind)) for kind in TOPICS})
        )
        stack.enter_context(self._endpoints)

    def start(self, handlers: Mapping[str, Callable[[Any], None]]) -> Publisher:
        dead_letters = self._created(self._emulator.create_topic(f"{self._prefix}dead-letters"))
        self._subscribe("dead-letters", push.dead_letter, self._bury)
        for kind, handler in handlers.items():
            take = partial(push.hand_over, handler=handler, on_dead_letter=self._bury)
            self._subscribe(kind, partial(push.message, kind), take, dead_letters)
        return self._publisher

    def wait(self) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while len(self._settled) < self._publisher.count:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _subscribe(
        self, kind: str, decode: Callable[[Any], Any], take: Callable[[Any], None], dead_letters: str | None = None
    ) -> None:
        def receive(body: bytes) -> int:
            status = push.answer(body, decode, take)
            if status == 204:
                self._settled.add(push.parse(body).message_id)
            return status

        name = self._prefix + kind
        endpoint = self._endpoints.add(name, receive)
        topic = f"projects/my-project/topics/{name}"
        self._created(
            self._emulator.subscribe(name, topic, endpoint, dead_letter_topic=dead_letters, max_attempts=MAX_ATTEMPTS)
        )

    def _created(self, resource: str) -> str:
        self._stack.callback(self._emulator.delete, resource)
        return resource

    def _bury(self, letter: UndeliveredMessage) -> None:
        assert not isinstance(letter.message, push.BatchRequest | Notification)
        self.dead.append((letter.message, letter.reason))


class CountingPublisher:
    """Counts what is published."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.count = 0

    def publish(self, messages: Sequence[Message]) -> None:
        self.count += len(messages)
        self._publisher.publish(messages)


class Endpoints:
    """Receivers of push requests in this process, each at a path of its own. A context that serves them."""

    def __init__(self) -> None:
        receivers: dict[str, Callable[[bytes], int]] = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receivers[self.path](body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._receivers = receivers
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def add(self, name: str, receive: Callable[[bytes], int]) -> str:
        """Return the address at which `receive` gets what is pushed, and gives the status to answer with."""
        self._receivers[f"/{name}"] = receive
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(params=["local", "pubsub"])
def subscriptions(request: pytest.FixtureRequest) -> Iterator[Subscriptions]:
    with ExitStack() as stack:
        if request.param == "local":
            yield LocalSubscriptions(stack)
        else:
            yield PubSubSubscriptions(stack, request.getfixturevalue("pubsub_emulator"))


def test_each_message_reaches_the_handler_of_its_kind_as_it_was_sent(subscriptions: Subscriptions) -> None:
    sent: list[Message] = [
        PlanExport(NAME, 0),
        ExportStudy(NAME, 0, 1, (make_object("ü/\udce9"), make_object())),
        StudyExported(NAME, 0),
    ]
    received: dict[str, list[Message]] = {message.topic: [] for message in sent}
    subscriptions.start({topic: messages.append for topic, messages in received.items()}).publish(sent)
    subscriptions.wait()
    assert received == {message.topic: [message] for message in sent}


def test_a_handler_can_publish(subscriptions: Subscriptions) -> None:
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
def test_a_message_whose_handler_fails_is_delivered_again(subscriptions: Subscriptions, error: Exception) -> None:
    attempts: list[Message] = []

    def fail_once(message: Message) -> None:
        attempts.append(message)
        if len(attempts) == 1:
            raise error

    subscriptions.start({PlanExport.topic: fail_once}).publish([PlanExport(NAME, 0)])
    subscriptions.wait()
    assert attempts == [PlanExport(NAME, 0)] * 2
    assert subscriptions.dead == []


def test_a_message_that_is_out_of_attempts_is_a_dead_letter(subscriptions: Subscriptions) -> None:
    attempts = threading.Semaphore(0)

    def fail(_: Message) -> None:
        attempts.release()
        raise Unavailable("never")

    subscriptions.start({PlanExport.topic: fail}).publish([PlanExport(NAME, 0)])
    subscriptions.wait()
    ((message, error),) = subscriptions.dead
    assert message == PlanExport(NAME, 0)
    assert isinstance(error, Unavailable)
    assert [attempts.acquire(blocking=False) for _ in range(MAX_ATTEMPTS + 1)] == [True] * MAX_ATTEMPTS + [False]


def test_a_permanent_error_is_a_dead_letter_at_once(subscriptions: Subscriptions) -> None:
    attempts: list[Message] = []

    def fail(message: Message) -> None:
        attempts.append(message)
        raise InvalidArgument("wrong")

    subscriptions.start({PlanExport.topic: fail}).publish([PlanExport(NAME, 0)])
    subscriptions.wait()
    assert len(attempts) == len(subscriptions.dead) == 1

"""The real client library against a Pub/Sub that fails on demand, which no emulator does."""

from __future__ import annotations

import json
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import grpc
import pytest
from google.api_core.timeout import ConstantTimeout
from google.pubsub_v1.types import PublishRequest, PublishResponse

from dicom_export import messages
from dicom_export.adapters.gcp import pubsub as publisher
from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS
from dicom_export.adapters.gcp.pubsub import MAX_BYTES, TopicPublisher
from dicom_export.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from dicom_export.messages import TOPICS, ExportStudy, Message, PlanExport, StudyExported
from support.emulators.functions import Function
from support.emulators.pubsub import HOST_VARIABLE
from support.factories import make_object, make_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = make_operation().name
TOPIC_NAMES = {kind: f"projects/my-project/topics/{kind}" for kind in TOPICS}
PLAN = PlanExport(NAME, 0)


@dataclass
class FakePubSub:
    """Takes requests to publish. `fault` gets each, before and after its messages are kept, and may refuse the request."""

    requests: list[PublishRequest] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    before: Callable[[PublishRequest], grpc.StatusCode | None] = lambda _: None
    after: Callable[[PublishRequest], grpc.StatusCode | None] = lambda _: None
    lost_ids: int = 0

    @property
    def received(self) -> list[Message]:
        return [
            messages.decode(message.attributes["kind"], message.data)
            for request in self.requests
            for message in request.messages
        ]

    def publish(self, request: PublishRequest, context: grpc.ServicerContext) -> PublishResponse:
        self.seconds.append(context.time_remaining())
        if refused := self.before(request):
            context.abort(refused, "refused")
        self.requests.append(request)
        if lost := self.after(request):
            context.abort(lost, "lost")
        return PublishResponse(message_ids=[str(number) for number in range(len(request.messages) - self.lost_ids)])


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePubSub]:
    fake = FakePubSub()
    handler = grpc.unary_unary_rpc_method_handler(fake.publish, PublishRequest.deserialize, PublishResponse.serialize)
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", {"Publish": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv(HOST_VARIABLE, f"127.0.0.1:{port}")
    yield fake
    server.stop(None).wait()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up after a moment."""
    monkeypatch.setattr(publisher, "_RETRY", publisher._RETRY.with_timeout(0.3))
    monkeypatch.setattr(publisher, "_TIMEOUT", ConstantTimeout(0.3))


def study(task: int, names: tuple[str, ...] = ("a/b.dcm",)) -> ExportStudy:
    return ExportStudy(NAME, 0, task, tuple(make_object(name) for name in names))


def faults(*statuses: grpc.StatusCode | None) -> Callable[[PublishRequest], grpc.StatusCode | None]:
    """Return what refuses the first requests so, and no more then."""
    remaining = list(statuses)
    return lambda _: remaining.pop(0) if remaining else None


def on_topic(
    kind: str, fault: Callable[[PublishRequest], grpc.StatusCode | None]
) -> Callable[[PublishRequest], grpc.StatusCode | None]:
    return lambda request: fault(request) if request.topic == TOPIC_NAMES[kind] else None


def test_each_message_goes_to_its_topic_with_its_kind_and_operation(pubsub: FakePubSub) -> None:
    sent: list[Message] = [PLAN, StudyExported(NAME, 0), study(1), study(2)]
    TopicPublisher(TOPIC_NAMES).publish(sent)
    assert sorted(pubsub.received, key=repr) == sorted(sent, key=repr)
    for request in pubsub.requests:
        for message in request.messages:
            kind = request.topic.rpartition("/")[2]
            assert dict(message.attributes) == {"kind": kind, "operation": str(NAME)}


def test_nothing_to_publish_is_no_request(pubsub: FakePubSub) -> None:
    TopicPublisher(TOPIC_NAMES).publish([])
    assert pubsub.requests == []


def test_a_page_takes_a_few_requests(pubsub: FakePubSub) -> None:
    TopicPublisher(TOPIC_NAMES).publish([study(task) for task in range(100)])
    assert len(pubsub.received) == 100
    assert len(pubsub.requests) < 20


@pytest.mark.parametrize(
    "sent",
    [
        [study(task) for task in range(2_500)],
        [study(task, (f"{task}" * 4_000_000,)) for task in range(5)],
        [study(task, ("x" * (MAX_BYTES - 300),)) for task in range(2)],
    ],
    ids=["many", "large", "largest"],
)
def test_no_request_is_larger_than_pubsub_takes(pubsub: FakePubSub, sent: list[Message]) -> None:
    TopicPublisher(TOPIC_NAMES).publish(sent)
    assert sorted(pubsub.received, key=lambda message: getattr(message, "task", 0)) == sent
    for request in pubsub.requests:
        assert len(request.messages) <= 1_000
        assert len(PublishRequest.serialize(request)) <= 10_000_000


def test_a_message_that_is_too_long_is_refused_before_any_is_sent(pubsub: FakePubSub) -> None:
    oversize = study(1, ("x" * MAX_BYTES,))
    length = len(messages.encode(oversize))
    with pytest.raises(InvalidArgument, match=f"export-study of {length} bytes"):
        TopicPublisher(TOPIC_NAMES).publish([PLAN, oversize])
    assert pubsub.requests == []


@pytest.mark.parametrize(
    "status",
    [
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    ],
)
def test_a_burst_of_refusals_passes_unnoticed(pubsub: FakePubSub, status: grpc.StatusCode) -> None:
    pubsub.before = faults(status, status)
    TopicPublisher(TOPIC_NAMES).publish([PLAN])
    assert pubsub.received == [PLAN]


def test_a_lost_answer_is_a_second_delivery(pubsub: FakePubSub) -> None:
    pubsub.after = faults(grpc.StatusCode.UNAVAILABLE)
    TopicPublisher(TOPIC_NAMES).publish([PLAN])
    assert pubsub.received == [PLAN, PLAN]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("status", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE])
def test_refusals_that_do_not_end_are_left_to_the_next_attempt(pubsub: FakePubSub, status: grpc.StatusCode) -> None:
    pubsub.before = lambda _: status
    with pytest.raises(Unavailable, match="Publishing on plan-export"):
        TopicPublisher(TOPIC_NAMES).publish([PLAN])


@pytest.mark.usefixtures("impatient")
def test_a_service_that_does_not_answer_is_not_waited_for(pubsub: FakePubSub) -> None:
    is_over = threading.Event()
    pubsub.before = lambda _: None if is_over.wait(20) else grpc.StatusCode.INTERNAL
    begin = time.monotonic()
    with pytest.raises(Unavailable):
        TopicPublisher(TOPIC_NAMES).publish([PLAN])
    is_over.set()
    assert time.monotonic() - begin < 10


def test_every_attempt_has_its_whole_time(pubsub: FakePubSub) -> None:
    pubsub.before = faults(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)
    TopicPublisher(TOPIC_NAMES).publish([PLAN])
    assert len(pubsub.seconds) == 3
    assert [round(seconds) for seconds in pubsub.seconds] == [30, 30, 30]


def test_all_attempts_end_well_before_the_message_is_delivered_again() -> None:
    assert publisher._RETRY_SECONDS + TIMEOUT_SECONDS <= 90
    assert publisher._SETTLE_SECONDS <= 120


@pytest.mark.parametrize(
    ("status", "error"),
    [(grpc.StatusCode.PERMISSION_DENIED, PermissionDenied), (grpc.StatusCode.NOT_FOUND, NotFound)],
)
def test_a_partial_failure_is_raised_when_all_the_others_are_settled(
    pubsub: FakePubSub, status: grpc.StatusCode, error: type[Exception]
) -> None:
    def slow(_: PublishRequest) -> None:
        time.sleep(0.5)

    pubsub.before = lambda request: status if request.topic == TOPIC_NAMES[PlanExport.topic] else slow(request)
    with pytest.raises(error, match="plan-export"):
        TopicPublisher(TOPIC_NAMES).publish([PLAN, study(1), study(2)])
    assert pubsub.received == [study(1), study(2)]


@pytest.mark.usefixtures("impatient")
def test_the_error_that_no_retry_helps_is_raised_before_one_that_may_pass(pubsub: FakePubSub) -> None:
    statuses = {
        TOPIC_NAMES[PlanExport.topic]: grpc.StatusCode.UNAVAILABLE,
        TOPIC_NAMES[ExportStudy.topic]: grpc.StatusCode.NOT_FOUND,
        TOPIC_NAMES[StudyExported.topic]: grpc.StatusCode.UNAVAILABLE,
    }
    pubsub.before = lambda request: statuses[request.topic]
    with pytest.raises(NotFound):
        TopicPublisher(TOPIC_NAMES).publish([PLAN, study(1), StudyExported(NAME, 0)])


def test_an_answer_for_fewer_messages_is_left_to_the_next_attempt(pubsub: FakePubSub) -> None:
    pubsub.lost_ids = 1
    with pytest.raises(Unavailable):
        TopicPublisher(TOPIC_NAMES).publish([study(1), study(2)])


def test_a_message_that_the_library_forgets_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful:
        def publish(self, *_: object, **__: object) -> Future[str]:
            return Future()

    monkeypatch.setattr(publisher, "_SETTLE_SECONDS", 0.1)
    with pytest.raises(Unavailable, match="1 messages"):
        TopicPublisher(TOPIC_NAMES, Forgetful()).publish([PLAN])


def test_threads_share_a_client(pubsub: FakePubSub, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    make = publisher.publisher_client

    def make_one() -> Any:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(publisher, "publisher_client", make_one)
    topics = TopicPublisher(TOPIC_NAMES)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(topics.publish, [[study(task)] for task in range(50)]))
    assert len(pubsub.received) == 50
    assert len(made) == 1


FORKED = f"""
import os, flask, functions_framework
from dicom_export.adapters.gcp.pubsub import TopicPublisher
from dicom_export.messages import PlanExport
from dicom_export.names import OperationName

topics = TopicPublisher({TOPIC_NAMES!r})

@functions_framework.http
def publish(request):
    topics.publish([PlanExport(OperationName.parse({str(NAME)!r}), os.getpid())])
    return str(os.getpid())
"""


def test_workers_that_the_server_forks_publish(pubsub: FakePubSub, tmp_path: Path) -> None:
    (tmp_path / "forked.py").write_text(FORKED)
    environment = {"WORKERS": "2", "THREADS": "1"}
    with Function("publish", tmp_path / "log", environment=environment, source=tmp_path / "forked.py") as function:
        workers = {fetch(function.url) for _ in range(20)}
    assert {message.page for message in pubsub.received if isinstance(message, PlanExport)} == workers


def fetch(url: str) -> int:
    with urlopen(url, timeout=30) as answer:  # noqa: S310 - http, to the function
        return int(answer.read())


def make_names(alphabet: str) -> list[str]:
    """Return names of 1,024 bytes, the most that a bucket allows, of these characters in random order."""
    chosen = random.Random(alphabet)
    size = len(alphabet[0].encode())
    return ["".join(chosen.choices(alphabet, k=1024 // size)) for _ in range(5_000)]


CONTROLS = "".join(chr(code) for code in range(1, 32) if chr(code) not in "\r\n")


@pytest.mark.parametrize(
    "alphabet",
    ["abc/.", "äöüß", "文字列", "\U0001f600\U0001f601", '"', "\\", CONTROLS, CONTROLS + '"\\a\x7f', "\x00"],
    ids=["ascii", "two bytes", "three bytes", "four bytes", "quotes", "backslashes", "controls", "mixed", "nul"],
)
def test_no_names_in_a_bucket_make_a_message_too_long(alphabet: str) -> None:
    message = ExportStudy(
        NAME,
        10**6,
        100,
        tuple(make_object(name, generation=2**63 - 1, size=5 * 2**40) for name in make_names(alphabet)),
        applies_filter=True,
    )
    data = messages.encode(message)
    assert len(data) < 8_000_000
    assert messages.decode(message.topic, data) == message


def test_messages_in_ascii_as_they_were_sent_before_are_understood() -> None:
    message = study(1, ("ü/\udce9\x01", "文字", '"\\'))
    fields = message.to_json()
    fields["objects"] = [
        [stored.name, *row[1:]] for stored, row in zip(message.objects, fields["objects"], strict=True)
    ]
    assert messages.decode(message.topic, json.dumps(fields).encode()) == message

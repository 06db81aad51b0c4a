"""Push requests as Pub/Sub and its emulator send them, and what they are answered."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export import messages
from dicom_export.errors import InvalidArgument, NotFound, Unavailable
from dicom_export.messages import ExportStudy, Message, PlanExport, StudyExported
from dicom_export.pubsub import push
from dicom_export.pubsub.attempts import is_patient
from dicom_export.pubsub.push import BatchRequest, PushedMessage, UndeliveredMessage
from support.factories import make_object, make_operation
from support.pushes import push_body

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = make_operation().name
PLAN = PlanExport(NAME, 0)
FORWARDED = {
    "CloudPubSubDeadLetterSourceDeliveryCount": "5",
    "CloudPubSubDeadLetterSourceSubscription": "plan-export",
    "CloudPubSubDeadLetterSourceSubscriptionProject": "my-project",
    "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-11-23T01:30:08.236+00:00",
}
LABELLED = {
    "logging.googleapis.com/labels": {"message_id": "7", "subscription": "projects/my-project/subscriptions/any"}
}
# https://cloud.google.com/pubsub/docs/push#receive_push
DOCUMENTED = b"""{
    "message": {
        "attributes": {"key": "value"},
        "data": "SGVsbG8gQ2xvdWQgUHViL1N1YiEgSGVyZSBpcyBteSBtZXNzYWdlIQ==",
        "messageId": "2070443601311540",
        "message_id": "2070443601311540",
        "publishTime": "2021-02-26T19:13:55.749Z",
        "publish_time": "2021-02-26T19:13:55.749Z"
    },
    "subscription": "projects/myproject/subscriptions/mysubscription",
    "deliveryAttempt": 5
}"""


def test_a_push_request_is_read_as_it_is_documented() -> None:
    assert push.parse(DOCUMENTED) == PushedMessage(
        "2070443601311540",
        b"Hello Cloud Pub/Sub! Here is my message!",
        {"key": "value"},
        "projects/myproject/subscriptions/mysubscription",
        attempt=5,
    )


@pytest.mark.parametrize(("number", "expected"), [(1, True), (8, True), (9, False), (None, False)])
def test_a_message_is_handled_with_patience_until_its_last_attempts(number: int | None, *, expected: bool) -> None:
    body = json.loads(DOCUMENTED)
    body["deliveryAttempt"] = number
    patient: list[bool] = []
    status = push.answer(json.dumps(body).encode(), lambda pushed: pushed, lambda _: patient.append(is_patient()))
    assert (patient, status) == ([expected], HTTPStatus.NO_CONTENT)
    assert not is_patient()


def test_what_pubsub_leaves_out_is_empty() -> None:
    assert push.parse(b'{"message": {"messageId": "1"}, "subscription": "s"}') == PushedMessage("1", b"", {}, "s")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Doe^John",
        b"\xff",
        b"null",
        b"[]",
        b'"message"',
        b"{}",
        b'{"message": "Doe^John", "subscription": "s"}',
        b'{"message": {"messageId": "1"}}',
        b'{"message": {"messageId": 1}, "subscription": "s"}',
        b'{"message": {"data": ""}, "subscription": "s"}',
        b'{"message": {"messageId": "1", "data": "Doe^John"}, "subscription": "s"}',
        b'{"message": {"messageId": "1", "data": "\\u00fc"}, "subscription": "s"}',
        b'{"message": {"messageId": "1", "data": 7}, "subscription": "s"}',
        b'{"message": {"messageId": "1", "attributes": {"kind": 7}}, "subscription": "s"}',
        b'{"message": {"messageId": "1", "attributes": ["Doe^John"]}, "subscription": "s"}',
        b'{"message": {"messageId": "1"}, "subscription": ["s"]}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_request_is_an_invalid_argument_that_quotes_none_of_it(body: bytes) -> None:
    with pytest.raises(InvalidArgument) as raised:
        push.parse(body)
    assert f"of {len(body)} bytes" in raised.value.message
    assert "Doe" not in raised.value.message


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["message", "messageId", "subscription", "data"]), inner)))  # fmt: skip
def test_no_json_raises_anything_else(value: Any) -> None:
    try:
        push.parse(json.dumps(value).encode())
    except InvalidArgument:
        return


@pytest.mark.parametrize("message", [PLAN, ExportStudy(NAME, 0, 1, (make_object("ü/\udce9"),)), StudyExported(NAME, 2)])
def test_a_message_arrives_as_it_was_sent(message: Message) -> None:
    assert push.message(message.topic, push.parse(push_body(message))) == message


def test_a_users_message_arrives_as_it_was_sent_with_its_id() -> None:
    assert push.batch_request(push.parse(push_body(b"any bytes", message_id="7"))) == BatchRequest(b"any bytes", "7")


@pytest.mark.parametrize("message", [PLAN, ExportStudy(NAME, 0, 1, (make_object(),)), StudyExported(NAME, 2)])
def test_a_dead_letter_is_known_by_our_attribute(message: Message) -> None:
    letter = push.dead_letter(push.parse(push_body(message, message_id="9", attributes=FORWARDED)))
    assert letter.message == message
    assert isinstance(letter.reason, Unavailable)
    assert "None of 5 attempts " in letter.reason.message


@pytest.mark.parametrize("attributes", [{}, {"kind": "export-requests"}, {"kind": "PLAN-EXPORT"}])
def test_a_dead_letter_of_no_kind_of_ours_is_an_invalid_argument(attributes: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match="of no kind"):
        push.dead_letter(push.parse(push_body(messages.encode(PLAN), attributes=attributes)))


@pytest.mark.parametrize("attributes", [{}, {"kind": "plan-export"}, {"kind": "export-study"}])
def test_a_users_dead_letter_is_a_request_whatever_it_says_of_itself(attributes: dict[str, str]) -> None:
    letter = push.dead_request(push.parse(push_body(PLAN, message_id="9", attributes=attributes)))
    assert letter.message == BatchRequest(messages.encode(PLAN), "9")


def test_a_delivery_count_that_is_none_is_several() -> None:
    attributes = {"CloudPubSubDeadLetterSourceDeliveryCount": "many"}
    letter = push.dead_letter(push.parse(push_body(PLAN, attributes=attributes)))
    assert "None of several attempts " in letter.reason.message


def test_a_malformed_dead_letter_is_an_invalid_argument() -> None:
    with pytest.raises(InvalidArgument):
        push.dead_letter(push.parse(push_body(b"{}", attributes={"kind": "plan-export"})))


def test_a_permanent_error_is_a_dead_letter_with_its_reason() -> None:
    letters: list[UndeliveredMessage] = []
    error = NotFound("no such table")
    push.hand_over(PLAN, raising(error), letters.append)
    assert letters == [UndeliveredMessage(PLAN, error)]


@pytest.mark.parametrize("error", [Unavailable("not now"), ZeroDivisionError()])
def test_any_other_error_is_left_to_the_next_attempt(error: Exception) -> None:
    letters: list[UndeliveredMessage] = []
    with pytest.raises(type(error)):
        push.hand_over(PLAN, raising(error), letters.append)
    assert letters == []


def answer(body: bytes, take: Callable[[Any], None]) -> int:
    return push.answer(body, partial(push.message, PlanExport.topic), take)


def test_a_message_that_was_taken_is_acknowledged() -> None:
    taken: list[Message] = []
    assert answer(push_body(PLAN), taken.append) == 204
    assert taken == [PLAN]


@pytest.mark.parametrize("body", [b"Doe^John", push_body(b'{"operation": "Doe^John", "page": 0}', message_id="7")])
def test_a_malformed_message_is_logged_and_acknowledged(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert answer(body, raising(AssertionError())) == 204
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.__dict__.get("payload") == (None if body == b"Doe^John" else LABELLED)
    assert "Doe" not in record.getMessage()


@pytest.mark.parametrize(
    ("error", "status", "level"),
    [
        (Unavailable("not now"), 503, logging.WARNING),
        (NotFound("the dead letter's operation"), 500, logging.ERROR),
        (ZeroDivisionError("Doe^John"), 500, logging.ERROR),
    ],
)
def test_a_failure_is_logged_with_message_and_subscription_and_delivered_again(
    error: Exception, status: int, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert answer(push_body(PLAN, message_id="7"), raising(error)) == status
    (record,) = caplog.records
    assert record.levelno == level
    assert record.__dict__["payload"] == LABELLED
    assert "Doe" not in record.getMessage()


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
# Messages of each kind, and in the place of each field anything.
KINDS = (*messages.TOPICS, "export-requests", "")
SHAPES = st.dictionaries(
    st.sampled_from(
        ("operation", "page", "task", "objects", "appliesFilter", "store", "event", "object", "size", "updated")
    ),
    JSONS | st.just("written") | st.lists(st.lists(JSONS, min_size=5, max_size=5), max_size=2),
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        ("kind", "bucketId", "eventType", "objectId", "objectGeneration", "CloudPubSubDeadLetterSourceDeliveryCount")
    ),
    JSONS | st.sampled_from((*KINDS, "OBJECT_FINALIZE", "1", "1e999")),
)
DECODERS: list[Callable[[PushedMessage], Any]] = [
    *(partial(push.message, topic) for topic in messages.TOPICS),
    *(push.batch_request, push.change, push.dead_change, push.dead_letter, push.dead_request),
]


@given(st.one_of(st.binary(), SHAPES.map(lambda each: json.dumps(each).encode())), ATTRIBUTES, JSONS | st.text(), JSONS)
def test_any_message_is_taken_or_dropped_and_never_an_unexpected_failure(
    data: bytes, attributes: Any, message_id: Any, beside: Any
) -> None:
    envelope = {
        "message": {"attributes": attributes, "data": b64encode(data).decode(), "messageId": message_id},
        "subscription": "s",
    }
    for body in (json.dumps(envelope).encode(), json.dumps(beside).encode(), data):
        for decode in DECODERS:
            with suppress(InvalidArgument):
                decode(push.parse(body))
            assert push.answer(body, decode, lambda _: None) == 204


def test_a_defect_in_decoding_is_logged_and_the_message_dropped(caplog: pytest.LogCaptureFixture) -> None:
    assert push.answer(push_body(PLAN, message_id="7"), raising(OverflowError("Doe^John")), lambda _: None) == 204
    (record,) = caplog.records
    assert record.exc_info
    assert record.__dict__["payload"] == LABELLED
    assert "Doe" not in record.getMessage()


def test_data_stands_in_no_representation() -> None:
    assert "Doe" not in repr(push.parse(push_body(b"Doe^John")))
    assert "Doe" not in repr(BatchRequest(b"Doe^John", "1"))


def test_the_body_of_a_test_is_what_pubsub_sends() -> None:
    body = json.loads(push_body(PLAN))
    assert set(body["message"]) <= set(json.loads(DOCUMENTED)["message"])
    assert body["message"]["data"] == b64encode(messages.encode(PLAN)).decode()


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail

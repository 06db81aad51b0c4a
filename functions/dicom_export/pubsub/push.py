"""Messages that a push subscription posts, and the answers to them.

Pub/Sub treats 204 as the acknowledgement, and delivers a message again after any other answer. An
answer cannot make a message a dead letter before its attempts are used up.

Source: https://cloud.google.com/pubsub/docs/push#receive_push, wrapped, and
https://cloud.google.com/pubsub/docs/dead-letter-topics#how_dead_letter_topics_work
"""

from __future__ import annotations

import json
import logging
from base64 import b64decode
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from dicom_export import messages
from dicom_export.diagnosing.check_message import CHECK_ATTRIBUTE, Check
from dicom_export.errors import DicomExportError, InvalidArgument, PermanentError, TransientError, Unavailable
from dicom_export.messages import InstanceChanged
from dicom_export.pubsub import notifications
from dicom_export.pubsub.attempts import attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_export.messages import Message
    from dicom_export.pubsub.notifications import Notification

    M = TypeVar("M", bound="Message | BatchRequest | Notification")
    T = TypeVar("T")

_LABELS = "logging.googleapis.com/labels"
_ATTEMPTS_ATTRIBUTE = "CloudPubSubDeadLetterSourceDeliveryCount"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PushedMessage:
    """A pushed message. `subscription` is a resource name.

    `attempt` counts the deliveries from 1, if the subscription has a dead-letter topic.
    """

    message_id: str
    data: bytes = field(repr=False)
    attributes: Mapping[str, str]
    subscription: str
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """The message of a user: the export request as it was sent.

    `job` is the id of the message; the id of the operation comes from it.
    """

    topic: ClassVar[str] = "export-requests"

    data: bytes = field(repr=False)
    job: str


@dataclass(frozen=True, slots=True)
class UndeliveredMessage:
    """A message without further attempts, and why."""

    message: Message | BatchRequest | Notification
    reason: DicomExportError


def parse(body: bytes) -> PushedMessage:
    """Return the message in the body of a push request.

    Raises InvalidArgument, which quotes nothing of it.
    """
    try:
        return _pushed(json.loads(body))
    except KeyError as error:
        raise InvalidArgument(
            f"A push request of {len(body)} bytes lacks {error.args[0]!r}; expected a wrapped message"
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(
            f"A push request of {len(body)} bytes is malformed ({type(error).__name__}); expected the JSON of a wrapped"
            " message"
        ) from error


def _pushed(envelope: Any) -> PushedMessage:  # noqa: ANN401 - JSON
    message = _typed(dict, envelope["message"])
    attributes = _typed(dict, message.get("attributes") or {})
    return PushedMessage(
        _typed(str, message["messageId"]),
        b64decode(message.get("data") or "", validate=True),
        {_typed(str, name): _typed(str, value) for name, value in attributes.items()},
        _typed(str, envelope["subscription"]),
        _typed(int, envelope["deliveryAttempt"]) if envelope.get("deliveryAttempt") else None,
    )


def _typed(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError
    return value


def message(topic: str, pushed: PushedMessage) -> Message:
    """Return the pushed message of the topic. Raises InvalidArgument if its data is malformed."""
    return messages.decode(topic, pushed.data)


def or_check(decode: Callable[[PushedMessage], T]) -> Callable[[PushedMessage], T | Check]:
    """Return a decoder that takes check messages too, which come by every topic."""

    def decoded(pushed: PushedMessage) -> T | Check:
        check_id = pushed.attributes.get(CHECK_ATTRIBUTE)
        return decode(pushed) if check_id is None else Check.decode(check_id, pushed.data)

    return decoded


def batch_request(pushed: PushedMessage) -> BatchRequest:
    """Return the message of a user, which may hold any data."""
    return BatchRequest(pushed.data, pushed.message_id)


def change(pushed: PushedMessage) -> Notification | InstanceChanged:
    """Return a bucket's notification, or our own message, which comes by the same topic.

    Raises InvalidArgument if it is neither.
    """
    if pushed.attributes.get(messages.KIND_ATTRIBUTE) != InstanceChanged.topic:
        return notifications.parse_notification(pushed.attributes, pushed.data)
    ours = message(InstanceChanged.topic, pushed)
    return cast("InstanceChanged", ours)


def dead_change(pushed: PushedMessage) -> UndeliveredMessage:
    """Return the dead letter of a change. Raises InvalidArgument if it is not a change."""
    return _dead(change(pushed), pushed)


def dead_letter(pushed: PushedMessage) -> UndeliveredMessage:
    """Return the dead letter of one of our messages, which name their kind in an attribute.

    Raises InvalidArgument if the kind is unknown or the data malformed. Messages of users come by a
    topic of their own: a user's text must not be taken for a message of ours.
    """
    kind = pushed.attributes.get(messages.KIND_ATTRIBUTE, "")
    if kind not in messages.OPERATION_TOPICS:
        raise InvalidArgument(
            f"A dead letter of {len(pushed.data)} bytes has no known kind; expected the attribute"
            f" {messages.KIND_ATTRIBUTE!r} with one of {', '.join(messages.OPERATION_TOPICS)}"
        )
    return _dead(message(kind, pushed), pushed)


def dead_request(pushed: PushedMessage) -> UndeliveredMessage:
    """Return the dead letter of a user's message."""
    return _dead(batch_request(pushed), pushed)


def _dead(message: Message | BatchRequest | Notification, pushed: PushedMessage) -> UndeliveredMessage:
    attempts = pushed.attributes.get(_ATTEMPTS_ATTRIBUTE, "")
    count = attempts if attempts.isdecimal() else "several"
    return UndeliveredMessage(
        message, Unavailable(f"None of {count} attempts to handle the message succeeded; the log says why")
    )


def hand_over(message: M, handler: Callable[[M], None], on_dead_letter: Callable[[UndeliveredMessage], None]) -> None:
    """Have the message handled.

    After a PermanentError it is a dead letter at once, so that its operation ends.
    """
    try:
        handler(message)
    except PermanentError as error:
        on_dead_letter(UndeliveredMessage(message, error))


def answer(body: bytes, decode: Callable[[PushedMessage], T], take: Callable[[T], None]) -> HTTPStatus:
    """Have the pushed message decoded and handled, and return the HTTP status of the answer.

    A message that cannot be decoded is logged and acknowledged, because a retry does not help.
    """
    extra: dict[str, Any] = {}
    try:
        pushed = parse(body)
        extra = {"payload": {_LABELS: {"message_id": pushed.message_id, "subscription": pushed.subscription}}}
        decoded = decode(pushed)
    except InvalidArgument as error:
        _log.error("A message was dropped: %s", error.message, extra=extra)
        return HTTPStatus.NO_CONTENT
    except Exception:  # noqa: BLE001 - what is decoded is bytes alone, which are the same at every attempt
        _log.exception("A message was dropped: it cannot be decoded", extra=extra)
        return HTTPStatus.NO_CONTENT
    with attempt(pushed.attempt):
        return _taken(lambda: take(decoded), extra)


def _taken(take: Callable[[], None], extra: Mapping[str, Any]) -> HTTPStatus:
    try:
        take()
    except TransientError as error:
        _log.warning("The message will be delivered again: %s", error.message, extra=extra)
        return HTTPStatus.SERVICE_UNAVAILABLE
    except Exception:  # noqa: BLE001 - the answer has it delivered again
        _log.exception("The message will be delivered again after an unexpected failure", extra=extra)
        return HTTPStatus.INTERNAL_SERVER_ERROR
    return HTTPStatus.NO_CONTENT

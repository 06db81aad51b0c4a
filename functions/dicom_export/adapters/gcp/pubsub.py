"""Publish messages on Pub/Sub."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from typing import TYPE_CHECKING

from google.api_core import exceptions
from google.api_core.retry import if_exception_type
from google.api_core.timeout import ConstantTimeout

from dicom_export.adapters.gcp.calls import RETRY, TIMEOUT_SECONDS, google_errors, translated
from dicom_export.errors import DicomExportError, Internal, InvalidArgument, PermanentError, Unavailable
from dicom_export.messages import attributes, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from google.cloud.pubsub_v1 import PublisherClient  # type: ignore[import-untyped]  # it says nothing of its types

    from dicom_export.messages import Message

MAX_BYTES = 9_900_000
"""The longest data of a message. A request takes 10 MB, and a message that becomes a dead letter gets more attributes.

Source: https://cloud.google.com/pubsub/quotas#resource_limits
"""

_BATCH_BYTES = 9_000_000
_BATCH_MESSAGES = 1_000
_BATCH_SECONDS = 0.01

_RETRY_SECONDS = 60.0
# A message may be delivered twice, so every temporary error is retried. The library's own retry continues for 600 s.
_RETRY = RETRY.with_timeout(_RETRY_SECONDS).with_predicate(
    if_exception_type(
        exceptions.Aborted,
        exceptions.Cancelled,
        exceptions.DeadlineExceeded,
        exceptions.InternalServerError,
        exceptions.ResourceExhausted,
        exceptions.ServiceUnavailable,
        exceptions.Unknown,
    )
)
# A plain number is the timeout of all attempts together: https://github.com/googleapis/python-api-core/issues/654
_TIMEOUT = ConstantTimeout(TIMEOUT_SECONDS)
# If the thread of a batch ends with an unexpected error, the library never completes its futures.
_SETTLE_SECONDS = _RETRY_SECONDS + 2 * TIMEOUT_SECONDS


class TopicPublisher:
    """Publishes each message to the topic of its kind, in batches. `topics` are resource names.

    The client is made at the first message, so that an import is fast, and after the server has forked its workers.
    """

    def __init__(self, topics: Mapping[str, str], client: PublisherClient | None = None) -> None:
        self._topics = topics
        self._client = client
        self._making = threading.Lock()

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish the messages. Raises InvalidArgument before it sends any if one is longer than Pub/Sub takes."""
        encoded = [(message, _encoded(message)) for message in messages]
        with google_errors("Connecting to Pub/Sub"):
            client = self._connected()
        _settle({self._send(client, message, data): message.topic for message, data in encoded})

    def _send(self, client: PublisherClient, message: Message, data: bytes) -> Future[str]:
        topic = self._topics[message.topic]
        sent: Future[str] = client.publish(topic, data, retry=_RETRY, timeout=_TIMEOUT, **attributes(message))
        return sent

    def _connected(self) -> PublisherClient:
        # Making two at once can hang: https://github.com/googleapis/python-pubsub/issues/1101
        with self._making:
            if self._client is None:
                self._client = publisher_client()
            return self._client


def publish_data(client: PublisherClient, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
    """Publish one message on a topic, a resource name, and return its id. Raises errors of this system."""
    sent: Future[str] = client.publish(topic, data, retry=_RETRY, timeout=_TIMEOUT, **attributes)
    _settle({sent: topic})
    return sent.result()


def publisher_client() -> PublisherClient:
    """Return a client that sends messages in batches."""
    from google.cloud.pubsub_v1 import PublisherClient
    from google.cloud.pubsub_v1.types import BatchSettings  # type: ignore[import-untyped]

    settings = BatchSettings(max_bytes=_BATCH_BYTES, max_messages=_BATCH_MESSAGES, max_latency=_BATCH_SECONDS)
    return PublisherClient(batch_settings=settings)


def _encoded(message: Message) -> bytes:
    data = encode(message)
    if len(data) > MAX_BYTES:
        raise InvalidArgument(
            f"A message on {message.topic} of {len(data)} bytes is longer than the {MAX_BYTES} that Pub/Sub takes"
        )
    return data


def _settle(sent: Mapping[Future[str], str]) -> None:
    """Wait for all messages, and raise the error of one, preferably of one that no retry helps."""
    settled, lost = wait(sent, timeout=_SETTLE_SECONDS)
    failures = [_failure(sent[future], error) for future in settled if (error := future.exception())]
    if lost:
        failures.append(Unavailable(f"{len(lost)} messages were not answered for in {_SETTLE_SECONDS:.0f} s"))
    for failure in sorted(failures, key=lambda each: not isinstance(each, PermanentError)):
        raise failure


def _failure(topic: str, error: BaseException) -> DicomExportError:
    if not isinstance(error, Exception):
        raise error
    failure = translated(f"Publishing on {topic}", error)
    # An unexpected error, such as fewer ids than messages, may be temporary; the attempts of the message limit its retries.
    return Unavailable(failure.message) if isinstance(failure, Internal) else failure

"""Run topics and push subscriptions within one process, with the contract of Pub/Sub: at least once, in any order."""

from __future__ import annotations

import heapq
import logging
import math
import random
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dicom_export.crashes import stack_trace
from dicom_export.errors import DicomExportError, PermanentError, ResourceExhausted, TransientError, Unavailable
from dicom_export.messages import (
    ExportStudy,
    InstanceChanged,
    Message,
    PlanExport,
    StudyExported,
    decode,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

_LOG = logging.getLogger(__name__)
# Results before work before planning: the planner never runs ahead of the workers, so that the queue stays short.
_RANKS = {StudyExported.topic: 0.0, ExportStudy.topic: 1.0, InstanceChanged.topic: 1.0, PlanExport.topic: 2.0}
_MAX_BACKOFF_SECONDS = 60.0
_LONGEST_WAIT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Disorder:
    """Duplicates and disorder, which the contract allows and which are otherwise rare, on demand and by seed.

    `duplicate` is the probability that a message is delivered once more, perhaps to another worker at the same time;
    `shuffle` takes the waiting messages in random order, whatever their kind.
    """

    seed: int = 0
    duplicate: float = 0.0
    shuffle: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Delivery:
    """A waiting, encoded message. With a `failure` it goes to the dead letters instead of its handler."""

    rank: float
    number: int
    topic: str = field(compare=False)
    data: bytes = field(compare=False, repr=False)
    attempt: int = field(compare=False, default=1)
    failure: Exception | None = field(compare=False, default=None)


class LocalQueue:
    """A Publisher that delivers to handlers in threads, or with `workers=0` in the caller's thread by `deliver`.

    A delivery has succeeded when its handler returns. After a PermanentError the message goes to `on_dead_letter` at once;
    after any other error it is delivered again with exponential backoff, and after `max_attempts` goes there too.
    `on_dead_letter` is retried as long as it raises TransientError.

    Two errors stop the queue, and `join` raises them: a disk that is still full after `max_attempts`, because then
    failures cannot be recorded either, and any other error of `on_dead_letter`. No message is ever lost.
    """

    def __init__(
        self,
        *,
        on_dead_letter: Callable[[Message, BaseException], None],
        workers: int = 2,
        max_attempts: int = 5,
        backoff_seconds: float = 0.5,
        disorder: Disorder | None = None,
    ) -> None:
        self._on_dead_letter = on_dead_letter
        self._workers = workers
        self._max_attempts = max_attempts
        self._backoff_seconds = backoff_seconds
        self._disorder = disorder or Disorder(shuffle=False)
        self._random = random.Random(self._disorder.seed)  # noqa: S311 - disorder by seed, not a secret
        self._handlers: Mapping[str, Callable[[Message], None]] = {}
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        # The condition guards all fields below.
        self._waiting: list[Delivery] = []
        self._delayed: list[tuple[float, Delivery]] = []
        self._published = 0
        self._running = 0
        self._is_stopped = False
        self._fatal: BaseException | None = None

    def publish(self, messages: Sequence[Message]) -> None:
        encoded = [(message.topic, encode(message)) for message in messages]
        with self._changed:
            if self._fatal:
                raise Unavailable("The queue has stopped, see the log; start the program again") from self._fatal
            for topic, data in encoded:
                for _ in range(2 if self._random.random() < self._disorder.duplicate else 1):
                    self._published += 1
                    heapq.heappush(self._waiting, Delivery(self._rank(topic), self._published, topic, data))
            self._changed.notify_all()

    def start(self, handlers: Mapping[str, Callable[[Message], None]]) -> Self:
        """Begin to deliver, with one handler per topic. Return the queue, a context that stops it at its end."""
        self._handlers = handlers
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._workers)]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Wait for the running deliveries, and begin no others. Pending messages are forgotten with the queue."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait until nothing is pending or running, and return True; False if it was stopped or that takes longer.

        Raises the error that stopped the queue.
        """
        deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        with self._changed:
            while not (self._is_stopped or self._is_idle()):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                # Not for longer at once: Python notices a Ctrl-C that comes just before a wait only after it.
                self._changed.wait(min(remaining, _LONGEST_WAIT_SECONDS))
            if self._fatal:
                raise self._fatal
            return self._is_idle()

    def pending(self) -> list[Delivery]:
        """Return the waiting messages, also those that wait for a retry, in the order of their deliveries."""
        with self._changed:
            return sorted([*self._waiting, *(delivery for _, delivery in self._delayed)])

    def deliver(self, index: int = 0, *, keep: bool = False) -> None:
        """Deliver one of `pending` here and now, whatever its backoff; with `keep` it stays pending: a redelivery to come.

        Errors that stop the queue are raised, as is a BaseException that is not an Exception: the message stays pending.
        """
        delivery = self.pending()[index]
        with self._changed:
            if not keep:
                self._waiting = [other for other in self._waiting if other is not delivery]
                self._delayed = [other for other in self._delayed if other[1] is not delivery]
                heapq.heapify(self._waiting)
                heapq.heapify(self._delayed)
            self._running += 1
        self._attempt(delivery)

    def drain(self) -> None:
        """Deliver here and now until nothing is pending."""
        while self.pending():
            self.deliver()

    def _rank(self, topic: str) -> float:
        return self._random.random() if self._disorder.shuffle else _RANKS[topic]

    def _is_idle(self) -> bool:
        return not (self._waiting or self._delayed or self._running)

    def _work(self) -> None:
        try:
            while delivery := self._take():
                self._attempt(delivery)
        except BaseException as error:  # noqa: BLE001 - `join` raises it, in the thread that can act on it
            what = error.message if isinstance(error, DicomExportError) else type(error).__name__
            _LOG.critical("The queue stops, nothing more is exported before the program is started again: %s", what)
            with self._changed:
                self._fatal = self._fatal or error
                self._is_stopped = True
                self._changed.notify_all()

    def _take(self) -> Delivery | None:
        """Return the next delivery when there is one, or None when the queue is stopped."""
        with self._changed:
            while not self._is_stopped:
                now = time.monotonic()
                while self._delayed and self._delayed[0][0] <= now:
                    heapq.heappush(self._waiting, heapq.heappop(self._delayed)[1])
                if self._waiting:
                    self._running += 1
                    return heapq.heappop(self._waiting)
                self._changed.wait(self._delayed[0][0] - now if self._delayed else None)
            return None

    def _attempt(self, delivery: Delivery) -> None:
        again: Delivery | None = delivery
        try:
            again = self._outcome(delivery)
        finally:
            with self._changed:
                self._running -= 1
                if again:
                    heapq.heappush(self._delayed, (time.monotonic() + self._backoff(again), again))
                self._changed.notify_all()

    def _outcome(self, delivery: Delivery) -> Delivery | None:
        """Deliver the message. Return None after success, else the delivery that has to follow it later."""
        message = decode(delivery.topic, delivery.data)
        is_last = delivery.attempt >= self._max_attempts
        try:
            if delivery.failure:
                self._on_dead_letter(message, delivery.failure)
            else:
                self._handlers[delivery.topic](message)
        except Exception as error:
            _log_failure(delivery, error)
            if isinstance(error, ResourceExhausted) and is_last:
                raise
            if delivery.failure:
                if not isinstance(error, TransientError) and (is_last or isinstance(error, PermanentError)):
                    raise
            elif is_last or isinstance(error, PermanentError):
                return replace(delivery, attempt=1, failure=error)
            return replace(delivery, rank=self._rank(delivery.topic), attempt=delivery.attempt + 1)
        return None

    def _backoff(self, again: Delivery) -> float:
        """Return the seconds until the attempt. A dead letter's first attempt is at once."""
        if again.attempt == 1:
            return 0.0
        return float(min(self._backoff_seconds * 2 ** min(again.attempt - 2, 30), _MAX_BACKOFF_SECONDS))


def _log_failure(delivery: Delivery, error: Exception) -> None:
    """Log our own errors with their message, and other errors with type and place only, because their text may quote patient data."""
    what = "Dead letter" if delivery.failure else "Message"
    text = error.message if isinstance(error, DicomExportError) else stack_trace(error)
    level = logging.WARNING if isinstance(error, TransientError) else logging.ERROR
    _LOG.log(level, "%s on %s failed at attempt %d: %s", what, delivery.topic, delivery.attempt, text)

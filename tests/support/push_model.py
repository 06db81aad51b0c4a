"""A model of a Pub/Sub push subscription whose workers are busy: how many messages run out of attempts, and how long all take.

It has what is documented: https://cloud.google.com/pubsub/docs/push, .../docs/handling-failures#retry_policy and
https://cloud.google.com/run/docs/about-instance-autoscaling. Where the documentation leaves something open, it is a field.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 3_000
"""The outstanding messages below which Pub/Sub does not go: it is no help against ten busy workers."""
PUSHES_PER_SECOND = 100
"""As measured while workers refused nine of ten pushes: https://github.com/mterwill/pubsub-push-window."""
RETRY_SECONDS = (10.0, 600.0)
PUSH_BACKOFF_SECONDS = (0.1, 60.0)


class _Event(NamedTuple):
    at: float
    number: int
    kind: str
    message: int
    attempt: int


@dataclass
class Pushes:
    """Pushes messages to `slots` workers until each was handled or is out of `attempts`.

    A worker needs `seconds` for a message. With all of them busy, a push waits for `held_seconds`
    and is then refused. A refused message is pushed again after 10 s, then after twice as long, up to
    600 s; `jitter` is the share by which such a wait differs. With `pauses`, each refusal pauses the
    whole subscription twice as long as the one before, and each success halves that, from 0.1 to 60 s.
    """

    slots: int = 10
    attempts: int = 10
    seconds: tuple[float, float] = (15.0, 40.0)
    held_seconds: float = 0.0
    jitter: float = 0.0
    pauses: bool = True
    seed: int = 0
    on_end: Callable[[int], None] = lambda _: None
    on_timer: Callable[[], None] = lambda: None
    now: float = 0.0
    dead: list[int] = field(default_factory=list)
    pushed: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._events: list[_Event] = []
        self._due: list[_Event] = []
        self._held: dict[int, int] = {}
        self._number = self._busy = self._in_window = 0
        self._pause = self._next_push = 0.0

    def publish(self, message: int) -> None:
        """Add a message now."""
        self._at(0.0, "due", message, 1)

    def call_in(self, seconds: float) -> None:
        """Have `on_timer` called after so many seconds."""
        self._at(seconds, "timer", 0, 0)

    def run(self) -> None:
        """Go on until nothing is left to do."""
        while self._events or self._due:
            push_at = max(self.now, self._next_push)
            if self._due and self._in_window < WINDOW and not (self._events and self._events[0].at < push_at):
                self.now = push_at
                self._push(heapq.heappop(self._due))
            else:
                event = heapq.heappop(self._events)
                self.now = event.at
                getattr(self, f"_{event.kind}")(event)

    def _push(self, event: _Event) -> None:
        self._next_push = self.now + 1 / PUSHES_PER_SECOND
        self._in_window += 1
        self.pushed[event.message] += 1
        if self._busy < self.slots:
            self._begin(event.message, event.attempt)
        else:
            self._held[event.message] = event.attempt
            self._at(self.held_seconds, "refused", event.message, event.attempt)

    def _begin(self, message: int, attempt: int) -> None:
        self._busy += 1
        self._at(self._chance.uniform(*self.seconds), "handled", message, attempt)

    def _due_(self, event: _Event) -> None:
        heapq.heappush(self._due, event)

    def _timer(self, _: _Event) -> None:
        self.on_timer()

    def _handled(self, event: _Event) -> None:
        self._busy -= 1
        self._in_window -= 1
        shortest, _ = PUSH_BACKOFF_SECONDS
        self._pause = self._pause / 2 if self._pause > shortest else 0.0
        self.on_end(event.message)
        if self._held:
            message = next(iter(self._held))
            self._begin(message, self._held.pop(message))

    def _refused(self, event: _Event) -> None:
        if self._held.get(event.message) != event.attempt:
            return  # a worker took it meanwhile
        del self._held[event.message]
        self._in_window -= 1
        if self.pauses:
            shortest, longest = PUSH_BACKOFF_SECONDS
            self._pause = min(longest, max(shortest, 2 * self._pause))
            self._next_push = max(self._next_push, self.now + self._pause)
        if event.attempt == self.attempts:
            self.dead.append(event.message)
            self.on_end(event.message)
            return
        first, longest = RETRY_SECONDS
        wait = min(longest, first * 2 ** (event.attempt - 1))
        self._at(wait * (1 + self._chance.uniform(-self.jitter, self.jitter)), "due", event.message, event.attempt + 1)

    def _at(self, seconds: float, kind: str, message: int, attempt: int) -> None:
        self._number += 1
        kind = "due_" if kind == "due" else kind
        heapq.heappush(self._events, _Event(self.now + seconds, self._number, kind, message, attempt))

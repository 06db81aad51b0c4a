"""The current delivery attempt of a message.

It tells whether an error that may pass with time is worth another attempt, and how long this
attempt may still take.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENT_ATTEMPTS = 8
"""The number of attempts for errors that may pass with time.

With pauses of 10 s that double up to 600 s, these take 20 minutes. A permission takes 2 to 7
minutes, or more, to take effect.
"""

PUSH_SECONDS = 600.0
"""The time after which Pub/Sub delivers an unacknowledged message again."""

_is_patient = ContextVar("is_patient", default=False)
_started: ContextVar[float | None] = ContextVar("started", default=None)


@contextmanager
def attempt(number: int | None) -> Iterator[None]:
    """Handle a message in its attempt `number`, counted from 1; None if it is unknown."""
    token = _is_patient.set(number is not None and number <= PATIENT_ATTEMPTS)
    started = _started.set(time.monotonic())
    try:
        yield
    finally:
        _started.reset(started)
        _is_patient.reset(token)


def is_patient() -> bool:
    """Say whether the current message will be delivered again several times."""
    return _is_patient.get()


def seconds_left() -> float:
    """Return how long the current message may still take; the time of a whole push if there is none."""
    started = _started.get()
    return PUSH_SECONDS if started is None else PUSH_SECONDS - (time.monotonic() - started)


def pauses(longest: float, *, leaving: float, at_most: float = PUSH_SECONDS) -> Iterator[float]:
    """Yield pauses in seconds, from 1 to `longest`, each twice the one before.

    They end before less than `leaving` of the current message's time is left, and together last
    `at_most`.
    """
    pause, left = 1.0, min(at_most, seconds_left() - leaving)
    while left >= pause:
        yield pause
        pause, left = min(2 * pause, longest), min(left - pause, seconds_left() - leaving)

"""The current delivery attempt of a message.

It tells whether an error that may pass with time is worth another attempt.
"""

from __future__ import annotations

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

_is_patient = ContextVar("is_patient", default=False)


@contextmanager
def attempt(number: int | None) -> Iterator[None]:
    """Handle a message in its attempt `number`, counted from 1; None if it is unknown."""
    token = _is_patient.set(number is not None and number <= PATIENT_ATTEMPTS)
    try:
        yield
    finally:
        _is_patient.reset(token)


def is_patient() -> bool:
    """Say whether the current message will be delivered again several times."""
    return _is_patient.get()

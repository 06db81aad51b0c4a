"""The status of an operation: a shape, a word and a colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.console.texts import t
from dicom_export.errors import Code
from dicom_export.operations.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from dicom_export.operations.operation import Operation


@dataclass(frozen=True, slots=True)
class Status:
    """What a status shows. `tone` is its colour, `icon` its shape; `key` is what the filter of the list calls it."""

    key: str
    tone: str
    icon: str

    @property
    def word(self) -> Markup:
        """The word."""
        return t(f"status.{self.key}")


RUNNING = Status("running", "run", "run")
PLANNING = Status("planning", "run", "run")
CANCELLING = Status("cancelling", "idle", "run")
OK = Status("ok", "ok", "ok")
DIFFERENCES = Status("differences", "warn", "warn")
WITH_FAILURES = Status("failures", "warn", "warn")
FAILED = Status("failed", "error", "error")
REFUSED = Status("refused", "error", "error")
CANCELLED = Status("cancelled", "idle", "stop")

FILTERS: Mapping[str, tuple[Status, ...]] = {
    "running": (RUNNING, PLANNING, CANCELLING),
    "ok": (OK, DIFFERENCES),
    "failures": (WITH_FAILURES,),
    "failed": (FAILED, REFUSED),
    "cancelled": (CANCELLED,),
}
"""The choices of the list's filter."""


def status_of(operation: Operation) -> Status:
    """Return the status. A running operation that has no counters yet is running."""
    if not operation.is_done:
        return _unfinished(operation)
    counters = operation.counters or Counters()
    if operation.requested is None:
        return REFUSED
    if operation.error is None:
        return DIFFERENCES if operation.differences and operation.differences.total else OK
    if operation.error.code is Code.CANCELLED:
        return CANCELLED
    is_partial = counters.success and counters.failure and not operation.plan_error and not counters.pending
    return WITH_FAILURES if is_partial and "was left as it was" not in operation.error.message else FAILED


def _unfinished(operation: Operation) -> Status:
    if operation.cancel_requested:
        return CANCELLING
    return PLANNING if operation.counters and not operation.counters.planned else RUNNING

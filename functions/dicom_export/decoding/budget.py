"""Limit the memory and the time that one object may take, whatever its bytes state."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from threading import Lock
from time import thread_time
from typing import TYPE_CHECKING, Self

from dicom_export.errors import LimitExceeded

if TYPE_CHECKING:
    from types import TracebackType

_ELEMENTS_PER_LOOK_AT_THE_CLOCK = 1024
_LARGE_BYTES = 1024 * 1024
_LARGE_COUNT = 50_000

_one_large_header = Lock()


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the header of one object.

    `elements` counts items too. `values` counts each value of an element that has several, and a person's name as ten. `header_bytes` is
    the size of all values in memory. `inflated_bytes` is the size of a deflated object's inflated bytes before its pixels. `depth` is
    the nesting of sequences. `seconds` is processor time: waiting for the store does not count.
    """

    elements: int = 500_000
    values: int = 2_000_000
    header_bytes: int = 16 * 1024 * 1024
    inflated_bytes: int = 64 * 1024 * 1024
    depth: int = 100
    seconds: float = 30.0


DEFAULT_LIMITS = Limits()


def is_within(limits: Limits, others: Limits) -> bool:
    """Return whether none of the limits is above that of the others."""
    return all(one <= other for one, other in zip(astuple(limits), astuple(others), strict=True))


@dataclass(frozen=True, slots=True)
class ColumnLimits:
    """The number of columns that a table may have, with the fields of records, and that one instance may add.

    BigQuery takes 10,000 at most: https://cloud.google.com/bigquery/quotas#all_tables
    """

    table: int = 9_000
    instance: int = 1_000


DEFAULT_COLUMN_LIMITS = ColumnLimits()
NO_MORE_COLUMNS = ColumnLimits(table=0, instance=0)
"""The limits for a table that has refused a column: it keeps its columns."""


class Budget:
    """The unused part of an object's limits. Each method raises LimitExceeded, which names the limit, if nothing is left.

    As a context, it makes sure that only one of the objects that a process decodes at the same time is large.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.bytes_left = limits.header_bytes
        self._elements_left = limits.elements
        self._values_left = limits.values
        self._deadline = thread_time() + limits.seconds
        self._until_look = _ELEMENTS_PER_LOOK_AT_THE_CLOCK
        self._is_shared = False
        self._holds_the_turn = False

    def __enter__(self) -> Self:
        self._is_shared = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._holds_the_turn:
            self._holds_the_turn = False
            _one_large_header.release()

    def spend_elements(self, count: int) -> None:
        """Count elements or items."""
        self._elements_left -= count
        if self._elements_left < 0:
            raise LimitExceeded(f"The header has more than {self.limits.elements:,} elements")
        self._until_look -= count
        if self._until_look < 0:
            self._until_look = _ELEMENTS_PER_LOOK_AT_THE_CLOCK
            self.check_time()
            self._wait_if_large()

    def spend_bytes(self, count: int) -> None:
        """Count the bytes of a value in memory."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise LimitExceeded(f"The values of the header have more than {self.limits.header_bytes:,} bytes")
        if count > _ELEMENTS_PER_LOOK_AT_THE_CLOCK:
            self._wait_if_large()

    def spend_values(self, count: int) -> None:
        """Count the values of an element."""
        self._values_left -= count
        if self._values_left < 0:
            raise LimitExceeded(f"The elements of the header have more than {self.limits.values:,} values")

    def check_depth(self, depth: int, where: str) -> None:
        """Check how deep a sequence is nested; `where` is its tag."""
        if depth >= self.limits.depth:
            raise LimitExceeded(f"Sequences are nested more than {self.limits.depth} deep in {where}")

    def check_time(self) -> None:
        """Check how much processor time the object has taken so far."""
        if thread_time() > self._deadline:
            raise LimitExceeded(f"Decoding takes more than {self.limits.seconds:g} s of processor time")

    def _wait_if_large(self) -> None:
        """Wait until no other large object is being decoded, if this one has just become large."""
        is_large = (
            self.limits.header_bytes - self.bytes_left > _LARGE_BYTES
            or self.limits.elements - self._elements_left > _LARGE_COUNT
        )
        if is_large and self._is_shared and not self._holds_the_turn:
            _one_large_header.acquire()
            self._holds_the_turn = True

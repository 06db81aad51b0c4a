"""Limit the memory and the time that one object may take, whatever its bytes state."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from threading import Lock
from time import thread_time
from typing import TYPE_CHECKING, Self

from dicom_export.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

_ELEMENTS_PER_LOOK_AT_THE_CLOCK = 1024
_LARGE_BYTES = 1024 * 1024
_QUARTERS = 4
_LARGE_COUNT = 50_000

_one_large_header = Lock()


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the header of one object.

    `elements` counts items too; those of a large sequence that is left out count by a quarter. `values` counts each value of an element
    that has several, and a person's name as ten. `header_bytes` is the size of all values in memory. `inflated_bytes` is the size of a
    deflated object's inflated bytes before its pixels. `depth` is the nesting of sequences. `seconds` is processor time: waiting for the
    store does not count.
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


@dataclass(eq=False, slots=True)
class Held:
    """An element at the top, and what it has spent of a budget: values that are held, and elements in it.

    `size` counts its encoded bytes as far as they are read; `most` is how many it may have to be held; `leave_out` has it be held no
    longer.
    """

    start: int
    most: float
    leave_out: Callable[[], None]
    size: int = 0
    value_bytes: int = 0
    elements: int = 0


class TooLarge(Exception):
    """A large sequence has more in it than the budget has left, or than a row takes."""


class Budget:
    """The unused part of an object's limits. Each method raises LimitExceeded, which names the limit, if nothing is left.

    As a context, it makes sure that only one of the objects that a process decodes at the same time is large.

    It keeps sequences of more than 1 MiB only if it `holds_large` ones, and as long as enough is left for the rest of the header. Otherwise
    the largest of them is left out first.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, holds_large: bool = False) -> None:
        self.limits = limits
        self.holds_large = holds_large
        self.is_holding = True
        self._bytes_left = limits.header_bytes
        self._quarters_left = limits.elements * _QUARTERS
        self._large: list[Held] = []
        self._current: Held | None = None
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
        if self.is_holding:
            self._quarters_left -= count * _QUARTERS
            if self._current is not None:
                self._current.elements += count
        else:
            self._quarters_left -= count
        while self._quarters_left < 0:
            self._leave_out_largest(f"The header has more than {self.limits.elements:,} elements")
        self._until_look -= count
        if self._until_look < 0:
            self._until_look = _ELEMENTS_PER_LOOK_AT_THE_CLOCK
            self.check_time()
            self._wait_if_large()

    def spend_bytes(self, count: int) -> None:
        """Count the bytes of a value that is held."""
        self._bytes_left -= count
        if self._current is not None:
            self._current.value_bytes += count
        while self._bytes_left < 0:
            self._leave_out_largest(f"The values of the header have more than {self.limits.header_bytes:,} bytes")
        if count > _ELEMENTS_PER_LOOK_AT_THE_CLOCK:
            self._wait_if_large()

    def begin(self, start: int) -> Held:
        """Begin with the element at the top whose value starts there."""
        most = math.inf if self.holds_large else _LARGE_BYTES
        self._current = Held(start, most, self._stop_holding)
        return self._current

    def reach(self, position: int) -> None:
        """Note how far the sequence at the top is read; it is left out once it has too many bytes."""
        held = self._current
        if held is not None and self.is_holding:
            held.size = position - held.start
            if held.size > held.most:
                self._leave_out(held)

    def end(self, leave_out: Callable[[], None]) -> None:
        """End the element that was begun. `leave_out` has it be left out later, if it is a large one that is held."""
        held = self._current
        self._current = None
        if held is not None and self.is_holding and held.size > _LARGE_BYTES:
            held.leave_out = leave_out
            self._large.append(held)
        self.is_holding = True

    def has_room_for(self, length: int) -> bool:
        """Say whether a large value at the top can be held. Those that are larger are left out for it."""
        if self._current is None:
            return False
        while self._bytes_left < length:
            largest = max(self._large, key=_size, default=None)
            if largest is None or largest.size <= length:
                return False
            self._leave_out(largest)
        return True

    def settle(self) -> None:
        """Leave out no further sequence: all are read."""
        self._large.clear()

    @contextmanager
    def items_of(self, length: int) -> Iterator[None]:
        """Have what is in the large value of this length, and more than the budget has left, cost that value alone.

        Raises TooLarge then. Also if the caller does, nothing is spent but a quarter of the elements; and no bytes in any case: values in
        it are part of the value, and are let go with it.
        """
        if length <= _LARGE_BYTES:
            yield
            return
        quarters, value_bytes = self._quarters_left, self._bytes_left
        self._bytes_left += length
        try:
            yield
        except (LimitExceeded, TooLarge) as error:
            if isinstance(error, LimitExceeded) and self._quarters_left >= 0 and self._bytes_left >= 0:
                raise
            self._give_back(quarters - self._quarters_left)
            raise TooLarge from error
        finally:
            self._bytes_left = value_bytes

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
            self.limits.header_bytes - self._bytes_left > _LARGE_BYTES
            or self.limits.elements * _QUARTERS - self._quarters_left > _LARGE_COUNT * _QUARTERS
        )
        if is_large and self._is_shared and not self._holds_the_turn:
            _one_large_header.acquire()
            self._holds_the_turn = True

    def _leave_out_largest(self, what: str) -> None:
        """Leave out the largest of the large sequences. Raises LimitExceeded if there is none."""
        held = [*self._large]
        if self._current is not None and self.is_holding and self._current.size > _LARGE_BYTES:
            held.append(self._current)
        if not held:
            raise LimitExceeded(what)
        self._leave_out(max(held, key=_size))

    def _leave_out(self, held: Held) -> None:
        self._bytes_left += held.value_bytes
        self._give_back(held.elements * _QUARTERS)
        if held in self._large:
            self._large.remove(held)
        held.leave_out()

    def _give_back(self, quarters: int) -> None:
        """Give back what elements have taken that are left out after all, but for a quarter of each."""
        self._quarters_left += quarters - quarters // _QUARTERS

    def _stop_holding(self) -> None:
        self.is_holding = False


def _size(held: Held) -> int:
    return held.size

"""Make the calls for the next items of a sequence in threads while calls are slow, as they are on a network drive."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

ITEMS_PER_THREAD = 2
"""The number of results per thread that may wait to be used: a thread has the next call at hand when it ends one."""

MOST_BYTES = 8 * 1024 * 1024
"""The size of all results that are requested and not used yet, but for the next one, which may be larger."""

_SLOW_SECONDS = 0.0005
_SLOW_IN_A_ROW = 4
_CALLS_UNTIL_NEXT_LOOK = 1_000

K = TypeVar("K")
V = TypeVar("V")


class Pace:
    """Tells whether calls are slow: whether each of the last few took longer than a call in a thread costs.

    Only calls that nothing overlaps are timed. So after every thousand calls in threads, calls count as fast again
    until a few more were timed. Safe to use from several threads.
    """

    def __init__(self, in_a_row: int = _SLOW_IN_A_ROW) -> None:
        self._in_a_row = in_a_row
        self._slow = 0
        self._overlapped = 0

    @property
    def is_slow(self) -> bool:
        """Whether calls are worth a thread."""
        return self._slow >= self._in_a_row

    def note(self, seconds: float) -> None:
        """Note how long a call took that nothing overlapped."""
        self._slow = self._slow + 1 if seconds >= _SLOW_SECONDS else 0

    def note_overlapped(self) -> None:
        """Note that a call was made in a thread."""
        self._overlapped += 1
        if self._overlapped >= _CALLS_UNTIL_NEXT_LOOK:
            self._overlapped = self._slow = 0


def always_slow() -> Pace:
    """Return the pace of calls that are always worth a thread."""
    return Pace(in_a_row=0)


class Ahead:
    """Makes calls in `threads` threads, which start with the first call that is worth one; with one thread, in none.

    A context, which ends the threads. Safe to use from several threads.
    """

    def __init__(self, threads: int, pace: Pace | None = None, clock: Callable[[], float] = time.perf_counter) -> None:
        self._threads = threads
        self._pace = pace or Pace()
        self._clock = clock
        self._pool: ThreadPoolExecutor | None = None
        self._starting = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def over(
        self, items: Iterable[K], call: Callable[[K], V], size_of: Callable[[K], int | None] = lambda _: 0
    ) -> Iterator[tuple[K, Callable[[], V]]]:
        """Yield each item, in order, with a function that returns the result of its call or raises its error.

        The function is called at most once, before the next item is requested. `size_of` returns the bytes of a
        result, or None for an item whose call is not made before that. When the iteration ends early, calls that have
        not begun are not made.
        """
        waiting: deque[_Requested[K, V]] = deque()
        held = 0
        try:
            for item in items:
                size = size_of(item)
                while waiting and (not self._is_worth_it or self._is_full(len(waiting), held + (size or 0))):
                    first = waiting.popleft()
                    held -= first.size
                    yield first.item, first.result
                if size is not None and (waiting or self._is_worth_it):
                    future = self._begin(call, item)
                    waiting.append(_Requested(item, size, future.result, future))
                    held += size
                elif waiting:
                    waiting.append(_Requested(item, 0, partial(call, item)))
                else:
                    yield item, partial(call, item) if size is None else partial(self._timed, call, item)
            while waiting:
                first = waiting.popleft()
                yield first.item, first.result
        finally:
            for each in waiting:
                if each.future:
                    each.future.cancel()

    @property
    def _is_worth_it(self) -> bool:
        return self._threads > 1 and self._pace.is_slow

    def _is_full(self, waiting: int, size: int) -> bool:
        return waiting >= ITEMS_PER_THREAD * self._threads or size > MOST_BYTES

    def _begin(self, call: Callable[[K], V], item: K) -> Future[V]:
        with self._starting:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="ahead")
            pool = self._pool
        self._pace.note_overlapped()
        return pool.submit(copy_context().run, call, item)

    def _timed(self, call: Callable[[K], V], item: K) -> V:
        begun = self._clock()
        try:
            return call(item)
        finally:
            self._pace.note(self._clock() - begun)


@dataclass(frozen=True, slots=True)
class _Requested(Generic[K, V]):
    """An item that waits to be used, the bytes that its result takes, and how to get that."""

    item: K
    size: int
    result: Callable[[], V]
    future: Future[V] | None = None

"""Make the calls for the next items of a sequence in threads while calls are slow, as they are on a network drive."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Generic, ParamSpec, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

ITEMS_PER_THREAD = 2
"""The number of results per thread that may wait to be used: a thread has the next call at hand when it ends one."""

MOST_BYTES = 8 * 1024 * 1024
"""The size of all results that are requested and not used yet, but for the next one, which may be larger."""

MOST_READERS = 64
"""The number of calls that one machine makes at once to a slow store, unless it is set."""

_SLOW_SECONDS = 0.0005
_SLOW_IN_A_ROW = 4
_CALLS_UNTIL_NEXT_LOOK = 1_000

K = TypeVar("K")
V = TypeVar("V")
P = ParamSpec("P")


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
    ) -> Iterator[tuple[K, Callable[[], V] | None]]:
        """Yield each item, in order, with a function that returns the result of its call or raises its error.

        An item whose call was not begun comes with None: use `alone` for the call. `size_of` returns the bytes of a result, or None
        for an item whose call must not begin early. When the iteration ends early, calls that have not begun are not made.
        """
        waiting: deque[_Requested[K, V]] = deque()
        held = 0
        try:
            for item in items:
                size = None
                if waiting or self._is_worth_it:
                    size = size_of(item)
                    while waiting and (not self._is_worth_it or self._is_full(len(waiting), held + (size or 0))):
                        first = waiting.popleft()
                        held -= first.size
                        yield first.item, first.result
                if not waiting and not self._is_worth_it:
                    yield item, None
                elif size is None:
                    waiting.append(_Requested(item))
                else:
                    waiting.append(_Requested(item, size, self._begin(call, item)))
                    held += size
            while waiting:
                first = waiting.popleft()
                yield first.item, first.result
        finally:
            for each in waiting:
                if each.future:
                    each.future.cancel()

    def alone(self, call: Callable[P, V], *arguments: P.args, **options: P.kwargs) -> V:
        """Make a call that nothing overlaps, and note how long it takes."""
        begun = self._clock()
        try:
            return call(*arguments, **options)
        finally:
            self._pace.note(self._clock() - begun)

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


@dataclass(frozen=True, slots=True)
class _Requested(Generic[K, V]):
    """An item that waits to be used, the bytes that its result takes, and the call for it if that has begun."""

    item: K
    size: int = 0
    future: Future[V] | None = None

    @property
    def result(self) -> Callable[[], V] | None:
        """The function that waits for the result."""
        return self.future.result if self.future else None

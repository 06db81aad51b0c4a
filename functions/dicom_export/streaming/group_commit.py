"""Threads that arrive together share one flush: no timer, and nobody waits longer than the flush before takes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


@dataclass(eq=False)
class _Entry(Generic[T]):
    """An item that waits. `is_due` is set when its flush is over, or when it is its caller's turn to flush."""

    item: T
    is_due: threading.Event = field(default_factory=threading.Event)
    is_flushed: bool = False
    error: BaseException | None = None


class GroupCommit(Generic[T]):
    """Flushes the items of its callers, one group at a time: whoever finds nothing under way flushes what waits by then.

    `flush` returns for each item what it failed of, or None; what it raises instead, each caller of the group gets.
    """

    def __init__(self, flush: Callable[[Sequence[T]], Sequence[BaseException | None]]) -> None:
        self._flush = flush
        self._lock = threading.Lock()
        self._waiting: list[_Entry[T]] = []
        self._is_flushing = False

    def commit(self, item: T) -> None:
        """Return once a flush with the item is over, or raise what the item failed of."""
        entry = _Entry(item)
        if not self._leads(entry):
            entry.is_due.wait()
        if not entry.is_flushed:
            self._lead()
        if entry.error:
            raise entry.error

    def _leads(self, entry: _Entry[T]) -> bool:
        with self._lock:
            self._waiting.append(entry)
            leads, self._is_flushing = not self._is_flushing, True
            return leads

    def _lead(self) -> None:
        """Flush all that waits, the leader's own item among it, and make the next one in line the leader."""
        with self._lock:
            group, self._waiting = self._waiting, []
        errors = self._flushed([entry.item for entry in group])
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._is_flushing = following is not None
        if following:
            following.is_due.set()
        for entry, error in zip(group, errors, strict=True):
            entry.error, entry.is_flushed = error, True
            entry.is_due.set()

    def _flushed(self, items: list[T]) -> Sequence[BaseException | None]:
        try:
            return self._flush(items)
        except BaseException as error:  # noqa: BLE001 - each caller raises it
            return [error] * len(items)

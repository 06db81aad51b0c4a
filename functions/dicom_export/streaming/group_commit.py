"""Share one flush among threads that arrive together. There is no timer: nobody waits longer than one earlier flush takes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


@dataclass(eq=False)
class _Entry(Generic[T]):
    """A waiting item. `is_due` is set when its flush has ended, or when its caller has to flush."""

    item: T
    is_due: threading.Event = field(default_factory=threading.Event)
    is_flushed: bool = False
    error: BaseException | None = None


class GroupCommit(Generic[T]):
    """Flushes the items of its callers, one group at a time. A caller that finds no flush running flushes all waiting items.

    `flush` returns the error of each item, or None. If it raises an error, each caller of the group gets that.
    """

    def __init__(self, flush: Callable[[Sequence[T]], Sequence[BaseException | None]]) -> None:
        self._flush = flush
        self._lock = threading.Lock()
        self._waiting: list[_Entry[T]] = []
        self._is_flushing = False

    def commit(self, item: T) -> None:
        """Return after the item was flushed, or raise the item's error."""
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
        """Flush all waiting items, with the leader's own, and make the next waiting caller the leader."""
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

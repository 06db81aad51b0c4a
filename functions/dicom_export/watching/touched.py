"""Collect the names of files that may have changed, until they are looked at."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_NAMES = 100_000


class Touched:
    """The files to look at, and when: some names, or all files by a scan. Safe to use from several threads.

    Times are seconds of one clock. The number of names is limited; further files are left to a scan.
    """

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._most = most
        self._due: dict[str, float] = {}
        self._needs_scan = False
        self._lock = threading.Lock()

    def touch(self, name: str, due: float) -> None:
        """Add the file, to be looked at when it is due."""
        with self._lock:
            if name in self._due or len(self._due) < self._most:
                self._due[name] = due
            else:
                self._needs_scan = True

    def ask_for_scan(self) -> None:
        """Request a scan of all files."""
        with self._lock:
            self._needs_scan = True

    def take_due(self, now: float) -> list[str]:
        """Return the names that are due, and forget them."""
        with self._lock:
            due = [name for name, at in self._due.items() if at <= now]
            self._forget(due)
            return due

    def take_scan(self) -> bool:
        """Return whether a scan was asked for since the last one was taken."""
        with self._lock:
            needs_scan, self._needs_scan = self._needs_scan, False
            return needs_scan

    @property
    def is_quiet(self) -> bool:
        """Whether no name is waiting."""
        return not self._due

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            del self._due[name]

"""How many objects the stores have, counted on request."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_export.names import StoreName
    from dicom_export.ports import DicomStore

_MOST_SECONDS = 20.0
_LOOKED_AT = 256


@dataclass(frozen=True, slots=True)
class Count:
    """The objects of a store and their bytes, at a time. `is_whole` says whether all were counted in the time that there is."""

    objects: int
    size: int
    time: datetime
    is_whole: bool


@dataclass(frozen=True)
class Counts:
    """The latest count of each store, in the memory of this process."""

    seconds: float = _MOST_SECONDS
    _found: dict[StoreName, Count] = field(default_factory=dict)
    _problems: dict[StoreName, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def latest(self, store: StoreName) -> Count | None:
        """Return the latest count, or None."""
        return self._found.get(store)

    def problem(self, store: StoreName) -> str:
        """Return why the store could not be counted, or an empty text."""
        return self._problems.get(store, "")

    def refuse(self, store: StoreName, problem: str) -> None:
        """Keep why the store could not be counted."""
        self._problems[store] = problem

    def count(self, name: StoreName, store: DicomStore) -> Count:
        """List the store, as far as there is time. Raises the errors of `DicomStore.list`."""
        objects = size = 0
        is_whole = True
        deadline = time.monotonic() + self.seconds
        for stored in store.list():
            objects += 1
            size += stored.size
            if objects % _LOOKED_AT == 0 and time.monotonic() > deadline:
                is_whole = False
                break
        found = Count(objects, size, datetime.now(UTC), is_whole)
        with self._lock:
            self._found[name] = found
            self._problems.pop(name, None)
        return found

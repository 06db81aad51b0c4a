"""Which of the filter's paths names an instance, where only its header tells."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING

from dicom_export.errors import Internal
from dicom_export.filters import position_of

if TYPE_CHECKING:
    from dicom_export.filters import FilterPath
    from dicom_export.journal import Journal
    from dicom_export.names import InstanceUids, OperationName


class FilterLookup:
    """Looks instances up in an operation's filter; a few chunks of it are held in memory, not all."""

    def __init__(self, name: OperationName, journal: Journal) -> None:
        index = journal.filter_index(name)
        if index is None:
            raise Internal(f"The filter of {name} is not stored")
        self._index = index
        self._chunk = lru_cache(maxsize=8)(lambda number: journal.filter_chunk(name, number))

    def position_of(self, uids: InstanceUids) -> int | None:
        """Return the position of the path that names the instance among the filter's sorted paths, or None."""
        instance: FilterPath = (uids.study or "", uids.series or "", uids.instance or "")
        number = bisect_right(self._index.firsts, instance) - 1
        if number < 0:
            return None
        position = position_of(self._chunk(number), uids)
        return None if position is None else number * self._index.chunk_size + position

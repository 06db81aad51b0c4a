"""Find the filter's path that names an instance, where only its header has the UIDs."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING

from dicom_export.decoding.decoded import DecodedInstance, Skipped
from dicom_export.errors import InstanceError, Internal, MissingUid, NotDicom
from dicom_export.operations.filters import path_of, position_of
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from dicom_export.decoding.decoded import Decoded, Found
    from dicom_export.errors import PermanentError
    from dicom_export.names import OperationName
    from dicom_export.state.journal import Journal

UNNAMED = Skipped("not named by the filter")


class FilterLookup:
    """Looks up instances in an operation's filter. Only a few chunks of the filter are in memory."""

    def __init__(self, name: OperationName, journal: Journal) -> None:
        index = journal.filters.index(name)
        if index is None:
            raise Internal(f"The filter of {name} is not stored")
        self._index = index
        self._chunk = lru_cache(maxsize=8)(lambda number: journal.filters.chunk(name, number))

    def position_of(self, uids: InstanceUids) -> int | None:
        """Return the position of the path that names the instance among the filter's sorted paths, or None."""
        instance = path_of(uids)
        number = bisect_right(self._index.firsts, instance) - 1
        if number < 0:
            return None
        position = position_of(self._chunk(number), instance)
        return None if position is None else number * self._index.chunk_size + position


class Selection:
    """Skips the objects that the filter does not name. `matched` has the positions of the paths that named an object."""

    def __init__(self, lookup: FilterLookup) -> None:
        self._lookup = lookup
        self.matched: set[int] = set()

    def __call__(self, decoded: Decoded) -> Decoded:
        """Return the decoded object, or Skipped if the filter does not name it.

        An object that is not DICOM is in no study. An instance whose UIDs are unknown may be one that the filter names.
        """
        if isinstance(decoded, Skipped):
            return decoded
        if isinstance(decoded, NotDicom):
            return UNNAMED
        uids = uids_of(decoded)
        if uids.study is None:
            return decoded
        position = self._lookup.position_of(uids)
        if position is None:
            return UNNAMED
        self.matched.add(position)
        return decoded


def without_unnamable(found: Found) -> Found:
    """Return what was found, or Skipped for an object that is in no study: no line of a filter can name it."""
    return UNNAMED if isinstance(found, MissingUid) and uids_of(found).study is None else found


def uids_of(decoded: DecodedInstance | PermanentError) -> InstanceUids:
    """Return the UIDs of an instance that could be read from its header."""
    known = decoded.uids if isinstance(decoded, DecodedInstance | InstanceError) else None
    return known or InstanceUids()

"""The filters of operations: their sorted paths, in chunks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING

from dicom_export.operations.filters import has_malformed
from dicom_export.state import paths
from dicom_export.state.records import Records, encode, vanished

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_export.names import OperationName
    from dicom_export.operations.filters import FilterPath


class Filters(Records):
    """The filters of all operations."""

    def copy(self, source: OperationName, name: OperationName) -> None:
        """Copy the filter of another operation, if it has one."""
        index = self.index(source)
        if index is None:
            return
        for number in range(len(index.firsts)):
            self._store.create(paths.filter_path(name, number), encode(self.chunk(source, number)))
        self._store.create(paths.filter_index_path(name), encode(asdict(index)))

    def create(self, name: OperationName, filter_paths: Iterable[FilterPath], chunk_size: int = 10_000) -> FilterIndex:
        """Store the sorted paths of the filter in chunks, and the index last.

        A filter exists once its index does.
        """
        remaining = iter(filter_paths)
        firsts: list[FilterPath] = []
        is_any_malformed = False
        while chunk := list(islice(remaining, chunk_size)):
            self._store.create(paths.filter_path(name, len(firsts)), encode(chunk))
            firsts.append(chunk[0])
            is_any_malformed = is_any_malformed or any(map(has_malformed, chunk))
        index = FilterIndex(tuple(firsts), chunk_size, is_any_malformed)
        self._store.create(paths.filter_index_path(name), encode(asdict(index)))
        return index

    def index(self, name: OperationName) -> FilterIndex | None:
        """Return the index of the operation's filter, or None before it was stored."""
        data = self._read(paths.filter_index_path(name))
        if data is None:
            return None
        # Filters of earlier versions have no malformed UIDs.
        return FilterIndex(tuple(map(tuple, data["firsts"])), data["chunk_size"], data.get("has_malformed", False))

    def chunk(self, name: OperationName, chunk: int) -> list[FilterPath]:
        """Return one chunk of the filter's sorted paths."""
        path = paths.filter_path(name, chunk)
        return [tuple(each) for each in self._read(path) or vanished(path)]


@dataclass(frozen=True, slots=True)
class FilterIndex:
    """The part of a filter that is held in memory.

    `firsts` has the first path of each chunk, `chunk_size` is the number of paths per chunk, and
    `has_malformed` says whether any path has a malformed UID.
    """

    firsts: tuple[FilterPath, ...]
    chunk_size: int
    has_malformed: bool = False

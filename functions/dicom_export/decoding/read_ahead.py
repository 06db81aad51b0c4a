"""Read the first ranges of the next objects while one is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.archives.names import archives_in
from dicom_export.stores import WrappedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_export.ahead import Ahead
    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject


class BegunStore(WrappedStore):
    """A DicomStore of which the first range of one object has been requested already: `first` returns it, or raises."""

    def __init__(self, store: DicomStore, first: Callable[[], bytes]) -> None:
        super().__init__(store)
        self._first: Callable[[], bytes] | None = first

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        if start or self._first is None:
            return self._store.read(stored, start, length)
        first, self._first = self._first, None
        data = first()
        if len(data) >= min(length, stored.size):
            return data[:length]
        return data + self._store.read(stored, len(data), length - len(data))


def read_ahead(
    store: DicomStore, objects: Sequence[StoredObject], first_range: Callable[[str], int], ahead: Ahead
) -> Iterator[tuple[StoredObject, DicomStore]]:
    """Yield each object, in order, with the store to read it from.

    `first_range` returns how many bytes to read first of the object of a name. The objects of archives are
    not read ahead, because a compressed archive is read from its start to its end.
    """

    def read(stored: StoredObject) -> bytes:
        return store.read(stored, 0, min(first_range(stored.name), stored.size))

    def size_of(stored: StoredObject) -> int | None:
        is_read_alone = stored.content_encoding or not stored.size or next(archives_in(stored.name), None)
        return None if is_read_alone else min(first_range(stored.name), stored.size)

    for stored, first in ahead.over(objects, read, size_of):
        yield stored, BegunStore(store, first)

"""Read each range of a store once: the same header makes the rows of both schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.stores import WrappedStore

if TYPE_CHECKING:
    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject


class ReadOnce(WrappedStore):
    """A DicomStore that caches what was read of one object, for one thread."""

    def __init__(self, store: DicomStore) -> None:
        super().__init__(store)
        self._read: dict[tuple[StoredObject, int, int], bytes] = {}

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        key = stored, start, length
        if key not in self._read:
            self._read[key] = self._store.read(stored, start, length)
        return self._read[key]

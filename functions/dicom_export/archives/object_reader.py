"""An object of a store as a file that archive libraries read and seek."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject

BLOCK_BYTES = 64 * 1024


class ObjectReader(io.RawIOBase):
    """Reads ranges of one generation of an object."""

    def __init__(self, store: DicomStore, stored: StoredObject) -> None:
        super().__init__()
        self._store = store
        self._stored = stored
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._stored.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), max(self._stored.size - self._position, 0))
        data = self._store.read(self._stored, self._position, length) if length else b""
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def buffered(store: DicomStore, stored: StoredObject) -> io.BufferedReader:
    """Return the object as a file that reads blocks of 64 KB."""
    return io.BufferedReader(ObjectReader(store, stored), BLOCK_BYTES)

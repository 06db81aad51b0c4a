"""A store whose ranges are read once: the same header makes the rows of both schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject, Unlisted


class ReadOnce:
    """A DicomStore that keeps what was read. For one object, and one thread."""

    def __init__(self, store: DicomStore) -> None:
        self._store = store
        self._read: dict[tuple[StoredObject, int, int], bytes] = {}

    def uri(self, name: str) -> str:
        return self._store.uri(name)

    def list(
        self, *, prefix: str = "", start_after: str = "", unlisted: Callable[[Unlisted], None] = lambda _: None
    ) -> Iterator[StoredObject]:
        return self._store.list(prefix=prefix, start_after=start_after, unlisted=unlisted)

    def get(self, name: str) -> StoredObject | None:
        return self._store.get(name)

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        key = stored, start, length
        if key not in self._read:
            self._read[key] = self._store.read(stored, start, length)
        return self._read[key]

"""The state of operations in memory: for tests of the handlers alone, which are over in no time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.ports import StateEntry, StateObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class MemoryState:
    """An OperationStore in a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str], int]] = {}

    def create(self, path: str, content: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        if path in self.objects:
            return False
        self.objects[path] = content, dict(metadata or {}), 0
        return True

    def read(self, path: str) -> StateObject | None:
        if path not in self.objects:
            return None
        content, _, version = self.objects[path]
        return StateObject(content, str(version))

    def replace(self, path: str, content: bytes, version: str) -> bool:
        _, metadata, current = self.objects[path]
        if str(current) != version:
            return False
        self.objects[path] = content, metadata, current + 1
        return True

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StateEntry]:
        for path in sorted(self.objects):
            if path.startswith(prefix) and path > start_after:
                yield StateEntry(path, self.objects[path][1])

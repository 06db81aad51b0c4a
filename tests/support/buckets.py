"""A bucket in memory, without versions: every write is a generation, and whatever it does it tells of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dicom_export.errors import InstanceGone
from dicom_export.messages import ObjectEvent
from dicom_export.stored_object import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGINNING = 1_767_323_045_000_000


class Bucket:
    """A DicomStore. `tell` hears of each change that Cloud Storage would notify of and the stream goes by.

    `on_read` is what others do while an object is being read: after its bytes were taken.
    """

    def __init__(self, tell: Callable[[ObjectEvent, StoredObject], None] = lambda _event, _stored: None) -> None:
        self.objects: dict[str, tuple[StoredObject, bytes]] = {}
        self.tell = tell
        self.on_read: Callable[[], None] = lambda: None
        self._clock = BEGINNING

    def write(self, name: str, content: bytes) -> StoredObject:
        """Write an object; a generation is the time in microseconds, and one a millisecond at most."""
        self._clock += 1_000
        updated = EPOCH + timedelta(microseconds=self._clock)
        stored = StoredObject(name, self._clock + 7, len(content), updated)
        self.objects[name] = stored, content
        self.tell(ObjectEvent.WRITTEN, stored)
        return stored

    def delete(self, name: str) -> StoredObject:
        stored, _ = self.objects.pop(name)
        self.tell(ObjectEvent.DELETED, stored)
        return stored

    def uri(self, name: str) -> str:
        return f"gs://bucket/{name}"

    def copy_source(self, name: str) -> str:
        return self.uri(name)

    def list(
        self,
        *,
        prefix: str = "",
        start_after: str = "",
        unlisted: object = None,  # noqa: ARG002 - all can be listed
    ) -> Iterator[StoredObject]:
        for name in sorted(self.objects, key=str.encode):
            if name.startswith(prefix) and name.encode() > start_after.encode():
                yield self.objects[name][0]

    def get(self, name: str) -> StoredObject | None:
        return self.objects[name][0] if name in self.objects else None

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        found, content = self.objects.get(stored.name, (None, b""))
        if found is None or found.generation != stored.generation:
            raise InstanceGone(f"{stored.name!r}: generation {stored.generation} is gone")
        part = content[start : start + length]
        self.on_read()
        return part

"""DICOM stores: declared in the settings, not created by the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dicom_export.names import StoreName
    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject, Unlisted
    from dicom_export.streaming.config import StreamConfig


@dataclass(frozen=True, slots=True)
class DeclaredStore:
    """A declared store.

    `objects` are its objects. `ignore` has the patterns (`fnmatch`, on the name relative to the
    store) of objects that are not instances. `streams` are the destinations of the rows of new
    objects. `views` says whether the tables of its exports get views. `allow_cold_reads` is whether
    exports may read objects in cold storage classes. `has_autoclass` says whether reading moves
    such objects to the standard class, and None if that cannot be seen.
    """

    objects: DicomStore
    ignore: tuple[str, ...] = ()
    streams: tuple[StreamConfig, ...] = ()
    views: bool = True
    allow_cold_reads: bool = True
    has_autoclass: Callable[[], bool | None] = lambda: False


class WrappedStore:
    """A DicomStore that passes each call on to another one. Subclasses read in their own way."""

    def __init__(self, store: DicomStore) -> None:
        self._store = store

    def uri(self, name: str) -> str:
        return self._store.uri(name)

    def copy_source(self, name: str) -> str:
        return self._store.copy_source(name)

    def list(
        self, *, prefix: str = "", start_after: str = "", unlisted: Callable[[Unlisted], None] = lambda _: None
    ) -> Iterator[StoredObject]:
        return self._store.list(prefix=prefix, start_after=start_after, unlisted=unlisted)

    def get(self, name: str) -> StoredObject | None:
        return self._store.get(name)

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        return self._store.read(stored, start, length)


COLD_CLASSES = ("NEARLINE", "COLDLINE", "ARCHIVE")
"""The storage classes of which a read costs more than in the standard class."""


def storage_class(name: str) -> str:
    """Return the storage class; the older names of the standard class become `STANDARD`.

    Source: https://cloud.google.com/storage/docs/storage-classes#legacy.
    """
    return name if name in COLD_CLASSES else "STANDARD"


_LONGEST_ENCODING = 40


def content_encoding(name: str | None) -> str:
    """Return the start of the content encoding, in lower case; empty if the content is not encoded.

    Source: https://www.rfc-editor.org/rfc/rfc9110#name-content-encoding.
    """
    encoding = (name or "").strip().lower()
    return "" if encoding == "identity" else encoding[:_LONGEST_ENCODING]


def not_public(uri: str) -> str:
    """Return the message for a bucket that cannot be listed without credentials."""
    return (
        f"{uri} cannot be listed without credentials: the bucket is not public. Leave out --anonymous, and use credentials"
        " that may read it"
    )


def declared(stores: Mapping[StoreName, DeclaredStore], name: StoreName) -> DeclaredStore:
    """Return the store. Raises NotFound if it is not declared."""
    if name not in stores:
        raise NotFound(f"DICOM store {name} was not found; declare it in the settings of the installation")
    return stores[name]

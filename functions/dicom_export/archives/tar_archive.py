"""Tar archives, plain or compressed with gzip.

A plain archive is read by ranges. A compressed one is inflated once for its index; the index has
points from which a later read can begin.
"""

from __future__ import annotations

import tarfile
import zlib
from threading import Lock
from typing import IO, TYPE_CHECKING

import indexed_gzip

from dicom_export.archives.members import Archive, BrokenArchive, Member, check_count
from dicom_export.archives.object_reader import buffered
from dicom_export.errors import InstanceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject

MOST_INFLATED_BYTES = 256 * 1024**3
"""Bytes up to which a compressed tar archive is inflated for its index."""

_POINT_EVERY_BYTES = 4 * 1024**2
_DAMAGED = (tarfile.TarError, zlib.error, OSError, EOFError, ValueError)
_SPARSE = "The member of the archive is a sparse file, which is not supported; unpack the archive"


class TarArchive(Archive):
    """An open tar archive. Safe to use from several threads."""

    def __init__(self, store: DicomStore, stored: StoredObject, *, is_compressed: bool) -> None:
        self._lock = Lock()
        self._file: IO[bytes] = buffered(store, stored)
        if is_compressed:
            self._file = indexed_gzip.IndexedGzipFile(fileobj=self._file, spacing=_POINT_EVERY_BYTES)
        self.damage = ""
        self._starts: dict[str, int] = {}
        self._members: dict[str, Member] = {}
        self._read_index()

    @property
    def members(self) -> Mapping[str, Member]:
        return self._members

    def read(self, member: Member, start: int, length: int) -> bytes:
        length = min(length, member.size - start)
        if length <= 0:
            return b""
        with self._lock:
            try:
                self._file.seek(self._starts[member.name] + start)
                return self._file.read(length)
            except _DAMAGED as error:
                raise InstanceError("Malformed: the archive is damaged where the member is") from error

    def _read_index(self) -> None:
        """Find the members. Sets `damage` where the archive breaks off; raises BrokenArchive if that is at its start."""
        count = 0
        try:
            with tarfile.open(fileobj=self._file, mode="r:", errors="surrogateescape") as archive:
                while (entry := archive.next()) is not None:
                    archive.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
                    count += 1
                    check_count(count)
                    if archive.offset > MOST_INFLATED_BYTES:
                        raise BrokenArchive(f"The archive has more than {MOST_INFLATED_BYTES:,} bytes when inflated")
                    self._add(entry)
                if not self._ends_at(archive.offset):
                    self.damage = _damage(count)
        except _DAMAGED as error:
            if not count:
                raise BrokenArchive("The tar archive is damaged: its first entry cannot be read") from error
            self.damage = _damage(count)

    def _ends_at(self, position: int) -> bool:
        """Say whether the end marker is at the position: tarfile takes a damaged header for the end, too."""
        self._file.seek(position)
        block = self._file.read(tarfile.BLOCKSIZE)
        return len(block) == tarfile.BLOCKSIZE and not any(block)

    def _add(self, entry: tarfile.TarInfo) -> None:
        name = _text(entry.name)
        if entry.islnk():
            target = self._members.get(_text(entry.linkname))
            if target:
                self._members[name] = target._replace(name=name)
                self._starts[name] = self._starts[target.name]
            else:
                self._members[name] = Member(
                    name, 0, "The member is a link to a file that the archive does not have before it"
                )
        elif entry.isreg():
            self._members[name] = Member(name, entry.size, _SPARSE if entry.issparse() else "")
            self._starts[name] = entry.offset_data


def _damage(count: int) -> str:
    return f"The tar archive is damaged or cut short after {count:,} entries"


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

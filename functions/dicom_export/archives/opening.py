"""Open an archive by its content."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from dicom_export.archives.tar_archive import TarArchive
from dicom_export.archives.zip_archive import ZipArchive

if TYPE_CHECKING:
    from dicom_export.archives.members import Archive
    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP = b"\x1f\x8b\x08"
_TAR_MAGIC = slice(257, 262)


def open_archive(store: DicomStore, stored: StoredObject) -> Archive | None:
    """Return the archive that the object holds, or None if it is not one, whatever its name says.

    Raises BrokenArchive, and the errors of `DicomStore.read`.
    """
    head = store.read(stored, 0, min(tarfile.BLOCKSIZE, stored.size)) if stored.size else b""
    if head.startswith(_ZIP):
        return ZipArchive(store, stored)
    if head.startswith(_GZIP):
        return TarArchive(store, stored, is_compressed=True)
    if head[_TAR_MAGIC] == b"ustar":
        return TarArchive(store, stored, is_compressed=False)
    return None

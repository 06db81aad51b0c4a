"""ZIP archives: members that are stored are read by ranges, others are inflated.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from threading import Lock
from typing import IO, TYPE_CHECKING

from dicom_export.archives.members import Archive, BrokenArchive, Member, check_count
from dicom_export.archives.object_reader import buffered
from dicom_export.errors import InstanceError, LimitExceeded, TruncatedInstance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject

MOST_INFLATED_BYTES = 4 * 1024**3
"""Bytes of a member up to which it is inflated. A header needs few; elements after the pixels need all before them."""

_MOST_DIRECTORY_BYTES = 128 * 1024**2
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_EXTRA_BYTES = 256
_END = struct.Struct("<4s8xLL2x")
_END_SIGNATURE, _END_64_SIGNATURE = b"PK\x05\x06", b"PK\x06\x06"
_IN_ZIP64_RECORD = (1 << 32) - 1
_LONGEST_END = 22 + 0xFFFF
_IS_ENCRYPTED = 0x1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
_SKIPPED_AT_ONCE = 1024 * 1024


class ZipArchive(Archive):
    """An open ZIP archive. Safe to use from several threads."""

    def __init__(self, store: DicomStore, stored: StoredObject) -> None:
        self._store = store
        self._stored = stored
        self._lock = Lock()
        self._open: tuple[str, IO[bytes]] | None = None
        _check_directory(store, stored)
        try:
            self._zip = zipfile.ZipFile(buffered(store, stored))
        except _DAMAGED as error:
            raise BrokenArchive("The ZIP archive is damaged or cut short: its directory cannot be read") from error
        check_count(len(self._zip.filelist))
        found = (_member(info) for info in self._zip.filelist if not info.is_dir())
        self._members = {member.name: member for member in found}

    @property
    def members(self) -> Mapping[str, Member]:
        return self._members

    def read(self, member: Member, start: int, length: int) -> bytes:
        info = self._zip.NameToInfo[member.name]
        length = min(length, member.size - start)
        if length <= 0:
            return b""
        if info.compress_type == zipfile.ZIP_STORED:
            return self._read_stored(info, start, length)
        return self._read_inflated(info, start, length)

    def _read_stored(self, info: zipfile.ZipInfo, start: int, length: int) -> bytes:
        """Read the range. At the start of a member its local header, whose length is not in the directory, comes along."""
        name_bytes = len(info.filename.encode("utf-8", "surrogateescape"))
        if start:
            return self._store.read(self._stored, self._data_start(info) + start, length)
        expected = _LOCAL_HEADER.size + name_bytes + _EXTRA_BYTES + length
        head = self._store.read(self._stored, info.header_offset, expected)
        begin = _after_local_header(head)
        missing = begin + length - len(head)
        if missing > 0:
            head += self._store.read(self._stored, info.header_offset + len(head), missing)
        return head[begin : begin + length]

    def _data_start(self, info: zipfile.ZipInfo) -> int:
        head = self._store.read(self._stored, info.header_offset, _LOCAL_HEADER.size)
        return info.header_offset + _after_local_header(head)

    def _read_inflated(self, info: zipfile.ZipInfo, start: int, length: int) -> bytes:
        if start + length > MOST_INFLATED_BYTES:
            raise LimitExceeded(f"More than {MOST_INFLATED_BYTES:,} bytes of the member would have to be inflated")
        with self._lock:
            try:
                return self._inflated(info, start, length)
            except _DAMAGED as error:
                self._open = None
                raise InstanceError("Malformed: the compressed member of the archive is damaged") from error

    def _inflated(self, info: zipfile.ZipInfo, start: int, length: int) -> bytes:
        """Inflate on from where the last read of the member ended, if that is not too far."""
        opened = self._open
        if opened is None or opened[0] != info.filename or opened[1].tell() > start:
            opened = self._open = (info.filename, self._zip.open(info))
        member = opened[1]
        while (skipped := start - member.tell()) > 0:
            if not member.read(min(skipped, _SKIPPED_AT_ONCE)):
                raise TruncatedInstance("The member of the archive is shorter than the archive says")
        return member.read(length)


def _check_directory(store: DicomStore, stored: StoredObject) -> None:
    """Raise BrokenArchive for a directory that would fill the memory."""
    length = min(_LONGEST_END, stored.size)
    tail = store.read(stored, stored.size - length, length)
    position = tail.rfind(_END_SIGNATURE)
    if position >= 0 and len(tail) - position >= _END.size:
        _, size, _ = _END.unpack_from(tail, position)
        if size == _IN_ZIP64_RECORD:
            before = tail.rfind(_END_64_SIGNATURE)
            size = int.from_bytes(tail[before + 40 : before + 48], "little") if before >= 0 else 0
        if size > _MOST_DIRECTORY_BYTES:
            raise BrokenArchive(f"The directory of the ZIP archive has more than {_MOST_DIRECTORY_BYTES:,} bytes")


def _member(info: zipfile.ZipInfo) -> Member:
    obstacle = ""
    if info.flag_bits & _IS_ENCRYPTED:
        obstacle = "The member of the archive is encrypted; unpack it with its password"
    elif info.compress_type not in _METHODS:
        obstacle = (
            f"The member is compressed by method {info.compress_type}, which is not supported; unpack the archive"
        )
    return Member(info.filename, info.file_size, obstacle)


def _after_local_header(head: bytes) -> int:
    if len(head) < _LOCAL_HEADER.size or not head.startswith(_LOCAL_SIGNATURE):
        raise InstanceError("Malformed: the member is not where the directory of the archive says")
    _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack_from(head)
    return _LOCAL_HEADER.size + int(name_bytes) + int(extra_bytes)

"""Files for pydicom to read from, which fetch and inflate no more than the header needs."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from dicom_export.errors import DicomExportError, InstanceError, LimitExceeded

if TYPE_CHECKING:
    from dicom_export.ports import DicomStore, StoredObject

FIRST_RANGE = 64 * 1024
LARGEST_RANGE = 4 * 1024 * 1024
MAX_ELEMENTS = 500_000
MAX_INFLATED = 64 * 1024 * 1024

# pydicom reads the header of every element and item with one read of 8 bytes: that is what can be counted early, before
# millions of elements are in memory. Items and delimiters count too, hence twice as many.
_HEADER_LENGTH = 8
_MAX_HEADERS = 2 * MAX_ELEMENTS


class HeaderFile:
    """A file opened for reading at `position`, as far as pydicom needs one. Reading is short at the end, as usual.

    pydicom turns exceptions of `read` into others, so the first of ours stays in `error` as well.
    """

    def __init__(self) -> None:
        self.error: DicomExportError | None = None
        self._position = 0
        self._window = b""
        self._window_start = 0
        self._headers_left = _MAX_HEADERS

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        if size == _HEADER_LENGTH:
            self._headers_left -= 1
            if self._headers_left < 0:
                self.error = LimitExceeded(f"The header has more than {MAX_ELEMENTS:,} elements")
                raise self.error
        start = self._position - self._window_start
        if start < 0 or start + size > len(self._window):
            start = self._load(size)
        data = self._window[start : start + size]
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset`, from the start or (SEEK_CUR) from here. A position behind the end is allowed."""
        self._position = offset + (self._position if whence == os.SEEK_CUR else 0)
        return self._position

    def tell(self) -> int:
        """Return the position, in bytes from the start."""
        return self._position

    def reaches(self, position: int) -> bool:
        """Say whether the file is at least so long."""
        return position <= 0 or bool(self.rest(position - 1, 1))

    def rest(self, position: int, limit: int) -> bytes:
        """Return at most `limit` bytes from `position` on, without a trace."""
        here = self._position
        self._position = position
        data = self.read(limit)
        self._position = here
        return data

    def _load(self, size: int) -> int:
        """Make the window hold the next `size` bytes, as far as there are so many; return where in it they start."""
        try:
            return self._fill(size)
        except DicomExportError as error:
            self.error = error
            raise

    def _fill(self, size: int) -> int:
        raise NotImplementedError


class RangeFile(HeaderFile):
    """An object of a store, read in ranges that double in size: 64 KB first, or more where the header is known to be long."""

    def __init__(self, store: DicomStore, stored: StoredObject, first_range: int = FIRST_RANGE) -> None:
        super().__init__()
        self.size = stored.size
        self._store = store
        self._stored = stored
        self._next_range = first_range

    def reaches(self, position: int) -> bool:
        return position <= self.size

    def first(self, length: int) -> bytes:
        """Return the object's first bytes: as many as asked for, or all that were read so far, or all that there are."""
        if self._window_start or len(self._window) < length:
            self._position = 0
            self._load(length)
        return self._window

    def _fill(self, size: int) -> int:
        start = self._position - self._window_start
        kept = self._window[start:] if 0 <= start < len(self._window) else b""
        begin = self._position + len(kept)
        length = min(max(size - len(kept), self._next_range), self.size - begin)
        fetched = self._store.read(self._stored, begin, length) if length > 0 else b""
        self._next_range = min(2 * self._next_range, LARGEST_RANGE)
        self._window_start = self._position
        self._window = kept + fetched
        return 0


class InflatedFile(HeaderFile):
    """What follows the file meta information of a deflated file (PS3.5 §A.5), inflated on demand and up to a limit."""

    def __init__(self, source: RangeFile) -> None:
        super().__init__()
        self._source = source
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._deflated = b""

    @property
    def is_whole(self) -> bool:
        """The end of the deflated stream was reached."""
        return self._inflater.eof

    def _fill(self, size: int) -> int:
        end = self._position + size
        parts = [self._window]
        have = len(self._window)
        while have < end and not self._inflater.eof:
            part = self._inflate()
            if not part and not self._deflated:
                break
            parts.append(part)
            have += len(part)
            if have > MAX_INFLATED:
                raise LimitExceeded(f"The header is larger than {MAX_INFLATED:,} bytes when inflated")
        self._window = b"".join(parts)
        return self._position

    def _inflate(self) -> bytes:
        self._deflated = self._inflater.unconsumed_tail or self._source.read(FIRST_RANGE)
        try:
            return self._inflater.decompress(self._deflated, FIRST_RANGE)
        except zlib.error as error:
            raise InstanceError("The deflated data set is damaged") from error

"""Objects as files to parse: they fetch and inflate no more than the header needs."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from dicom_export.errors import InstanceError, LimitExceeded
from dicom_export.stored_object import FIRST_RANGE

if TYPE_CHECKING:
    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject

LARGEST_RANGE = 4 * 1024 * 1024


class HeaderFile:
    """A file of which a window is in memory. A read is short only at the end of the file."""

    can_look_back = True
    """Whether bytes before the last requested position can be read again."""

    def __init__(self) -> None:
        self._position = 0
        self._window = b""
        self._window_start = 0

    def seek(self, offset: int) -> None:
        """Move to `offset`, in bytes from the start. A position after the end is allowed."""
        self._position = offset

    def tell(self) -> int:
        """Return the position, in bytes from the start."""
        return self._position

    def reaches(self, position: int) -> bool:
        """Say whether the file is at least this long."""
        return position <= 0 or bool(self.rest(position - 1, 1))

    def skips_to(self, position: int) -> bool:
        """Say whether the file is at least this long; nothing before the position is read again."""
        return self.reaches(position)

    def rest(self, position: int, limit: int) -> bytes:
        """Return the bytes from `position` on: `limit`, or fewer at the end.

        The position of the file stays.
        """
        start = position - self._window_start
        if start < 0 or start + limit > len(self._window):
            start = self._fill(position, limit)
        return self._window[start : start + limit]

    def _fill(self, position: int, size: int) -> int:
        """Load these bytes, if they exist, into the window; return their start in it."""
        raise NotImplementedError


class BytesFile(HeaderFile):
    """A value as a file."""

    def __init__(self, value: bytes) -> None:
        super().__init__()
        self._window = value

    def reaches(self, position: int) -> bool:
        return position <= len(self._window)

    def _fill(self, position: int, size: int) -> int:  # noqa: ARG002 - all of it is there
        return position


class RangeFile(HeaderFile):
    """An object of a store, read in ranges that double in size.

    The first range has 64 KB, or more if the header is known to be long.
    """

    def __init__(self, store: DicomStore, stored: StoredObject, first_range: int = FIRST_RANGE) -> None:
        super().__init__()
        self.name = stored.name
        self.size = stored.size
        self.uri_of = store.uri
        self._store = store
        self._stored = stored
        self._next_range = first_range

    def reaches(self, position: int) -> bool:
        return position <= self.size

    def first(self, length: int) -> bytes:
        """Return the first bytes of the object: at least `length`, unless the object is shorter.

        All bytes that were read so far are returned.
        """
        if self._window_start or len(self._window) < length:
            self._fill(0, length)
        return self._window

    def _fill(self, position: int, size: int) -> int:
        start = position - self._window_start
        kept = self._window[start:] if 0 <= start < len(self._window) else b""
        begin = position + len(kept)
        length = min(max(size - len(kept), self._next_range), self.size - begin)
        fetched = self._store.read(self._stored, begin, length) if length > 0 else b""
        self._next_range = min(2 * self._next_range, LARGEST_RANGE)
        self._window_start = position
        self._window = kept + fetched
        return 0


class InflatedFile(HeaderFile):
    """The data set of a deflated object (PS3.5 §A.5), inflated on demand.

    It is the part after the file meta information. Bytes that were passed are forgotten. `limit` is
    the maximum number of bytes to inflate.
    """

    can_look_back = False

    def __init__(self, source: RangeFile, limit: int) -> None:
        super().__init__()
        self._source = source
        self._limit = limit
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._deflated = b""

    @property
    def is_whole(self) -> bool:
        """Whether the end of the deflated stream was reached."""
        return self._inflater.eof

    def reaches(self, position: int) -> bool:
        end = self._window_start + len(self._window)
        if position > end:
            self._fill(self._window_start, position - self._window_start)
            end = self._window_start + len(self._window)
        return position <= end

    def skips_to(self, position: int) -> bool:
        return position <= 0 or bool(self.rest(position - 1, 1))

    def _fill(self, position: int, size: int) -> int:
        if position < self._window_start:
            raise ValueError("The bytes at this position were forgotten; expected a later position")
        parts = [self._window[position - self._window_start :]]
        end = self._window_start + len(self._window)
        self._window_start = position
        while end < position + size and not self._inflater.eof:
            part = self._inflate()
            if not part and not self._deflated:
                break
            parts.append(part[max(position - end, 0) :])
            end += len(part)
            if end > self._limit:
                raise LimitExceeded(f"The header has more than {self._limit:,} bytes when inflated")
        self._window = b"".join(parts)
        return 0

    def _inflate(self) -> bytes:
        self._deflated = self._inflater.unconsumed_tail or self._read_source()
        try:
            return self._inflater.decompress(self._deflated, FIRST_RANGE)
        except zlib.error as error:
            raise InstanceError("Malformed: the deflated data set is damaged") from error

    def _read_source(self) -> bytes:
        position = self._source.tell()
        data = self._source.rest(position, FIRST_RANGE)
        self._source.seek(position + len(data))
        return data

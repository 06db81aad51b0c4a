"""The header of a stored object, read the fast way: a scan of its bytes, by what the last instances of its series were like."""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - named as the class that it is
from typing import TYPE_CHECKING, NamedTuple

from dicom_export.decoding.fast.kinds import EXPLICIT, IMPLICIT, META, RUN, Incomplete, Kind, Unusual
from dicom_export.decoding.fast.scan import NO_TAG, DataSetScan, Scanner
from dicom_export.decoding.fast.series import Repeated
from dicom_export.decoding.reference.header import DEFLATED
from dicom_export.dicom.after_pixels import follows_pixels
from dicom_export.dicom.encoding import Encoding, is_vr
from dicom_export.dicom.tags import (
    ELEMENT_HEADER,
    FILE_META_GROUP,
    LONG_HEADER,
    MEDIA_STORAGE_SOP_CLASS_UID,
    PIXELS,
    TRANSFER_SYNTAX_UID,
    UIDS,
    UNDEFINED_LENGTH,
)
from dicom_export.stored_object import FIRST_RANGE
from dicom_export.uids import InstanceUids, uid_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.decoding.budget import Limits
    from dicom_export.decoding.fast.kinds import Kinds
    from dicom_export.decoding.fast.runs import Element
    from dicom_export.decoding.fast.series import SeriesMemory
    from dicom_export.dicom.object_file import RangeFile

_PREFIX = slice(128, 132)
_META = 132
_FIRST_BEHIND_META = 0x00030000
_FIRST_PIXELS, _LAST_PIXELS = min(PIXELS), max(PIXELS)
_LONGEST_TAIL = 1024 * 1024
_TAG = Struct("<HH").unpack_from
_LENGTH = Struct("<L").unpack_from
_LENGTH_SIZE = 4
_GROUP_LENGTH = b"\x02\0\0\0UL\x04\0"

_MEDIA_STORAGE_DIRECTORY = b"1.2.840.10008.1.3.10"
_NOT_SCANNED = frozenset(map(str.encode, DEFLATED)) | {b"1.2.840.10008.1.2.2"}
_PADDING = b" \0"
_SERIES_INSTANCE_UID = b"\x20\x00\x0e\x00"


class ScannedHeader(NamedTuple):
    """All elements of an object but the pixels' value: of its file meta information, and of its data set.

    `kept` has the values of the data set that other elements depend on; `uids` are those that are there; `value_bytes` is as that of a
    `Header`; `length` has the bytes of the object before the pixels.
    """

    meta: Sequence[Element]
    elements: Sequence[Element]
    kept: dict[int, bytes]
    uids: InstanceUids
    value_bytes: int
    length: int

    @property
    def last(self) -> int:
        """The last tag, 0 without any element."""
        if not self.elements:
            return 0
        kind, value, _ = self.elements[-1]
        return int(value.last if kind is RUN else kind.tag)


def scan_header(
    file: RangeFile, memory: SeriesMemory | None, limits: Limits, *, holds_large: bool = False
) -> ScannedHeader:
    """Scan an object's header, and hold sequences of more than 1 MiB on demand.

    Raises Unusual if it has to be read by the reference decoder, and what reading the store raises.
    """
    return _HeaderScan(file, memory, limits, holds_large=holds_large).scan()


class _HeaderScan:
    """A header while it is scanned."""

    def __init__(self, file: RangeFile, memory: SeriesMemory | None, limits: Limits, *, holds_large: bool) -> None:
        # A header that is shorter cannot have more elements than allowed, so that nothing has to be counted.
        self._longest = min(limits.elements * ELEMENT_HEADER, limits.header_bytes)
        self._file = file
        self._memory = memory
        self._scanner = Scanner(file.first(FIRST_RANGE), holds_large=holds_large)

    def scan(self) -> ScannedHeader:
        data = self._scanner.data
        if data[_PREFIX] != b"DICM":
            raise Unusual
        memory = self._memory
        series = _series_of(data) if memory else b""
        known = memory.recall(series) if memory else None
        meta = DataSetScan(_META, META)
        if known:
            meta.expect(META, known.meta)
        first = self._up_to(meta, _FIRST_BEHIND_META)
        if first is None or first.tag < _FIRST_BEHIND_META or not _is_scanned(meta.kept):
            raise Unusual
        if not self._ends_where_it_says(meta.position):
            raise Unusual
        vr = self._scanner.data[meta.position + 4 : meta.position + 6]
        kinds = EXPLICIT if is_vr(vr) else IMPLICIT
        found = DataSetScan(meta.position, kinds)
        if known:
            found.expect(known.kinds, known.elements)
        pixels = self._up_to(found, _FIRST_PIXELS)
        if pixels and pixels.tag > _LAST_PIXELS:
            pixels = self._up_to(found, NO_TAG)
        if found.position > self._longest:
            raise Unusual
        if memory:
            self._remember(memory, series, known, meta, found)
        value_bytes, length = found.value_bytes, found.position
        if pixels:
            value_bytes += self._add_pixels(found, pixels)
        uids = InstanceUids(*[uid_of(found.kept.get(tag)) for tag in UIDS])
        return ScannedHeader(meta.entries, found.entries, found.kept, uids, value_bytes, length)

    def _ends_where_it_says(self, end: int) -> bool:
        """Say whether file meta information begins with its group length, if any, and does not end after what that says."""
        data = self._scanner.data
        group, element = _TAG(data, _META)
        if (group, element) != (FILE_META_GROUP, 0):
            return bool(group == FILE_META_GROUP)
        start = _META + len(_GROUP_LENGTH)
        length: int = _LENGTH(data, start)[0]
        return data.startswith(_GROUP_LENGTH, _META) and length + start + _LENGTH_SIZE >= end

    def _remember(
        self, memory: SeriesMemory, series: bytes, known: Repeated | None, meta: DataSetScan, found: DataSetScan
    ) -> None:
        data = self._scanner.data
        repeated = Repeated(meta.repeats(data), found.kinds, found.repeats(data, is_mended=True))
        if repeated != known:
            memory.keep(series, repeated)

    def _up_to(self, found: DataSetScan, stop_at: int) -> Kind | None:
        """Scan as `Scanner.scan` does, and read as much of the object as that takes."""
        while True:
            data = self._scanner.data
            try:
                stopped = self._scanner.scan(found, len(data), stop_at=stop_at)
            except Incomplete:
                self._read_on()
                continue
            if stopped is not None or len(data) >= self._file.size:
                return stopped
            self._read_on()

    def _read_on(self) -> None:
        """Have the scanner go on with more of the object. Raises Unusual if there is none, or no end to it."""
        length = len(self._scanner.data)
        if length >= min(self._file.size, self._longest):
            raise Unusual
        self._scanner.data = self._file.first(length + 1)
        if len(self._scanner.data) == length:
            raise Unusual

    def _add_pixels(self, found: DataSetScan, pixels: Kind) -> int:
        """Add the pixels, unread, and the elements after them if they are native and end before the object does.

        Return the number of bytes of the values after them.
        """
        if pixels.tag not in PIXELS or pixels.is_sequence:
            raise Unusual
        try:
            length = found.kinds.length(self._scanner.data, found.position, pixels)
        except StructError:
            raise Unusual from None
        found.entries.append((pixels, None, pixels.header))
        end = found.position + pixels.header + length
        if length != UNDEFINED_LENGTH and end < self._file.size and self._has_tail(found.kinds, end):
            return self._add_tail(found, end)
        return 0

    def _has_tail(self, kinds: Kinds, end: int) -> bool:
        """Say whether elements follow the pixels."""
        data = self._scanner.data
        is_read = end + LONG_HEADER <= len(data)
        tail = data[end : end + LONG_HEADER] if is_read else self._file.rest(end, LONG_HEADER)
        return follows_pixels(tail, _encoding(kinds), self._file.size - end, _LAST_PIXELS)

    def _add_tail(self, found: DataSetScan, start: int) -> int:
        if self._file.size - start > _LONGEST_TAIL:
            raise Unusual
        data = self._file.rest(start, self._file.size - start)
        tail = DataSetScan(0, found.kinds)
        tail.last = _LAST_PIXELS
        try:
            stopped = Scanner(data, holds_large=self._scanner.holds_large).scan(tail, len(data))
        except Incomplete:
            raise Unusual from None
        if stopped:
            raise Unusual
        if not _are_elements(data, tail):
            raise Unusual
        found.entries += tail.entries
        found.kept.update(tail.kept)
        return tail.value_bytes


def _are_elements(data: bytes, tail: DataSetScan) -> bool:
    """Say whether all that was scanned after the pixels counts as elements there."""
    encoding, position, last = _encoding(tail.kinds), 0, _LAST_PIXELS
    for kind, _, size in tail.entries:
        if not follows_pixels(data[position : position + LONG_HEADER], encoding, len(data) - position, last):
            return False
        position, last = position + size, kind.tag
    return True


def _encoding(kinds: Kinds) -> Encoding:
    return Encoding(kinds is IMPLICIT, is_little_endian=True)


def _is_scanned(meta: dict[int, bytes]) -> bool:
    """Say whether the file meta information announces a data set that a scan is for."""
    syntax = meta.get(TRANSFER_SYNTAX_UID, b"").strip(_PADDING)
    is_directory = meta.get(MEDIA_STORAGE_SOP_CLASS_UID, b"").strip(_PADDING) == _MEDIA_STORAGE_DIRECTORY
    return bool(syntax) and syntax not in _NOT_SCANNED and not is_directory


def _series_of(data: bytes) -> bytes:
    """Return what looks like the Series Instance UID, by which what is known of a series is found; it need not be one."""
    start = data.find(_SERIES_INSTANCE_UID, _META)
    return data[start : start + ELEMENT_HEADER + data[start + 6]] if 0 <= start < len(data) - 6 else b""

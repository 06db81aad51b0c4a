"""Read the header of a stored object: every data element but the pixels.

An export must not mistake a part of a header for all of it: the parse has to end at Pixel Data or exactly at the object's end.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from pydicom.charset import default_encoding

from dicom_export.decoding.budget import Budget
from dicom_export.decoding.reference.parser import MAX_VALUE, DataElement, Elements, Head, Parser, is_outside_data_sets
from dicom_export.dicom.after_pixels import follows_pixels
from dicom_export.dicom.character_sets import encodings_named
from dicom_export.dicom.dictionary import display
from dicom_export.dicom.encoding import Encoding, encoding_of, found_encoding
from dicom_export.dicom.object_file import InflatedFile
from dicom_export.dicom.recognition import start_of_data_set
from dicom_export.dicom.tags import (
    ELEMENT_HEADER,
    FILE_META_GROUP,
    ITEM_DELIMITER,
    MEDIA_STORAGE_SOP_CLASS_UID,
    PIXELS,
    SEQUENCE_DELIMITER,
    SPECIFIC_CHARACTER_SET,
    TRANSFER_SYNTAX_UID,
    UIDS,
    UNDEFINED_LENGTH,
)
from dicom_export.dicom.text import split
from dicom_export.errors import InstanceError, MissingUid, TruncatedInstance
from dicom_export.uids import InstanceUids, uid_of

if TYPE_CHECKING:
    from dicom_export.dicom.object_file import HeaderFile, RangeFile

__all__ = ["MAX_VALUE", "UIDS", "UNDEFINED_LENGTH", "Header", "check_uids", "encodings_of", "header_of"]


DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
"""The transfer syntaxes that deflate the data set (PS3.5 §A.5, §A.7, §A.11)."""

_FILE_META_GROUP_LENGTH = 0x00020000

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

_DELIMITERS = frozenset({ITEM_DELIMITER, SEQUENCE_DELIMITER})
_LONGEST_PADDING = 64 * 1024
_GROUP_LENGTH = struct.Struct("<L")


@dataclass(frozen=True, slots=True)
class Header:
    """All elements of an object by tag: `meta` those of group 0002, `elements` those of the data set.

    `is_directory` says that it is a DICOMDIR, whose data set was not read. `budget` is what the object may still take.
    """

    meta: Elements = field(default_factory=dict)
    elements: Elements = field(default_factory=dict)
    is_directory: bool = False
    budget: Budget = field(default_factory=Budget)

    @property
    def encodings(self) -> list[str]:
        """The Python names of the data set's Specific Character Set."""
        return encodings_of(self.elements)

    @property
    def uids(self) -> InstanceUids:
        """The UIDs that the instance has."""
        return InstanceUids(*(_uid(self.elements, tag) for tag in UIDS))

    @property
    def value_bytes(self) -> int:
        """The encoded bytes of all values that were read, and of all sequences of undefined length."""
        return sum(each.length for each in self.elements.values() if each.value is not None or each.vr == "SQ")


def header_of(file: RangeFile, budget: Budget | None = None) -> Header:
    """Read the header of an opened object.

    Raises NotDicom, TruncatedInstance, LimitExceeded, or InstanceError for what cannot be parsed or lacks one of its three UIDs, all
    with the UIDs as far as they were read.
    """
    header = Header(budget=budget or Budget())
    try:
        file.seek(start_of_data_set(file))
        header = _read(file, header)
        header.budget.settle()
        if not header.is_directory:
            check_uids(header.uids, max(header.elements, default=0))
    except InstanceError as error:
        if error.uids is None:
            error.uids = header.uids
        raise
    return header


def encodings_of(elements: Elements, inherited: list[str] | None = None) -> list[str]:
    """Return the Python names of the Specific Character Set among the elements, else the inherited ones (PS3.5 §7.5.3)."""
    element = elements.get(SPECIFIC_CHARACTER_SET)
    if element is None:
        return inherited or [default_encoding]
    return encodings_named(split("CS", element.value)) if isinstance(element.value, bytes) else [default_encoding]


def _read(file: RangeFile, header: Header) -> Header:
    _read_meta(file, header)
    if _uid(header.meta, MEDIA_STORAGE_SOP_CLASS_UID) == _MEDIA_STORAGE_DIRECTORY:
        return Header(header.meta, is_directory=True)
    syntax = _uid(header.meta, TRANSFER_SYNTAX_UID)
    if syntax in DEFLATED:
        _check_meta_is_whole(file, header)
        inflated = InflatedFile(file, header.budget.limits.inflated_bytes)
        stated = Encoding(is_implicit=False, is_little_endian=True)
        if not _DataSetReader(inflated, header, stated, 0).read() and not inflated.is_whole:
            raise TruncatedInstance(
                f"Cut short: the object ends at byte {file.size}, before its deflated data set does"
            )
        return header
    start = _skip_strays(file, header, file.tell())
    file.seek(start)
    reader = _DataSetReader(file, header, encoding_of(file, syntax), start)
    reader.read_tail(reader.read(), file.size)
    return header


def _read_meta(file: RangeFile, header: Header) -> None:
    """Read group 0002, explicit VR little endian by PS3.10 §7.1; leave the file at the first element after it.

    It ends where its group length says, or where its tags stop ascending; a group length that is too small to hold the Transfer
    Syntax UID, or that ends inside an element, is of no interest: many files state a wrong one.
    """
    position = _skip_strays(file, header, file.tell(), groups=(0x0000,))
    file.seek(position)
    if file.rest(position, 2) != b"\x02\x00":
        return
    encoding = found_encoding(file, Encoding(is_implicit=False, is_little_endian=True))
    parser = Parser(file, encoding, header.budget)
    last, stated_end = 0, None
    while position != stated_end or TRANSFER_SYNTAX_UID not in header.meta:
        head = parser.head(position, None, last)
        if head is None or head.tag >> 16 != FILE_META_GROUP or head.tag <= last:
            break
        element = parser.element(head, None, last)
        position, last = file.tell(), head.tag
        header.meta[head.tag] = element
        if head.tag == _FILE_META_GROUP_LENGTH:
            length = _group_length(element)
            stated_end = None if length is None else position + length
    file.seek(position)


def _skip_strays(
    file: HeaderFile, header: Header, position: int, groups: tuple[int, ...] = (0x0000, FILE_META_GROUP)
) -> int:
    """Return where the elements end that belong into no data set: commands, or file meta information once more."""
    parser = Parser(file, Encoding(is_implicit=False, is_little_endian=True), header.budget)
    while (stray := parser.stray_head(position)) and stray.tag >> 16 in groups and any(file.rest(position, 8)):
        parser.element(stray, None, 0)
        position = file.tell()
    return position


def _group_length(element: DataElement) -> int | None:
    value = element.value
    return _GROUP_LENGTH.unpack(value)[0] if isinstance(value, bytes) and len(value) == _GROUP_LENGTH.size else None


def _check_meta_is_whole(file: RangeFile, header: Header) -> None:
    """Raise TruncatedInstance if the object ends before its group 0002 does, as the rest of it is not deflated data.

    Elsewhere its stated length is of no interest: many files state a wrong one.
    """
    element = header.meta.get(_FILE_META_GROUP_LENGTH)
    length = _group_length(element) if element else None
    if length is not None and file.size - length < _start_of_meta_after_length(file):
        raise TruncatedInstance(f"Cut short: the object ends at byte {file.size}, inside its file meta information")


def _start_of_meta_after_length(file: RangeFile) -> int:
    return start_of_data_set(file) + ELEMENT_HEADER + _GROUP_LENGTH.size


class _DataSetReader:
    """Reads the top-level elements of a data set into a header."""

    def __init__(self, file: HeaderFile, header: Header, stated: Encoding, start: int) -> None:
        file.seek(start)
        self._file = file
        self._header = header
        self._parser = Parser(file, found_encoding(file, stated), header.budget)
        self._position = start
        self._last = 0

    def read(self) -> Head | None:
        """Read up to the pixels, and return their head; or up to the end, and return None."""
        while head := self._next():
            if head.tag in PIXELS:
                encoding = self._parser.encoding
                self._header.elements[head.tag] = DataElement(
                    head.tag, head.vr, None, head.length, encoding.is_implicit, encoding.is_little_endian
                )
                return head
            self._add(head)
        return None

    def read_tail(self, pixels: Head | None, size: int) -> None:
        """Read the elements after native pixels; what is not an element is surplus pixels or padding, and ends them."""
        while pixels and pixels.length != UNDEFINED_LENGTH:
            self._position = pixels.start + pixels.length
            self._last = max(PIXELS)
            pixels = self._read_after_pixels(size)

    def _read_after_pixels(self, size: int) -> Head | None:
        encoding = self._parser.encoding
        while self._position < size:
            data = self._file.rest(self._position, ELEMENT_HEADER + 4)
            if not follows_pixels(data, encoding, size - self._position, self._last):
                return None
            head = self._parser.head(self._position, None, self._last)
            if head is None:
                return None
            if head.tag in PIXELS:
                return head
            self._add(head)
        return None

    def _add(self, head: Head) -> None:
        budget, elements = self._header.budget, self._header.elements
        budget.begin(head.start)
        elements[head.tag] = self._parser.element(head, None, self._last)
        budget.end(partial(_leave_out, elements, head.tag))
        self._position, self._last = self._file.tell(), head.tag

    def _next(self) -> Head | None:
        """Return the head of the next element that belongs into the data set, None at the end."""
        while True:
            head = self._parser.head(self._position, None, self._last)
            if head is None:
                return None
            if head.tag in _DELIMITERS:
                # Some writers end the data set as if it were an item (fo-dicom#1958).
                self._position = head.start
            elif not is_outside_data_sets(head.tag):
                return head
            elif self._is_padding():
                return None
            else:
                self._skip_stray()

    def _is_padding(self) -> bool:
        """Return whether only zeros follow; skip zeros that are followed by something else."""
        rest = self._file.rest(self._position, _LONGEST_PADDING)
        zeros = len(rest) - len(rest.lstrip(b"\0"))
        if zeros == len(rest):
            return True
        self._position += zeros - zeros % ELEMENT_HEADER
        return False

    def _skip_stray(self) -> None:
        stray = self._parser.stray_head(self._position)
        if stray:
            self._parser.element(stray, None, 0)
            self._position = self._file.tell()


def _leave_out(elements: Elements, tag: int) -> None:
    elements[tag] = replace(elements[tag], value=None)


def check_uids(uids: InstanceUids, last: int) -> None:
    """Raise an InstanceError if a header lacks one of its UIDs. By its last tag, it may have been cut short."""
    for tag, uid in zip(UIDS, uids, strict=True):
        if uid is None:
            if last < tag:
                raise TruncatedInstance(
                    f"Missing {display(tag)}: the header ends before it, so that the object is cut short, or is not an instance",
                    uids,
                )
            raise MissingUid(f"Missing {display(tag)}", uids)


def _uid(elements: Elements, tag: int) -> str | None:
    element = elements.get(tag)
    return uid_of(element.value) if element and isinstance(element.value, bytes) else None

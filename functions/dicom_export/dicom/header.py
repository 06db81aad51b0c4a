"""The header of a stored object: every data element but the pixels.

pydicom does the parsing. It is lenient where an export must not be: it takes a value or a sequence that is cut short
for a whole one. So each value's length is compared with what was read, and where the parse ended with the object's size.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from pydicom.charset import default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag

from dicom_export.dicom.character_sets import encodings_named
from dicom_export.dicom.encoding import Encoding, encoding_of, found_encoding
from dicom_export.dicom.ranges import MAX_ELEMENTS, HeaderFile, InflatedFile, RangeFile
from dicom_export.dicom.recognition import start_of_data_set
from dicom_export.dicom.text import split
from dicom_export.dictionary import display
from dicom_export.errors import DicomExportError, InstanceError, LimitExceeded, TruncatedInstance
from dicom_export.names import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_export.ports import DicomStore, StoredObject

MAX_VALUE = 1024 * 1024

UNDEFINED_LENGTH = 0xFFFFFFFF

UIDS = (0x0020000D, 0x0020000E, 0x00080018)
"""The tags of an instance's UIDs, in the order of `InstanceUids`."""

Element = RawDataElement | DataElement
"""Raw as it is in the file; or, for a sequence of undefined length, with its items parsed."""

_SPECIFIC_CHARACTER_SET = 0x00080005
_FILE_META_GROUP_LENGTH = 0x00020000
_MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002
_TRANSFER_SYNTAX_UID = 0x00020010

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_DEFLATED = "1.2.840.10008.1.2.1.99"

_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_PIXEL_DATA = 0x7FE00010
_LONGEST_PADDING = 64 * 1024
_ELEMENT_HEADER = 8
_GROUP_LENGTH = struct.Struct("<L")

# How pydicom says that there is nothing more to read: of items, of a value of undefined length, of a header's length.
_ENDED = (OSError, EOFError, struct.error)


@dataclass(frozen=True, slots=True)
class Header:
    """All elements of an object by tag: `meta` those of group 0002, `elements` those of the data set.

    `sizes` has the encoded bytes of values of undefined length. A value of more than 1 MiB, and pixels, were not read:
    the raw element's value is None. `is_directory` says that it is a DICOMDIR, whose data set was not read.
    """

    meta: dict[int, Element] = field(default_factory=dict)
    elements: dict[int, Element] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    is_directory: bool = False

    @property
    def encodings(self) -> list[str]:
        """The Python names of the data set's Specific Character Set."""
        return encodings_of(self.elements)

    @property
    def uids(self) -> InstanceUids:
        """The UIDs of the instance, as far as they are there."""
        return InstanceUids(*(_uid(self.elements, tag) for tag in UIDS))

    @property
    def value_bytes(self) -> int:
        """The encoded bytes of all values that were read."""
        raw = (element for element in self.elements.values() if isinstance(element, RawDataElement))
        return sum(self.sizes.values()) + sum(len(element.value) for element in raw if element.value)


def read_header(store: DicomStore, stored: StoredObject) -> Header:
    """Read an object's header.

    Raises NotDicom, TruncatedInstance, LimitExceeded, or InstanceError for what cannot be parsed or is no instance
    because it lacks one of its three UIDs, all with the UIDs as far as they were read.
    """
    return header_of(RangeFile(store, stored))


def header_of(file: RangeFile) -> Header:
    """Read the header of an opened object, as `read_header` does."""
    header = Header()
    try:
        file.seek(start_of_data_set(file))
        header = _read(file, header)
        if not header.is_directory:
            check_uids(header.uids, max(header.elements, default=0))
    except InstanceError as error:
        if error.uids is None:
            error.uids = header.uids
        raise
    return header


def encodings_of(elements: dict[int, Element], inherited: list[str] | None = None) -> list[str]:
    """Return the Python names of the Specific Character Set among the elements, else the inherited ones (PS3.5 §7.5.3)."""
    element = elements.get(_SPECIFIC_CHARACTER_SET)
    if element is None:
        return inherited or [default_encoding]
    return encodings_named(split("CS", cast("bytes | None", element.value) or b""))


def _read(file: RangeFile, header: Header) -> Header:
    _read_meta(file, header)
    if _uid(header.meta, _MEDIA_STORAGE_SOP_CLASS_UID) == _MEDIA_STORAGE_DIRECTORY:
        return Header(header.meta, is_directory=True)
    start = file.tell()
    syntax = _uid(header.meta, _TRANSFER_SYNTAX_UID)
    if syntax == _DEFLATED:
        _check_meta_is_whole(file, header)
        inflated = InflatedFile(file)
        encoding = found_encoding(inflated, Encoding(is_implicit=False, is_little_endian=True))
        if not _read_data_set(inflated, header, encoding, 0) and not inflated.is_whole:
            raise TruncatedInstance(f"The object ends at byte {file.size}, before its deflated data set does")
        return header
    encoding = found_encoding(file, encoding_of(file, syntax))
    _read_data_set_and_tail(file, header, encoding, start)
    return header


def _read_meta(file: RangeFile, header: Header) -> None:
    """Read group 0002, explicit VR little endian by PS3.10 §7.1; leave the file at the first element behind it."""
    start = file.tell()
    if file.rest(start, 2) != b"\x02\x00":
        return
    encoding = found_encoding(file, Encoding(is_implicit=False, is_little_endian=True))
    end = start
    for element in _elements(file, encoding, lambda tag, _vr, _length: tag >> 16 != 2):  # noqa: PLR2004 - the group itself
        end = _complete(file, element)
        header.meta[int(element.tag)] = element
    file.seek(end)


def _check_meta_is_whole(file: RangeFile, header: Header) -> None:
    """Raise TruncatedInstance if the object ends before its group 0002 does, as what is left of that is no deflated data.

    Elsewhere its stated length is of no interest: many files state a wrong one.
    """
    length = header.meta.get(_FILE_META_GROUP_LENGTH)
    if not isinstance(length, RawDataElement) or len(length.value or b"") != _GROUP_LENGTH.size:
        return
    if length.value_tell + _GROUP_LENGTH.size + _GROUP_LENGTH.unpack(length.value or b"")[0] > file.size:
        raise TruncatedInstance(f"The object ends at byte {file.size}, inside its file meta information")


def _read_data_set_and_tail(file: RangeFile, header: Header, encoding: Encoding, start: int) -> None:
    """Read the elements before the pixels, and those behind when these are native and end before the object does."""
    pixels = _read_data_set(file, header, encoding, start)
    while pixels is not None and pixels.length != UNDEFINED_LENGTH:
        end = pixels.value_tell + pixels.length
        if end >= file.size or not _has_tail(file, encoding, end):
            return
        file.seek(end)
        pixels = _read_data_set(file, header, encoding, end)


def _has_tail(file: RangeFile, encoding: Encoding, end: int) -> bool:
    """Say whether elements follow the pixels: not mere padding, and nothing that would stand before them."""
    tail = file.rest(end, _ELEMENT_HEADER)
    if not any(tail):
        return False
    if len(tail) < _ELEMENT_HEADER:
        raise TruncatedInstance(f"The object ends at byte {file.size}, inside an element behind its pixel data")
    group, element = struct.unpack_from(f"{encoding.order}HH", tail)
    return bool(group << 16 | element > _PIXEL_DATA) or group << 16 | element in _PIXELS


def _read_data_set(file: HeaderFile, header: Header, encoding: Encoding, start: int) -> RawDataElement | None:
    """Read top-level elements up to the pixels, and return these, unread; or up to the end, and return None."""
    pixels: list[RawDataElement] = []

    def stops(tag: int, vr: str | None, length: int) -> bool:
        if tag in _PIXELS:
            pixels.append(
                RawDataElement(
                    BaseTag(tag), vr, length, None, file.tell(), encoding.is_implicit, encoding.is_little_endian
                )
            )
        return tag in _PIXELS or tag == 0

    end = start
    nested = 0
    for element in _elements(file, encoding, stops):
        end = _complete(file, element)
        nested += _count(element)
        if nested > MAX_ELEMENTS:
            raise LimitExceeded(f"The header has more than {MAX_ELEMENTS:,} elements")
        tag = int(element.tag)  # pydicom's own tags compare slowly
        header.elements[tag] = element
        if not isinstance(element, RawDataElement) or element.length == UNDEFINED_LENGTH:
            header.sizes[tag] = end - _value_start(element)
    if not pixels:
        _check_end(file, end)
        return None
    header.elements[int(pixels[0].tag)] = pixels[0]
    return pixels[0]


def _elements(
    file: HeaderFile, encoding: Encoding, stops: Callable[[BaseTag, str | None, int], bool]
) -> Iterator[Element]:
    """Yield the elements that pydicom finds; whatever it raises becomes an error of ours."""
    generator = data_element_generator(
        cast("BinaryIO", file), encoding.is_implicit, encoding.is_little_endian, stops, MAX_VALUE
    )
    here = file.tell()
    try:
        for element in generator:
            yield element
            here = file.tell()
    except DicomExportError:
        raise
    except Exception as error:  # what a parser raises on damaged bytes has no end, and none of it may stop a worker
        if file.error is not None:
            raise file.error from error
        if is_too_deep(error):
            raise LimitExceeded(f"Sequences are nested too deeply in the element at byte {here}") from None
        if isinstance(error, _ENDED):
            raise TruncatedInstance(f"The object ends inside the element at byte {here}") from error
        raise InstanceError(f"The element at byte {here} cannot be parsed: {type(error).__name__}") from error


def is_too_deep(error: BaseException | None) -> bool:
    """Say whether it all began with a RecursionError, which pydicom makes others of, by where it happens to strike."""
    while error is not None:
        if isinstance(error, RecursionError):
            return True
        error = error.__context__
    return False


def _count(element: Element) -> int:
    """Return how many elements are in the items of an element that are parsed already."""
    if isinstance(element, RawDataElement):
        return 0
    return sum(len(item) + sum(map(_count, item.values())) for item in element.value)


def _value_start(element: Element) -> int:
    if isinstance(element, RawDataElement):
        return element.value_tell
    return element.file_tell or 0


def _complete(file: HeaderFile, element: Element) -> int:
    """Return where the element ends. Raises TruncatedInstance unless all of its value is in the file."""
    end = file.tell()
    is_short = (
        isinstance(element, RawDataElement)
        and element.value is not None
        and len(element.value) != element.length
        and element.length != UNDEFINED_LENGTH
    )
    if is_short or not file.reaches(end):
        raise TruncatedInstance(f"The object ends inside the value of {display(element.tag)}")
    return end


def _check_end(file: HeaderFile, end: int) -> None:
    """Raise TruncatedInstance unless nothing but zeros, enough for an element of their own, follows the last element."""
    rest = file.rest(end, _LONGEST_PADDING)
    if rest and (any(rest) or len(rest) < _ELEMENT_HEADER):
        raise TruncatedInstance(f"The object's last whole element ends at byte {end}, what follows is none")


def check_uids(uids: InstanceUids, last: int) -> None:
    """Raise an InstanceError for a header, whose last tag is given, if it lacks one of its UIDs: it may have been cut off."""
    for tag, uid in zip(UIDS, uids, strict=True):
        if uid is None:
            if last < tag:
                raise TruncatedInstance(
                    f"The object ends before a {display(tag)}: it is cut short, or no instance of a study", uids
                )
            raise InstanceError(f"The object is no instance of a study: it has no {display(tag)}", uids)


def uid_of(value: bytes | None) -> str | None:
    """Return the UID that a value is without its padding, if it is any."""
    return value.decode("ascii", "replace").strip(" \0") or None if value else None


def _uid(elements: dict[int, Element], tag: int) -> str | None:
    element = elements.get(tag)
    return uid_of(element.value) if isinstance(element, RawDataElement) else None

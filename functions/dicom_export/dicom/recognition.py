"""Recognition of DICOM and of other formats, by content.

Names are used only for files that operating systems leave in folders.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from dicom_export.dicom.dictionary import entry_of, is_group_length, is_private
from dicom_export.dicom.encoding import EXPLICIT_VRS
from dicom_export.dicom.tags import ELEMENT_HEADER, LONG_HEADER, UNDEFINED_LENGTH
from dicom_export.errors import NotDicom

if TYPE_CHECKING:
    from dicom_export.dicom.object_file import RangeFile

_PREAMBLE = 128
_PREFIX = b"DICM"

_FORMATS = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b\x08", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an XZ file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"%PDF-", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x5c\x01\x00\x00", "a NIfTI image"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\0\0\0\x01Bud1", "a .DS_Store of macOS"),
    (b"\0\x05\x16\x07", "an AppleDouble file of macOS"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an OLE file, as Thumbs.db and old Office documents are"),
)
_TAR = (257, b"ustar", "a tar archive")
_LITTER = {
    ".ds_store": "a .DS_Store of macOS",
    "thumbs.db": "a Thumbs.db of Windows",
    "ehthumbs.db": "a Thumbs.db of Windows",
    "desktop.ini": "a desktop.ini of Windows",
}
_LITTER_OF_MACOS = "._"

_TEXT = 4096
_MOST_BYTES_OF_LATIN_1 = 0.1
_CONTROLS = frozenset(range(0x20)) - frozenset(b"\t\n\f\r\x1b") | {0x7F}
_DELIMITERS = ",;\t"

_FIRST_GROUPS = frozenset({0x0002, 0x0008})
_LAST_GROUP_BEFORE_PIXELS = 0x7FE0


class OtherFormat(Exception):
    """The object has a known format other than DICOM: `kind` is its name."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def start_of_data_set(file: RangeFile) -> int:
    """Return the offset of the first data element.

    It is 132 after a preamble and `DICM` (PS3.10 §7.1), else 0. Raises OtherFormat for a known
    other format, NotDicom for unknown content.
    """
    head = file.rest(0, 64 * 1024)
    if head[_PREAMBLE : _PREAMBLE + len(_PREFIX)] == _PREFIX:
        return _PREAMBLE + len(_PREFIX)
    if any(_is_data_set(head, file.size, order) for order in "<>"):
        return 0
    kind = _other_format(head, file.name)
    if kind:
        raise OtherFormat(kind)
    if not file.size:
        raise NotDicom("Not DICOM: the object is empty")
    raise NotDicom("Not DICOM: unknown content, with neither the prefix DICM at byte 128 nor a data element at byte 0")


def _is_data_set(head: bytes, size: int, order: str) -> bool:
    """Say whether the bytes can be a data set without a preamble.

    That is so for two elements one after another, or for exactly one.
    """
    short = Struct(f"{order}HH")
    if len(head) < ELEMENT_HEADER:
        return False
    group, element = short.unpack_from(head)
    end = _end_of_first(head, order)
    if group not in _FIRST_GROUPS or end is None or end > size:
        return False
    if end + ELEMENT_HEADER > len(head):  # the object ends here, or the first value is long
        return True
    next_group, next_element = short.unpack_from(head, end)
    tag, next_tag = group << 16 | element, next_group << 16 | next_element
    return tag < next_tag and next_group <= _LAST_GROUP_BEFORE_PIXELS and _is_known(tag) and _is_known(next_tag)


def _end_of_first(head: bytes, order: str) -> int | None:
    """Return where the first element ends, or None if the bytes are not an element.

    Explicit VR is tried first, then implicit VR.
    """
    is_long = EXPLICIT_VRS.get(head[4:6])
    if is_long is None:
        length: int = Struct(f"{order}L").unpack_from(head, 4)[0]
        return None if length == UNDEFINED_LENGTH or order == ">" else ELEMENT_HEADER + length
    if not is_long:
        return ELEMENT_HEADER + int(Struct(f"{order}H").unpack_from(head, 6)[0])
    if len(head) < LONG_HEADER:
        return None
    return LONG_HEADER + int(Struct(f"{order}L").unpack_from(head, ELEMENT_HEADER)[0])


def _is_known(tag: int) -> bool:
    return entry_of(tag) is not None or is_private(tag) or is_group_length(tag)


def _other_format(head: bytes, name: str) -> str | None:
    """Return the name of the object's other format, or None if it is unknown."""
    file_name = name.rpartition("/")[2]
    litter = _LITTER.get(file_name.lower())
    if litter or file_name.startswith(_LITTER_OF_MACOS):
        return litter or "an AppleDouble file of macOS"
    for magic, kind in _FORMATS:
        if head.startswith(magic):
            return kind
    start, magic, kind = _TAR
    if head.startswith(magic, start):
        return kind
    text = _text(head[:_TEXT])
    return _format_of_text(text) if text and text.strip() else None


def _text(data: bytes) -> str | None:
    """Return the bytes as text, or None if they are not text.

    A few bytes of Latin-1 among ASCII are text.
    """
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            text = data[len(mark) : len(data) - len(data) % 2].decode(encoding, "replace")
            return None if _has_controls(text.encode("latin-1", "ignore")) else text
    if _has_controls(data):
        return None
    try:
        return data[:-4].decode("utf-8-sig") if len(data) == _TEXT else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        is_latin_1 = sum(byte > 0x7F for byte in data) <= _MOST_BYTES_OF_LATIN_1 * len(data)  # noqa: PLR2004 - ASCII's last
        return data.decode("latin-1") if is_latin_1 else None


def _has_controls(data: bytes) -> bool:
    return not _CONTROLS.isdisjoint(data)


def _format_of_text(text: str) -> str:
    start = text.lstrip()
    if start.startswith("<"):
        return "HTML or XML"
    if start[0] in "{[":
        return "JSON"
    lines = start.splitlines()[:2]
    is_csv = len(lines) > 1 and any(lines[0].count(each) == lines[1].count(each) > 0 for each in _DELIMITERS)
    return "CSV" if is_csv else "text"

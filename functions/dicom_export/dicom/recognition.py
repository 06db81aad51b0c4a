"""What is DICOM, by content and never by name."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

from dicom_export.dictionary import entry_of, is_group_length, is_private
from dicom_export.errors import NotDicom

if TYPE_CHECKING:
    from dicom_export.dicom.ranges import RangeFile

_PREAMBLE = 128
_PREFIX = b"DICM"

_FORMATS = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x5c\x01\x00\x00", "a NIfTI image"),
)

_VRS = {str(vr).encode(): vr in EXPLICIT_VR_LENGTH_32 for vr in STANDARD_VR}
_FIRST_GROUPS = frozenset({0x0002, 0x0008})
_UNDEFINED = 0xFFFFFFFF
_HEADER = 8
_LONG_HEADER = 12
_LAST_GROUP_BEFORE_PIXELS = 0x7FE0


def start_of_data_set(file: RangeFile) -> int:
    """Return the offset of the first data element: 132 behind a preamble and `DICM` (PS3.10 §7.1), or 0 without.

    Raises NotDicom, saying what else it looks like, for anything that is neither.
    """
    if not file.size:
        raise NotDicom("The object is empty")
    head = file.rest(0, 64 * 1024)
    if head[_PREAMBLE : _PREAMBLE + len(_PREFIX)] == _PREFIX:
        return _PREAMBLE + len(_PREFIX)
    if any(_is_data_set(head, file.size, order) for order in "<>"):
        return 0
    raise NotDicom(f"Not DICOM: {_description(head)}, neither the prefix DICM at byte 128 nor a data element at byte 0")


def _is_data_set(head: bytes, size: int, order: str) -> bool:
    """Say whether the bytes can be a data set without a preamble: two elements one after the other, or one and no more."""
    short = Struct(f"{order}HH")
    if len(head) < _HEADER:
        return False
    group, element = short.unpack_from(head)
    end = _end_of_first(head, order)
    if group not in _FIRST_GROUPS or end is None or end > size:
        return False
    if end + _HEADER > len(head):  # the object ends here, or the first value is long
        return True
    next_group, next_element = short.unpack_from(head, end)
    tag, next_tag = group << 16 | element, next_group << 16 | next_element
    return tag < next_tag and next_group <= _LAST_GROUP_BEFORE_PIXELS and _is_known(tag) and _is_known(next_tag)


def _end_of_first(head: bytes, order: str) -> int | None:
    """Return where the first element ends, or None if it can be none; explicit VR first, then implicit."""
    is_long = _VRS.get(head[4:6])
    if is_long is None:
        length: int = Struct(f"{order}L").unpack_from(head, 4)[0]
        return None if length == _UNDEFINED or order == ">" else _HEADER + length
    if not is_long:
        return _HEADER + int(Struct(f"{order}H").unpack_from(head, 6)[0])
    if len(head) < _LONG_HEADER:
        return None
    return _LONG_HEADER + int(Struct(f"{order}L").unpack_from(head, _HEADER)[0])


def _is_known(tag: int) -> bool:
    return entry_of(tag) is not None or is_private(tag) or is_group_length(tag)


def _description(head: bytes) -> str:
    for magic, name in _FORMATS:
        if head.startswith(magic):
            return name
    start = head[:512].lstrip()
    if start[:1] == b"<":
        return "HTML or XML"
    if start[:1] in (b"{", b"["):
        return "JSON"
    if _is_text(head[:512]):
        return "text"
    return "unknown content"


def _is_text(data: bytes) -> bool:
    return all(byte >= ord(" ") or byte in b"\t\r\n\f" for byte in data)

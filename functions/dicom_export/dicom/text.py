"""The text of a value, decoded, split and stripped (PS3.5 §6.1, §6.2).

It is the same as pydicom's, except for padding in dates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.charset import default_encoding

from dicom_export.dicom.character_sets import decoded
from dicom_export.uids import PADDING as PADDING_OF_UIDS

if TYPE_CHECKING:
    from collections.abc import Sequence

_SINGLE = frozenset({"LT", "ST", "UR", "UT"})
_PADDED_AT_BOTH_ENDS = frozenset({"AE", "AS", "DA", "DS", "DT", "IS", "TM"})
_PADDED_EACH = frozenset({"LO", "SH", "UC"})

# The Specific Character Set governs the text of these VRs; other VRs use the default repertoire (PS3.5 §6.1.2.2).
# Each VR has the delimiters that reset the character set after an escape sequence (PS3.5 §6.1.2.5.3).
_CONTROLS = frozenset("\t\n\f\r")
_GOVERNED = {
    **dict.fromkeys(("LT", "ST", "UT"), _CONTROLS),
    **dict.fromkeys(("LO", "SH", "UC"), _CONTROLS | {"\\"}),
    "PN": _CONTROLS | {"\\", "^", "="},
}

TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR", *_GOVERNED})


def split(vr: str, value: bytes, encodings: Sequence[str] = (default_encoding,)) -> list[str]:
    """Return the values of a text, without padding.

    Backslashes separate values. A text without one is one value, even if it is empty.
    """
    text = _decoded(vr, value, encodings)
    if vr in _SINGLE:
        return [_stripped(vr, text)]
    if vr in _PADDED_AT_BOTH_ENDS:
        return [part.strip(" \0") for part in text.split("\\")]
    if vr == "UI":
        return [part.strip(PADDING_OF_UIDS) for part in text.split("\\")]
    if vr in _PADDED_EACH:
        return [part.rstrip("\0 ") for part in text.split("\\")]
    return text.rstrip("\0 ").split("\\")


def text_of(vr: str, value: bytes, encodings: Sequence[str] = (default_encoding,)) -> str:
    """Return the whole text of a value, with its backslashes, without the padding around it."""
    return _stripped(vr, _decoded(vr, value, encodings))


def _decoded(vr: str, value: bytes, encodings: Sequence[str]) -> str:
    delimiters = _GOVERNED.get(vr)
    return value.decode(default_encoding) if delimiters is None else decoded(value, encodings, delimiters)


def _stripped(vr: str, text: str) -> str:
    if vr == "UI":
        return text.strip(PADDING_OF_UIDS)
    if vr in _PADDED_AT_BOTH_ENDS:
        return text.strip(" \0")
    return text.rstrip() if vr == "UR" else text.rstrip("\0 ")

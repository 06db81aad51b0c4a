"""The text of a value, decoded, split and stripped as pydicom does it (PS3.5 §6.1, §6.2), but for ISO 2022 IR 58."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.charset import decode_bytes, default_encoding, python_encoding
from pydicom.valuerep import TEXT_VR_DELIMS

if TYPE_CHECKING:
    from collections.abc import Sequence

# Whose text the Specific Character Set governs; that of the others is in the default repertoire (PS3.5 §6.1.2.2).
_GOVERNED = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_SINGLE = frozenset({"LT", "ST", "UR", "UT"})
_PADDED_AT_BOTH_ENDS = frozenset({"AE", "DS", "IS", "UI"})
_PADDED_EACH = frozenset({"LO", "SH", "UC"})

TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}) | _GOVERNED

_ESCAPE = b"\x1b"
_TO_GB_2312 = "\x1b$)A"
_STANDARD_ENCODINGS = frozenset(python_encoding.values())


def split(vr: str, value: bytes, encodings: Sequence[str] = (default_encoding,)) -> list[str]:
    """Return the values in a text, without their padding: one, however empty, or as many as backslashes separate."""
    text = _decoded(value, encodings) if vr in _GOVERNED else value.decode(default_encoding)
    if vr in _SINGLE:
        return [text.rstrip() if vr == "UR" else text.rstrip("\0 ")]
    if vr in _PADDED_AT_BOTH_ENDS:
        return [part.strip(" \0") for part in text.split("\\")]
    if vr in _PADDED_EACH:
        return [part.rstrip("\0 ") for part in text.split("\\")]
    return text.rstrip("\0 ").split("\\")


def _decoded(value: bytes, encodings: Sequence[str]) -> str:
    if encodings[0] not in _STANDARD_ENCODINGS:
        # pydicom takes any codec of Python's for a character set; a few of them make text that no UTF-8 can hold.
        return decode_bytes(value, encodings, TEXT_VR_DELIMS).encode(errors="replace").decode()
    if _ESCAPE not in value and value.isascii():
        return value.decode("ascii")
    # pydicom leaves it to Python's codec to take this escape sequence out, and that of GB 2312 does not.
    return decode_bytes(value, encodings, TEXT_VR_DELIMS).replace(_TO_GB_2312, "")

"""Specific Character Set: codecs of its terms (PS3.3 §C.12.1.1.2), and decoding (PS3.5 §6.1.2.5).

The tables are pydicom's. Its decoder is not used: it does not reset a character set at the
delimiters of values and names, and it leaves the escape sequence of ISO 2022 IR 58 in the text.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from encodings.aliases import aliases
from functools import lru_cache
from typing import TYPE_CHECKING

from pydicom.charset import (
    CODES_TO_ENCODINGS,
    STAND_ALONE_ENCODINGS,
    default_encoding,
    handled_encodings,
    python_encoding,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_LATIN_9 = "iso8859_15"
# pydicom understands these misspellings too.
_MISSPELLED = ((re.compile(r"ISO[^_]IR"), "ISO_IR"), (re.compile(r"ISO.2022.IR."), "ISO 2022 IR "))
_TERMS = python_encoding | {"ISO_IR 203": _LATIN_9, "ISO 2022 IR 203": _LATIN_9}
_NOT_OF_TEXT = frozenset(
    {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "mbcs"}
)
_PYTHON_CODECS = frozenset(
    name for alias, codec in aliases.items() if codec not in _NOT_OF_TEXT for name in (alias, codec)
)

_CODECS = CODES_TO_ENCODINGS | {b"\x1b-b": _LATIN_9}
_STANDARD_CODECS = frozenset(python_encoding.values()) | {_LATIN_9}

_ASCII = bytes(range(0x20, 0x7F))
ESCAPE = b"\x1b"
_FRAGMENT = re.compile(rb"\x1b[^\x1b]*|[^\x1b]+")
_ESCAPE_SEQUENCE = re.compile(rb"\x1b(?:\$[()].|..)", re.DOTALL)
_TO_GB_2312 = "\x1b$)A"


def encodings_named(terms: Sequence[str]) -> list[str]:
    """Return the Python codec names of a Specific Character Set: the first, then each other once.

    An unknown term stands for the default repertoire. If the first character set has no code
    extensions, the others are ignored.
    """
    if terms and terms[0] in STAND_ALONE_ENCODINGS:
        return [_encoding_named(terms[0])]
    first, *others = [_encoding_named(term) for term in terms if term not in STAND_ALONE_ENCODINGS] or [
        default_encoding
    ]
    return [first, *dict.fromkeys(others)]


def _encoding_named(term: str) -> str:
    if term in _TERMS:
        return _TERMS[term]
    for misspelled, right in _MISSPELLED:
        start = misspelled.match(term)
        if start:
            return _TERMS.get(right + term[start.end() :], default_encoding)
    # Some writers give the name of a codec, such as `UTF-8`.
    is_codec = term.lower().replace("-", "_").replace(" ", "_") in _PYTHON_CODECS
    return term if is_codec and _agrees_with_ascii(term) else default_encoding


@lru_cache(maxsize=512)
def _agrees_with_ascii(codec: str) -> bool:
    """Say whether the codec decodes ASCII to the same text, as every character set of DICOM does.

    UTF-16 does not.
    """
    try:
        return _ASCII.decode(codec) == _ASCII.decode("ascii")
    except (UnicodeError, LookupError):
        return False


def decoded(value: bytes, encodings: Sequence[str], delimiters: frozenset[str]) -> str:
    """Return the text of a value. Up to a delimiter, escape sequences may switch the encoding.

    Bytes that are invalid in their character set are replaced.
    """
    if encodings[0] not in _STANDARD_CODECS:
        # pydicom accepts any Python codec as a character set; a few return text that UTF-8 cannot encode.
        return _switching(value, encodings, delimiters).encode(errors="replace").decode()
    if ESCAPE in value:
        return _switching(value, encodings, delimiters)
    return value.decode("ascii") if value.isascii() else _decoded_by(encodings[0], value)


def _switching(value: bytes, encodings: Sequence[str], delimiters: frozenset[str]) -> str:
    text = "".join([_fragment(fragment, encodings, delimiters) for fragment in _FRAGMENT.findall(value)])
    # pydicom leaves the escape sequence to some codecs. That of GB 2312 does not remove it.
    return text.replace(_TO_GB_2312, "")


def _fragment(fragment: bytes, encodings: Sequence[str], delimiters: frozenset[str]) -> str:
    """Return the text of a value up to the next escape sequence.

    An escape sequence of a character set that was not announced remains in the text.
    """
    sequence = _ESCAPE_SEQUENCE.match(fragment)
    encoding = _CODECS.get(sequence[0]) if sequence else None
    if sequence is None or encoding is None or encoding not in (*encodings, default_encoding):
        return _decoded_by(encodings[0], fragment)
    end = _end_of_switch(fragment, encoding, delimiters)
    start = 0 if encoding in handled_encodings else sequence.end()
    try:
        switched = fragment[start:end].decode(encoding)
    except UnicodeError:
        switched = _decoded_by(encodings[0], fragment[:end])
    return switched + _decoded_by(encodings[0], fragment[end:])


def _end_of_switch(fragment: bytes, encoding: str, delimiters: frozenset[str]) -> int:
    """Return the position of the first delimiter.

    A byte of a longer character can look like a delimiter.
    """
    if not any(delimiter in fragment for delimiter in map(str.encode, delimiters)):
        return len(fragment)
    decoder = getincrementaldecoder(encoding)("replace")
    for position in range(len(fragment)):
        if not delimiters.isdisjoint(decoder.decode(fragment[position : position + 1])):
            return position
    return len(fragment)


def _decoded_by(encoding: str, value: bytes) -> str:
    """Return the text, with invalid bytes replaced.

    It is read as Latin-1 if the codec is not for text, or cannot replace.
    """
    for errors in ("strict", "replace"):
        try:
            return value.decode(encoding, errors)
        except (UnicodeError, LookupError):
            continue
    return value.decode(default_encoding)

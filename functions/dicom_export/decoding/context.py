"""Describe everything that the value of an element depends on besides its own bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pydicom.charset import default_encoding

from dicom_export.decoding.reference.flattened import offset_in
from dicom_export.dicom.character_sets import encodings_named
from dicom_export.dicom.tags import PIXEL_REPRESENTATION, SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET_FROM_UTC
from dicom_export.dicom.text import split

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timezone

    from dicom_export.rows.layout import SchemaKind


_LONGEST_REMEMBERED = 256


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """The context of the elements of one level: equal bytes in one context always have the same value."""

    kind: SchemaKind
    encodings: tuple[str, ...]
    offset: timezone
    is_signed: bool
    depth: int


def top_context(kind: SchemaKind, kept: Mapping[int, bytes]) -> Context:
    """Return the context of a data set with these kept values."""
    character_set = kept.get(SPECIFIC_CHARACTER_SET)
    encodings = (default_encoding,) if character_set is None else _encodings(character_set)
    offset = offset_in(kept.get(TIMEZONE_OFFSET_FROM_UTC))
    return _context(kind, encodings, offset, any(kept.get(PIXEL_REPRESENTATION, b"")[:2]), 0)


def meta_context(top: Context) -> Context:
    """Return the context of the file meta information, whose text is in the default repertoire."""
    return _context(top.kind, (default_encoding,), top.offset, is_signed=False, depth=0)


def item_context(parent: Context, kept: Mapping[int, bytes]) -> Context:
    """Return the context of an item with these kept values. The item inherits the others from its parent."""
    if not kept:
        return _below(parent)
    character_set = kept.get(SPECIFIC_CHARACTER_SET)
    encodings = parent.encodings if character_set is None else _encodings(character_set)
    representation = kept.get(PIXEL_REPRESENTATION)
    is_signed = any(representation[:2]) if representation else parent.is_signed
    return _context(parent.kind, encodings, parent.offset, is_signed, parent.depth + 1)


@lru_cache(maxsize=1024)
def _below(parent: Context) -> Context:
    return _context(parent.kind, parent.encodings, parent.offset, parent.is_signed, parent.depth + 1)


# Few exist. If one was evicted and is made again, its runs are only converted again.
_context = lru_cache(maxsize=1024)(Context)


def _encodings(character_set: bytes) -> tuple[str, ...]:
    if len(character_set) > _LONGEST_REMEMBERED:
        return tuple(encodings_named(split("CS", character_set)))
    return _known_encodings(character_set)


@lru_cache(maxsize=1024)
def _known_encodings(character_set: bytes) -> tuple[str, ...]:
    return tuple(encodings_named(split("CS", character_set)))

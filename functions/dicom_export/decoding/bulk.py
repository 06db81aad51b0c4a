"""What is left out of a row, and listed in `DroppedTags` where it stood at the top level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.decoding.reference.data_set import is_too_large
from dicom_export.decoding.values import NUMBERS, SIZES, WORD_SIZES
from dicom_export.dicom.text import TEXT_VRS

if TYPE_CHECKING:
    from dicom_export.decoding.reference.parser import DataElement

MAX_NUMBERS = 512
MAX_BINARY = 2 * 1024

_COUNTED = frozenset({"AT", "FD", "FL", "SV", "UL", "US", "UV"})


def is_binary(vr: str) -> bool:
    """Say whether values of the VR are bytes only: no text, no numbers, no items. So is a VR that nobody knows."""
    return vr != "SQ" and vr not in TEXT_VRS and vr not in NUMBERS


def is_left_out(element: DataElement, vr: str) -> bool:
    """Say whether a top-level element is bulk data by its VR and size, in a column or not."""
    return is_too_large(element) or (vr in _COUNTED and element.length > MAX_NUMBERS * SIZES[vr])


def is_bulk(element: DataElement, vr: str) -> bool:
    """Say whether an element that has no column counts as bulk data: all but a few floats, doubles or longs."""
    return vr not in WORD_SIZES or element.length > MAX_BINARY

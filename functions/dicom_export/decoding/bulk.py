"""Decide which elements are left out of a row. Those of the top level are listed in `DroppedTags`."""

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
    """Return whether values of the VR are only bytes: not text, numbers or items. An unknown VR is binary too."""
    return vr != "SQ" and vr not in TEXT_VRS and vr not in NUMBERS


def is_left_out(element: DataElement, vr: str) -> bool:
    """Return whether a top-level element is bulk data by its VR and size, whether it has a column or not."""
    return is_too_large(element) or (vr in _COUNTED and element.length > MAX_NUMBERS * SIZES[vr])


def is_bulk(element: DataElement, vr: str) -> bool:
    """Return whether an element without a column is bulk data: all but a few floats, doubles or longs."""
    return vr not in WORD_SIZES or element.length > MAX_BINARY

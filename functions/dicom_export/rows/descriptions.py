"""Descriptions of columns, one line each.

Those of elements come from the data dictionary, those of other columns from the tables below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.dicom.dictionary import Entry, definition_of, entry_named, is_private, named_tag
from dicom_export.rows.schema import NAME_GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

_OTHER_ELEMENTS = "Private and unknown elements, and values that do not fit their column"
_ADMINISTRATIVE = {
    "OtherElements": _OTHER_ELEMENTS,
    "DroppedTags": "Elements that were left out, such as pixels and other bulk data",
    "Type": "CREATE, or DELETE for the row of a deleted instance",
    "LastUpdated": "When the object was written; for a DELETE row, 1 microsecond after the row of the deleted instance",
    "StorageClass": "The object's storage class",
    "BlobStorageSize": "Size of the object in bytes",
    "SourceDicomStore": "Resource name of the DICOM store that the instance is from",
    "SourceObject": "URI of the object that the row was read from",
    "SourceGeneration": "Version of the object: its generation, or a file's modification time in nanoseconds",
    "Metadata": "The instance in the DICOM JSON Model (PS3.18 Annex F), without bulk data",
    "StructuredStorageSize": "Size of Metadata in bytes",
}
# OtherElements can be in any record, DroppedTags is at the top only.
_INNER = {
    "OtherElements": _OTHER_ELEMENTS,
    "OtherElements.Tag": "The element's tag as Tag_GGGGEEEE",
    "OtherElements.Data": "The element's values as text",
    "DroppedTags.TagName": "The element's keyword, or Tag_GGGGEEEE without one",
    "DroppedTags.TagReference": "Always empty",
}
_NAME_PARTS = {
    "Alphabetic": "Alphabetic representation of the name",
    "Ideographic": "Ideographic representation of the name",
    "Phonetic": "Phonetic representation of the name",
    "FamilyName": "Family name",
    "GivenName": "Given name",
    "MiddleName": "Middle name",
    "NamePrefix": "Name prefix",
    "NameSuffix": "Name suffix",
}


def description(path: Sequence[str]) -> str:
    """Return the description of a column or nested field, or an empty text for an unknown one.

    An example is `Slice Thickness (0018,0050), DS, VM 1`. `path` has the names of the records that
    contain the field, then its own.
    """
    *above, name = path
    parent = above[-1] if above else ""
    if own := _ADMINISTRATIVE.get(name) if not above else _INNER.get(name if name in _INNER else f"{parent}.{name}"):
        return own
    entry = entry_named(name)
    if entry is not None:
        return _of_element(entry)
    if name in _NAME_PARTS:
        return _NAME_PARTS[name] if _is_in_person_name(above) else ""
    return _of_repeating_group(name, parent) or _of_sequence(name)


def _of_element(entry: Entry) -> str:
    element = definition_of(entry)
    text = f"{element.name} {element.tag}, {element.vr}, VM {element.vm}"
    return f"{text}, retired" if element.is_retired else text


def _is_in_person_name(above: Sequence[str]) -> bool:
    """Say whether the innermost record is a PN, or a group of its components.

    In a repeating group, `Value` is between them.
    """
    named = [each for each in above if each not in NAME_GROUPS and each != "Value"]
    entry = entry_named(named[-1]) if named else None
    return entry is not None and entry.vr == "PN"


def _of_repeating_group(name: str, parent: str) -> str:
    entry = entry_named(parent)
    if entry is None or not entry.is_repeating_group:
        return ""
    return {"Id": "Group of the element in hexadecimal digits", "Value": _of_element(entry)}.get(name, "")


def _of_sequence(name: str) -> str:
    tag = named_tag(name)
    if tag is None:
        return ""
    return f"{'Private sequence' if is_private(tag) else 'Sequence'} ({tag >> 16:04X},{tag & 0xFFFF:04X}), SQ"

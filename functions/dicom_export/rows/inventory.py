"""The row of an object in an inventory of a store: which instance it is, and from when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from dicom_export.stored_object import StoredObject


def inventory_row(stored: StoredObject, uids: InstanceUids) -> dict[str, Any]:
    """Return the inventory row of the object."""
    return {
        "Object": stored.name,
        "Generation": stored.generation,
        "StudyInstanceUID": uids.study,
        "SeriesInstanceUID": uids.series,
        "SOPInstanceUID": uids.instance,
        "LastUpdated": stored.updated,
        "BlobStorageSize": stored.size,
    }


def known_row(stored: StoredObject, uri: str) -> dict[str, Any]:
    """Return the inventory row of an object whose UIDs are in a row of the compared table."""
    return {**inventory_row(stored, InstanceUids()), "SourceObject": uri}

"""What a store holds beside what a table says of it: the inventory's columns, and the differences."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dicom_export.schema import Field, FieldType, Schema

if TYPE_CHECKING:
    from datetime import datetime

    from dicom_export.names import InstanceUids
    from dicom_export.ports import StoredObject

INVENTORY: Schema = (
    Field("Object", FieldType.STRING),
    Field("Generation", FieldType.INTEGER),
    Field("StudyInstanceUID", FieldType.STRING),
    Field("SeriesInstanceUID", FieldType.STRING),
    Field("SOPInstanceUID", FieldType.STRING),
    Field("LastUpdated", FieldType.TIMESTAMP),
    Field("BlobStorageSize", FieldType.INTEGER),
)
"""The columns of a table with a row for each instance of a store."""


class DifferenceKind(StrEnum):
    """How an instance of the store and its latest row differ."""

    MISSING = "MISSING"
    """It has no row, or the latest one is that of a deletion."""
    STALE = "STALE"
    """Its row is older than the object, or of another size."""
    ORPHANED = "ORPHANED"
    """The row's instance is in no object."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One instance whose latest row is not what the store holds.

    `object`, `generation` and `updated` are None without an object, `row_updated` without a row. `outranks_object` says whether the
    row's time is not before the object's, so that a row of this object would not be the latest one.
    """

    kind: DifferenceKind
    uids: InstanceUids
    object: str | None = None
    generation: int | None = None
    updated: datetime | None = None
    row_updated: datetime | None = None

    @property
    def outranks_object(self) -> bool:
        return bool(self.updated and self.row_updated and self.row_updated >= self.updated)

    @property
    def is_repairable(self) -> bool:
        """Whether an export of the instance makes its latest row right."""
        return self.kind is not DifferenceKind.ORPHANED and not self.outranks_object


def inventory_row(stored: StoredObject, uids: InstanceUids) -> dict[str, Any]:
    """Return the object's row of the inventory."""
    return {
        "Object": stored.name,
        "Generation": stored.generation,
        "StudyInstanceUID": uids.study,
        "SeriesInstanceUID": uids.series,
        "SOPInstanceUID": uids.instance,
        "LastUpdated": stored.updated,
        "BlobStorageSize": stored.size,
    }

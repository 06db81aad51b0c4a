"""The row of a deletion: which instance is gone, and since when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.stored_object import StoredObject
    from dicom_export.uids import InstanceUids

DELETE = "DELETE"

_BEHIND = timedelta(microseconds=1)


def deletion_row(uids: InstanceUids, stored: StoredObject, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row which says that this generation of an object is gone.

    `LastUpdated` is the time of the generation plus the smallest step of a TIMESTAMP. So the
    deletion is ordered after the rows that it deletes, and before all later writes, even if its
    notification is late or the file was renamed. `source` has the `source_columns` of the
    generation.
    """
    return {
        "StudyInstanceUID": uids.study,
        "SeriesInstanceUID": uids.series,
        "SOPInstanceUID": uids.instance,
        "Type": DELETE,
        "LastUpdated": stored.updated + _BEHIND,
        **source,
    }

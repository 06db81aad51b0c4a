"""Columns that describe the object of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_export.decoding.decoded import Row
    from dicom_export.rows.layout import RowLayout
    from dicom_export.stored_object import StoredObject


def administrative_columns(stored: StoredObject, layout: RowLayout) -> Row:
    """Return the columns of a row that are not data elements of the instance."""
    columns: Row = {
        "Type": "CREATE",
        "LastUpdated": stored.updated,
        "StorageClass": stored.storage_class,
        "BlobStorageSize": stored.size,
    }
    if layout.source_store is not None:
        columns["SourceDicomStore"] = layout.source_store
    return columns

"""Columns that describe the object of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.decoding.decoded import Row
    from dicom_export.rows.layout import RowLayout
    from dicom_export.stored_object import StoredObject


def administrative_columns(stored: StoredObject, layout: RowLayout, uri_of: Callable[[str], str]) -> Row:
    """Return the columns of a row that are not data elements of the instance.

    `uri_of` is the `uri` of the store.
    """
    return {
        "Type": "CREATE",
        "LastUpdated": stored.updated,
        "StorageClass": stored.storage_class,
        "BlobStorageSize": stored.size,
        **source_columns(stored, layout, uri_of),
    }


def source_columns(stored: StoredObject, layout: RowLayout, uri_of: Callable[[str], str]) -> Row:
    """Return the columns of a row that tell which object it is from, as far as the layout has them."""
    columns: Row = {}
    if layout.source_store is not None:
        columns["SourceDicomStore"] = layout.source_store
    if layout.has_source_object:
        columns["SourceObject"] = uri_of(stored.name)
        columns["SourceGeneration"] = stored.generation
    return columns

"""Decode an object with the reference decoder, with notes on the elements that have no column of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.decoding.budget import DEFAULT_LIMITS, Budget, Limits
from dicom_export.decoding.decoded import Explanation, Skipped
from dicom_export.decoding.notes import Notes
from dicom_export.decoding.reference.dicom_json import dicom_json
from dicom_export.decoding.reference.flattened import flatten
from dicom_export.decoding.reference.header import header_of
from dicom_export.dicom.object_file import RangeFile
from dicom_export.dicom.recognition import OtherFormat
from dicom_export.errors import InstanceError
from dicom_export.rows.administrative import administrative_columns
from dicom_export.rows.layout import RowLayout, SchemaKind

if TYPE_CHECKING:
    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject


_DIRECTORY = Skipped("a DICOMDIR")


def explain_instance(
    store: DicomStore, stored: StoredObject, layout: RowLayout, limits: Limits = DEFAULT_LIMITS
) -> Explanation | Skipped:
    """Return the row of an object, as `decode_instance` does, with notes on the elements without a column, and the reasons.

    Only the reference decoder reads the header: the fast decoder is compared with it.
    """
    return explained(RangeFile(store, stored), stored, layout, Notes(are_kept=True), limits)


def explained(
    file: RangeFile, stored: StoredObject, layout: RowLayout, notes: Notes, limits: Limits
) -> Explanation | Skipped:
    """Return the row of an object that is open, with the notes. Raises as `decode_instance` does."""
    with Budget(limits, holds_large=layout.kind is SchemaKind.JSON) as budget:
        try:
            header = header_of(file, budget)
        except OtherFormat as other:
            return Skipped(other.kind)
        if header.is_directory:
            return _DIRECTORY
        try:
            row = flatten(header, notes) if layout.kind is SchemaKind.FLATTENED else dicom_json(header, notes)
        except InstanceError as error:
            error.uids = header.uids
            raise
    row |= administrative_columns(stored, layout, file.uri_of)
    return Explanation(row, header.uids, header.value_bytes, tuple(notes.notes))

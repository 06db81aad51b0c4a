"""An object of a store as a row: element columns and administrative columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.decoding.budget import DEFAULT_LIMITS, Budget, Limits
from dicom_export.decoding.decoded import DecodedInstance, Explanation, Row, Skipped
from dicom_export.decoding.fast.dicom_json import json_of_scanned
from dicom_export.decoding.fast.flattened import flatten_scanned
from dicom_export.decoding.fast.header import scan_header
from dicom_export.decoding.fast.kinds import Unusual
from dicom_export.decoding.notes import Notes
from dicom_export.decoding.reference.dicom_json import dicom_json
from dicom_export.decoding.reference.flattened import flatten
from dicom_export.decoding.reference.header import check_uids, header_of
from dicom_export.dicom.object_file import FIRST_RANGE, RangeFile
from dicom_export.dicom.recognition import OtherFormat
from dicom_export.errors import InstanceError
from dicom_export.rows.inventory import inventory_row
from dicom_export.rows.layout import RowLayout, SchemaKind

if TYPE_CHECKING:
    from dicom_export.decoding.fast.series import SeriesMemory
    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject


_DIRECTORY = Skipped("a DICOMDIR")
_IN_FULL = RowLayout(SchemaKind.FLATTENED)
_ROWS = {SchemaKind.FLATTENED: flatten_scanned, SchemaKind.JSON: json_of_scanned}


def decode_instance(
    store: DicomStore,
    stored: StoredObject,
    layout: RowLayout,
    memory: SeriesMemory | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> DecodedInstance | Skipped:
    """Return the row of an object; faster with the memory of other instances of its series, and never another row.

    Raises NotDicom, TruncatedInstance, LimitExceeded or another InstanceError, with the UIDs as far as known, and what
    reading from the store raises.
    """
    if layout.kind is SchemaKind.INVENTORY:
        return _listed(store, stored, memory, limits)
    file = RangeFile(store, stored, memory.first_range(stored.name) if memory else FIRST_RANGE)
    try:
        header = scan_header(file, memory, limits)
        if memory:
            memory.note_length(stored.name, header.length)
        row = _ROWS[layout.kind](header)
    except (Unusual, InstanceError):  # whatever is wrong, the complete way says what
        explanation = _explain(file, stored, layout, Notes(), limits)
        if isinstance(explanation, Skipped):
            return explanation
        return DecodedInstance(explanation.row, explanation.uids, explanation.header_bytes)
    if None in header.uids:  # only now: what is to be read by pydicom may fail in other ways before
        check_uids(header.uids, header.last)
    row |= _administrative_columns(stored, layout)
    return DecodedInstance(row, header.uids, header.value_bytes)


def _listed(
    store: DicomStore, stored: StoredObject, memory: SeriesMemory | None, limits: Limits
) -> DecodedInstance | Skipped:
    """Return the object's row of an inventory. It is decoded in full: what cannot be exported is not missing in a table."""
    decoded = decode_instance(store, stored, _IN_FULL, memory, limits)
    return decoded if isinstance(decoded, Skipped) else decoded._replace(row=inventory_row(stored, decoded.uids))


def explain_instance(
    store: DicomStore, stored: StoredObject, layout: RowLayout, limits: Limits = DEFAULT_LIMITS
) -> Explanation | Skipped:
    """Return the row of an object, as `decode_instance` does, with notes on what has no column, and why.

    The header is read by pydicom alone: this is what the fast way is compared with.
    """
    return _explain(RangeFile(store, stored), stored, layout, Notes(are_kept=True), limits)


def _explain(
    file: RangeFile, stored: StoredObject, layout: RowLayout, notes: Notes, limits: Limits
) -> Explanation | Skipped:
    with Budget(limits) as budget:
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
    row |= _administrative_columns(stored, layout)
    return Explanation(row, header.uids, header.value_bytes, tuple(notes.notes))


def _administrative_columns(stored: StoredObject, layout: RowLayout) -> Row:
    columns: Row = {
        "Type": "CREATE",
        "LastUpdated": stored.updated,
        "StorageClass": stored.storage_class,
        "BlobStorageSize": stored.size,
    }
    if layout.source_store is not None:
        columns["SourceDicomStore"] = layout.source_store
    return columns

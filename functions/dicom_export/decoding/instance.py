"""Decode an object of a store to a row, with the fast decoder or else with the reference decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.decoding.budget import DEFAULT_LIMITS, Limits
from dicom_export.decoding.decoded import DecodedInstance, Skipped
from dicom_export.decoding.explain import explained
from dicom_export.decoding.fast.dicom_json import json_of_scanned
from dicom_export.decoding.fast.flattened import flatten_scanned
from dicom_export.decoding.fast.header import scan_header
from dicom_export.decoding.fast.kinds import Unusual
from dicom_export.decoding.notes import Notes
from dicom_export.decoding.reference.header import check_uids
from dicom_export.dicom.object_file import RangeFile
from dicom_export.errors import EncodedObject, InstanceError
from dicom_export.rows.administrative import administrative_columns
from dicom_export.rows.inventory import inventory_row
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.stored_object import FIRST_RANGE

if TYPE_CHECKING:
    from dicom_export.decoding.fast.memory import Memory
    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject


_IN_FULL = RowLayout(SchemaKind.FLATTENED)
_ROWS = {SchemaKind.FLATTENED: flatten_scanned, SchemaKind.JSON: json_of_scanned}


def decode_instance(
    store: DicomStore,
    stored: StoredObject,
    layout: RowLayout,
    memory: Memory | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> DecodedInstance | Skipped:
    """Return the row of an object. The memory of other instances of its series makes it faster, and never changes the row.

    Raises EncodedObject before anything is read, NotDicom, TruncatedInstance, LimitExceeded or another InstanceError, with the UIDs as far as known, and what
    reading from the store raises.
    """
    if stored.content_encoding:
        raise EncodedObject(
            f"The object has Content-Encoding {stored.content_encoding!r}; expected none. It was not read, because ranges of"
            " such an object are not ranges of the DICOM file. If it is compressed, upload it again uncompressed; if"
            " it is not, remove the Content-Encoding from its metadata"
        )
    if layout.kind is SchemaKind.INVENTORY:
        return _listed(store, stored, memory, limits)
    file = RangeFile(store, stored, memory.series.first_range(stored.name) if memory else FIRST_RANGE)
    try:
        is_json = layout.kind is SchemaKind.JSON
        header = scan_header(file, memory.series if memory else None, limits, holds_large=is_json)
        if memory:
            memory.series.note_length(stored.name, header.length)
        row = _ROWS[layout.kind](header)
    except (Unusual, InstanceError):  # whatever is wrong, the reference decoder reports it
        explanation = explained(file, stored, layout, Notes(), limits)
        if isinstance(explanation, Skipped):
            return explanation
        return DecodedInstance(explanation.row, explanation.uids, explanation.header_bytes)
    if None in header.uids:  # only now: an object for the reference decoder may fail in other ways first
        check_uids(header.uids, header.last)
    row |= administrative_columns(stored, layout, store.uri)
    return DecodedInstance(row, header.uids, header.value_bytes)


def _listed(
    store: DicomStore, stored: StoredObject, memory: Memory | None, limits: Limits
) -> DecodedInstance | Skipped:
    """Return the object's row of an inventory. It is decoded in full: an object that cannot be exported is not missing in a table."""
    decoded = decode_instance(store, stored, _IN_FULL, memory, limits)
    return decoded if isinstance(decoded, Skipped) else decoded._replace(row=inventory_row(stored, decoded.uids))

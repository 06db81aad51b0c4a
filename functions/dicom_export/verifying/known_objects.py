"""The objects of a listing that have a row in a table already, and their rows in an inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.decoding.decoded import DecodedBatch
from dicom_export.rows.arrow import MAX_BATCH_BYTES, batches
from dicom_export.rows.inventory import known_row
from dicom_export.rows.schema import INVENTORY
from dicom_export.stored_object import ObjectVersion
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_export.decoding.decoded import Select
    from dicom_export.names import TableName
    from dicom_export.ports import Comparisons, DicomStore
    from dicom_export.rows.layout import RowLayout
    from dicom_export.stored_object import StoredObject


def split_known(
    listed: Sequence[StoredObject], uri_of: Callable[[str], str], tables: Comparisons, objects: TableName
) -> tuple[list[StoredObject], list[StoredObject]]:
    """Return the objects that have a row for exactly this version, and the others, in their order.

    `objects` is what `Comparisons.known_objects` takes. Memory holds the versions of the listed
    objects only.
    """
    uris = [uri_of(stored.name) for stored in listed]
    rows = set(tables.known_objects(objects, uris)) if uris else set()
    known: list[StoredObject] = []
    unknown: list[StoredObject] = []
    for stored, uri in zip(listed, uris, strict=True):
        has_row = ObjectVersion(uri, stored.generation, stored.size) in rows
        (known if has_row else unknown).append(stored)
    return known, unknown


def decode_known(
    store: DicomStore,
    objects: Sequence[StoredObject],
    _layout: RowLayout,
    _select: Select | None,
    /,
) -> Iterator[DecodedBatch]:
    """Yield the inventory rows of objects that have a row, without reading them.

    Their UIDs stay unknown: the comparison takes them from the row.
    """
    rows = [known_row(stored, store.uri(stored.name)) for stored in objects]
    yield DecodedBatch([InstanceUids()] * len(rows), INVENTORY, [*batches(rows, INVENTORY, MAX_BATCH_BYTES)], 0)

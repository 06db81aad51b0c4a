"""Collect decoded objects in batches: the result of each object, and the rows of the instances as columns."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from dicom_export.decoding.budget import DEFAULT_COLUMN_LIMITS
from dicom_export.decoding.decoded import DecodedBatch, DecodedInstance, Found, Select, Wide
from dicom_export.rows.arrow import MAX_BATCH_BYTES, Batch, TooLarge, batches
from dicom_export.rows.schema import columns_of, columns_of_all, count_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dicom_export.decoding.decoded import Decoded, Row
    from dicom_export.ports import Decode, DecodeBatches, DicomStore
    from dicom_export.rows.layout import RowLayout, SchemaKind
    from dicom_export.rows.schema import Schema
    from dicom_export.stored_object import StoredObject

BATCH_ROWS = 1_000
BATCH_HEADER_BYTES = 12 << 20
"""Bytes of the values of headers, or of JSON that was made of them if that is more."""


def batches_of(decode: Decode) -> DecodeBatches:
    """Return a function that decodes objects one by one and yields batches."""

    def decode_batches(
        store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, select: Select | None
    ) -> Iterator[DecodedBatch]:
        decoded = decode(store, objects, layout)
        return in_batches(map(select, decoded) if select else decoded, layout.kind)

    return decode_batches


def in_batches(decoded: Iterable[Decoded], kind: SchemaKind) -> Iterator[DecodedBatch]:
    """Yield batches of the decoded objects: at most 1,000 rows, and headers up to the one that exceeds 12 MiB in total."""
    found: list[Found] = []
    rows: list[Row] = []
    header_bytes = 0
    for each in decoded:
        if not isinstance(each, DecodedInstance):
            found.append(each)
            continue
        found.append(each.uids)
        rows.append(each.row)
        header_bytes += size_of(each)
        if len(rows) >= BATCH_ROWS or header_bytes >= BATCH_HEADER_BYTES:
            yield _batch(found, rows, kind, header_bytes)
            found, rows, header_bytes = [], [], 0
    if found:
        yield _batch(found, rows, kind, header_bytes)


def size_of(instance: DecodedInstance) -> int:
    """Return about how many bytes the instance's row has: those of its header's values, or of the JSON if that is more."""
    return max(instance.header_bytes, instance.row.get("StructuredStorageSize") or 0)


def without_excess(decoded: Decoded, kind: SchemaKind) -> Decoded:
    """Return what was decoded, or the error for a row that is too large for any request, so that no process has to send it."""
    if not isinstance(decoded, DecodedInstance) or decoded.header_bytes < BATCH_HEADER_BYTES:
        return decoded
    for part in batches([decoded.row], columns_of(decoded.row, kind), MAX_BATCH_BYTES):
        if isinstance(part, TooLarge):
            return part.error(decoded.uids)
    return decoded


def _batch(found: list[Found], rows: list[Row], kind: SchemaKind, header_bytes: int) -> DecodedBatch:
    schema = columns_of_all(rows, kind)
    most = DEFAULT_COLUMN_LIMITS.instance
    if count_fields(schema) <= most:
        return DecodedBatch(found, schema, [*batches(rows, schema, MAX_BATCH_BYTES)], header_bytes)
    is_wide = [count_fields(columns_of(row, kind)) > most for row in rows]
    schema = columns_of_all([row for row, wide in zip(rows, is_wide, strict=True) if not wide], kind)
    return DecodedBatch(found, schema, [*_apart(rows, is_wide, schema)], header_bytes)


def _apart(rows: list[Row], is_wide: list[bool], schema: Schema) -> Iterator[Batch | TooLarge | Wide]:
    """Yield each wide row alone, and the rows between them in batches."""
    for wide, group in groupby(range(len(rows)), key=is_wide.__getitem__):
        indices = [*group]
        if wide:
            yield from (Wide(index, rows[index]) for index in indices)
            continue
        for part in batches(rows[indices[0] : indices[-1] + 1], schema, MAX_BATCH_BYTES):
            if isinstance(part, Batch):
                yield replace(part, start=indices[0] + part.start)
            else:
                yield replace(part, index=indices[0] + part.index)

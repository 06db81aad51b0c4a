"""Arrow arrays in a table's own types: missing fields become NULL, missing and NULL lists become empty lists.

BigQuery does the same to what is appended to it: an array there is never NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The stubs give every kind of array a class of its own; the functions here take and give them all.
Array = Any
Type = Any


def conform_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatchReader:
    """Return the batches, one at a time, with exactly the schema's columns. Raises InvalidArgument if one has others."""
    return pa.RecordBatchReader.from_batches(schema, _conform_batches(batches, schema))


def conform(array: Array | None, type_: Type, length: int) -> Array:
    """Return the array, or one of `length` missing values, in the given type. Raises InvalidArgument if it has more fields."""
    if isinstance(type_, pa.ListType):
        return _conform_list(array, type_, length)
    if array is None:
        return pa.nulls(length, type_)
    if isinstance(type_, pa.StructType):
        return _conform_struct(array, type_)
    return array if array.type == type_ else array.cast(type_)


def _conform_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        arrays = [conform(columns.pop(field.name, None), field.type, batch.num_rows) for field in schema]
        if columns:
            raise InvalidArgument(f"The table has no column {', '.join(columns)}")
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _conform_list(array: Array, type_: Type, length: int) -> Array:
    if array is None:
        return pa.ListArray.from_arrays(
            pa.repeat(pa.scalar(0, pa.int32()), length + 1), pa.nulls(0, type_.value_type), type=type_
        )
    lengths: Array = pc.list_value_length(array)
    ends: Array = pc.cumulative_sum(pc.fill_null(lengths, 0))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends.cast(pa.int32())])
    items = array.flatten()
    return pa.ListArray.from_arrays(offsets, conform(items, type_.value_type, len(items)), type=type_)


def _conform_struct(array: Array, type_: Type) -> Array:
    children = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
    arrays = [conform(children.pop(field.name, None), field.type, len(array)) for field in type_]
    if children:
        raise InvalidArgument(f"The table has no nested field {', '.join(children)}")
    return pa.StructArray.from_arrays(arrays, fields=list(type_), mask=array.is_null())

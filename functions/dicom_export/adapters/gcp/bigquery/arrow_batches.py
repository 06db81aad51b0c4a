"""Prepare Arrow batches for BigQuery: no list is NULL, and each field is in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The stubs have one class per kind of array; the functions here take and return all kinds.
Array = Any


def without_null_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with an empty list in place of each NULL list.

    Batches of `rows.arrow` have no NULL lists and are returned unchanged.
    """
    if not any(map(_has_null_lists, batch.columns)):
        return batch
    return pa.RecordBatch.from_arrays(list(map(_filled, batch.columns)), names=batch.schema.names)


def fields_besides(fields: Iterable[pa.Field[Any]], known: Iterable[Mapping[str, Any]], path: str = "") -> list[str]:
    """Return the paths of the fields, at any depth, that the table does not have.

    `known` are the table's fields in the form of the REST API.
    """
    by_name = {field["name"].lower(): field for field in known}
    found = []
    for field in fields:
        other = by_name.get(field.name.lower())
        if other is None:
            found.append(path + field.name)
        else:
            found += fields_besides(_nested(field.type), other.get("fields", ()), f"{path}{field.name}.")
    return found


def _nested(type_: Any) -> Iterable[pa.Field[Any]]:  # noqa: ANN401 - as above
    value_type = type_.value_type if isinstance(type_, pa.ListType) else type_
    return value_type if isinstance(value_type, pa.StructType) else ()


def _has_null_lists(array: Array) -> bool:
    if isinstance(array, pa.ListArray):
        return array.null_count > 0 or _has_null_lists(array.values)
    if isinstance(array, pa.StructArray):
        return any(_has_null_lists(array.field(position)) for position in range(array.type.num_fields))
    return False


def _filled(array: Array) -> Array:
    if isinstance(array, pa.ListArray):
        lengths: Array = pc.list_value_length(array)
        ends: Array = pc.cumulative_sum(pc.fill_null(lengths, 0))
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends.cast(pa.int32())])
        return pa.ListArray.from_arrays(offsets, _filled(array.flatten()))
    if isinstance(array, pa.StructArray):
        children = [_filled(array.field(position)) for position in range(array.type.num_fields)]
        names = [field.name for field in array.type]
        return pa.StructArray.from_arrays(children, names=names, mask=array.is_null())
    return array

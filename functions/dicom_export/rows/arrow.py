"""Rows as Arrow record batches, which the Storage Write API and DuckDB take."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dicom_export.errors import LimitExceeded
from dicom_export.rows.layout import MAX_ROW_BYTES
from dicom_export.rows.schema import Field, FieldType, Mode, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dicom_export.uids import InstanceUids

MAX_BATCH_BYTES = MAX_ROW_BYTES

_TYPES: dict[FieldType, pa.DataType] = {
    FieldType.STRING: pa.utf8(),
    FieldType.INTEGER: pa.int64(),
    FieldType.FLOAT: pa.float64(),
    FieldType.DATE: pa.date32(),
    FieldType.TIME: pa.time64("us"),
    FieldType.TIMESTAMP: pa.timestamp("us", "UTC"),
    FieldType.JSON: pa.utf8(),
}

# BigQuery knows the type of the column. DuckDB and readers of the batch see by this mark that it is JSON.
_JSON_METADATA = {"ARROW:extension:name": "google:sqlType:json"}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that fit one request; `start` is the index of the first row."""

    start: int
    records: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A row that fits no request: its index, and the bytes that it needs."""

    index: int
    bytes: int

    def error(self, uids: InstanceUids | None = None) -> LimitExceeded:
        """Return what the instance fails with."""
        return LimitExceeded(f"The row has {self.bytes} bytes; a request to the table takes {MAX_BATCH_BYTES}", uids)


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema: records as structs, REPEATED as lists, times in microseconds."""
    return pa.schema([_arrow_field(field) for field in schema])


def record_batch(rows: Sequence[Mapping[str, Any]], schema: Schema) -> pa.RecordBatch:
    """Return the rows as a batch with the columns of the schema.

    A column that a row lacks is NULL, or empty if it is REPEATED. Values without a column in the
    schema are left out.
    """
    values = _transposed(rows)
    missing = [None] * len(rows)
    arrays = [_column(values.get(name, missing), field) for name, field in _by_name(schema)]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(schema))


def batches(
    rows: Sequence[Mapping[str, Any]], schema: Schema, max_bytes: int = MAX_BATCH_BYTES
) -> Iterator[Batch | TooLarge]:
    """Yield the rows in order, in batches of at most `max_bytes`.

    A row that is larger than that is yielded as TooLarge.
    """
    if rows:
        yield from _halves(record_batch(rows, schema), 0, max_bytes)


def _halves(records: pa.RecordBatch, start: int, max_bytes: int) -> Iterator[Batch | TooLarge]:
    size = _serialized_size(records)
    if size <= max_bytes:
        yield Batch(start, records)
    elif records.num_rows == 1:
        yield TooLarge(start, size)
    else:
        middle = records.num_rows // 2
        yield from _halves(records.slice(0, middle), start, max_bytes)
        yield from _halves(records.slice(middle), start + middle, max_bytes)


def _transposed(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of the rows by key, with None where a row lacks the key.

    Neighbours with the same keys, as in a series, cost almost no time.
    """
    columns: defaultdict[str, list[Any]] = defaultdict(list)
    above = 0
    for keys, group in groupby(rows, key=tuple):
        neighbours = list(group)
        for name, values in zip(keys, zip(*(row.values() for row in neighbours), strict=True), strict=True):
            column = columns[name]
            column += [None] * (above - len(column))
            column += values
        above += len(neighbours)
    return {name: [*column, *[None] * (above - len(column))] for name, column in columns.items()}


def _serialized_size(records: pa.RecordBatch) -> int:
    """Return the bytes of the batch as it is sent; of a slice, only those of its own part."""
    sink = pa.MockOutputStream()
    with pa.ipc.new_stream(sink, records.schema) as writer:
        writer.write_batch(records)
    return int(sink.size())


def _arrow_field(field: Field) -> pa.Field[Any]:
    metadata = _JSON_METADATA if field.type is FieldType.JSON else None
    return pa.field(field.name, _arrow_type(field), metadata=metadata)


def _arrow_type(field: Field) -> pa.DataType:
    return pa.list_(_value_type(field)) if field.mode is Mode.REPEATED else _value_type(field)


def _value_type(field: Field) -> pa.DataType:
    if field.type is FieldType.RECORD:
        return pa.struct([_arrow_field(nested) for nested in field.fields])
    return _TYPES[field.type]


def _by_name(fields: Schema) -> list[tuple[str, Field]]:
    return [(field.name, field) for field in fields]


def _column(values: list[Any], field: Field) -> pa.Array[Any]:
    """Return the array of a column.

    Each distinct record is built once: rows of a series share most of their records.
    """
    return _array(values, field) if field.type is not FieldType.RECORD else _built_once(values, field, _array)


def _built_once(values: list[Any], field: Field, build: Callable[[list[Any], Field], pa.Array[Any]]) -> pa.Array[Any]:
    distinct = {id(value): value for value in values}
    if len(distinct) == len(values):
        return build(values, field)
    positions = {identity: position for position, identity in enumerate(distinct)}
    taken = pa.array([positions[id(value)] for value in values], pa.int32())
    return build([*distinct.values()], field).take(taken)


def _array(values: list[Any], field: Field) -> pa.Array[Any]:
    if field.mode is not Mode.REPEATED:
        return _value_array(values, field)
    offsets = [0]
    flat: list[Any] = []
    for value in values:
        flat.extend(value or ())
        offsets.append(len(flat))
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), _value_array(flat, field), type=pa.list_(_value_type(field))
    )


def _value_array(values: list[Any], field: Field) -> pa.Array[Any]:
    if field.type is not FieldType.RECORD:
        return pa.array(values, _TYPES[field.type])
    return _built_once(values, field, _struct_array) if field.mode is Mode.REPEATED else _struct_array(values, field)


def _struct_array(values: list[Any], field: Field) -> pa.Array[Any]:
    children = [
        _column([None if value is None else value.get(name) for value in values], nested)
        for name, nested in _by_name(field.fields)
    ]
    missing = pa.array([value is None for value in values], pa.bool_())
    return pa.StructArray.from_arrays(children, fields=[_arrow_field(nested) for nested in field.fields], mask=missing)

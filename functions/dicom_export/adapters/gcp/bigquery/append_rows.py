"""Make AppendRows requests: of rows as Arrow, of changes as protocol buffers.

The Storage Write API takes change data capture as protocol buffers only, with two fields in
addition to the columns.

Source: https://cloud.google.com/bigquery/docs/change-data-capture and
https://cloud.google.com/bigquery/docs/supported-data-types
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from google.cloud.bigquery_storage_v1.types import (
    AppendRowsRequest,
    ArrowRecordBatch,
    ArrowSchema,
    ProtoRows,
    ProtoSchema,
)
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.ports import Version

_MESSAGE = "Row"
_TYPE, _SEQUENCE_NUMBER = "_CHANGE_TYPE", "_CHANGE_SEQUENCE_NUMBER"


@dataclass(frozen=True, slots=True)
class ArrowRows:
    """Rows to append."""

    batch: pa.RecordBatch

    @property
    def format(self) -> object:
        return self.batch.schema

    def request(self, *, has_schema: bool) -> AppendRowsRequest:
        rows = AppendRowsRequest.ArrowData(
            rows=ArrowRecordBatch(serialized_record_batch=self.batch.serialize().to_pybytes())
        )
        if has_schema:
            rows.writer_schema = ArrowSchema(serialized_schema=self.batch.schema.serialize().to_pybytes())
        return AppendRowsRequest(arrow_rows=rows)


@dataclass(frozen=True, slots=True)
class ChangeRows:
    """Rows that replace or delete the row with the same key.

    For each key, the row with the highest sequence number wins.
    """

    batch: pa.RecordBatch
    versions: Sequence[Version]

    @property
    def format(self) -> object:
        return "changes", self.batch.schema

    def request(self, *, has_schema: bool) -> AppendRowsRequest:
        rows = AppendRowsRequest.ProtoData(rows=ProtoRows(serialized_rows=list(self._serialized())))
        if has_schema:
            descriptor, _ = _row_message(self.batch.schema)
            rows.writer_schema = ProtoSchema(proto_descriptor=descriptor)
        return AppendRowsRequest(proto_rows=rows)

    def _serialized(self) -> Iterator[bytes]:
        _, make = _row_message(self.batch.schema)
        columns = [_values(column) for column in self.batch.columns]
        for position, version in enumerate(self.versions):
            present = {
                name: values[position]
                for name, values in zip(self.batch.schema.names, columns, strict=True)
                if values[position] is not None
            }
            pseudo = {_TYPE: "DELETE" if version.is_deletion else "UPSERT", _SEQUENCE_NUMBER: sequence_number(version)}
            yield make(**present, **pseudo).SerializeToString()


Rows = ArrowRows | ChangeRows
"""Rows of one request. A connection takes rows of one `format` only."""


def sequence_number(version: Version) -> str:
    """Return the version as hexadecimal sections, which BigQuery compares from left to right."""
    return f"{version.generation:X}/{int(version.is_deletion)}"


@lru_cache(maxsize=64)
def _row_message(schema: pa.Schema) -> tuple[DescriptorProto, Any]:
    """Return the descriptor of a row with these columns, and the class of its messages."""
    descriptor = DescriptorProto(name=_MESSAGE)
    for number, (name, kind, label) in enumerate(_fields(schema), 1):
        descriptor.field.add(name=name, number=number, type=kind, label=label)
    file = FileDescriptorProto(name="row.proto", syntax="proto2", message_type=[descriptor])
    pool = DescriptorPool()
    pool.Add(file)
    return descriptor, GetMessageClass(pool.FindMessageTypeByName(_MESSAGE))


def _fields(schema: pa.Schema) -> Iterator[tuple[str, int, int]]:
    """Yield name, type and label of each field: the columns, then the change's type and number."""
    for field in schema:
        is_list = isinstance(field.type, pa.ListType)
        label = FieldDescriptorProto.LABEL_REPEATED if is_list else FieldDescriptorProto.LABEL_OPTIONAL
        yield field.name, _proto_type(field.type.value_type if is_list else field.type), label
    for name in (_TYPE, _SEQUENCE_NUMBER):
        yield name, FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.LABEL_OPTIONAL


def _proto_type(kind: pa.DataType) -> int:
    """Return the type: text for STRING and JSON, int64 for INTEGER and TIMESTAMP (microseconds)."""
    if pa.types.is_string(kind):
        return int(FieldDescriptorProto.TYPE_STRING)
    if pa.types.is_int64(kind) or pa.types.is_timestamp(kind):
        return int(FieldDescriptorProto.TYPE_INT64)
    raise TypeError(f"No column of the JSON schema has the type {kind}")


def _values(column: Any) -> list[Any]:  # noqa: ANN401 - the stubs give every kind of array a class of its own
    is_time = pa.types.is_timestamp(column.type)
    values: list[Any] = (pc.cast(column, pa.int64()) if is_time else column).to_pylist()
    return values

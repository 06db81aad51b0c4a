"""Small factories of the values that tests are about."""

from __future__ import annotations

from datetime import UTC, datetime

from dicom_export.names import DatasetName, OperationName, StoreName, TableName
from dicom_export.operations.operation import Operation
from dicom_export.operations.request import ExportRequest, WriteDisposition
from dicom_export.stored_object import StoredObject

PARENT = DatasetName("local", "local", "local")
STORE = StoreName(PARENT, "archive")
TABLE = TableName("local", "main", "dicom")


def make_object(name: str = "a/b.dcm", *, generation: int = 1, size: int = 1000) -> StoredObject:
    return StoredObject(name, generation, size, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def make_request(disposition: WriteDisposition = WriteDisposition.WRITE_EMPTY) -> ExportRequest:
    return ExportRequest(STORE, TABLE, disposition)


def make_operation(operation: str = "1", disposition: WriteDisposition = WriteDisposition.WRITE_EMPTY) -> Operation:
    name = OperationName(PARENT, operation)
    return Operation(name, "v1", datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), make_request(disposition))

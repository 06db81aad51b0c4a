"""A stand-in for the export service, and what goes through it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dicom_export.errors import NotFound
from dicom_export.names import DatasetName, OperationName, StoreName, TableName
from dicom_export.operations.counters import Counters
from dicom_export.operations.estimate import Estimate, Found, Sample, on_google_cloud
from dicom_export.operations.operation import Operation
from dicom_export.operations.request import ExportRequest, FilesRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.operations.failure import Failure
    from dicom_export.rows.layout import SchemaKind
    from dicom_export.streaming.config import StreamConfig

DATASET = DatasetName("p", "us-central1", "d")
STORE = StoreName(DATASET, "s")
TABLE = TableName("bq-project", "bq_dataset", "dicom")
CREATED = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def make_operation(number: int = 1, **changes: Any) -> Operation:
    """Return an operation that was created `number` seconds after CREATED."""
    return replace(
        Operation(
            OperationName(DATASET, f"o{number}"),
            "v1",
            CREATED + timedelta(seconds=number),
            ExportRequest(STORE, TABLE),
            counters=Counters(),
        ),
        **changes,
    )


@dataclass
class InMemoryExports:
    """Keeps requests and operations in lists, the newest operation first."""

    stores: list[StoreName] = field(default_factory=lambda: [STORE])
    operations: list[Operation] = field(default_factory=list)
    requests: list[tuple[ExportRequest | FilesRequest, str]] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    estimated: list[tuple[StoreName, SchemaKind]] = field(default_factory=list)
    streams: dict[StoreName, list[StreamConfig]] = field(default_factory=dict)

    def create_export(self, request: ExportRequest | FilesRequest, *, api_version: str = "v1") -> Operation:
        self.get_store(request.store)
        self.requests.append((request, api_version))
        operation = make_operation(len(self.requests), requested=request, api_version=api_version)
        self.operations.insert(0, operation)
        return operation

    def get_operation(self, name: OperationName) -> Operation:
        for operation in self.operations:
            if operation.name == name:
                return operation
        raise NotFound(f"Operation {name} was not found")

    def list_operations(self, parent: DatasetName, *, start_after: str = "") -> Iterator[tuple[str, Operation]]:
        for position, operation in enumerate(self.operations):
            if operation.name.parent == parent and (not start_after or position > int(start_after)):
                yield str(position), operation

    def cancel_operation(self, name: OperationName) -> Operation:
        position = self.operations.index(self.get_operation(name))
        self.operations[position] = replace(self.operations[position], cancel_requested=True)
        return self.operations[position]

    def failures_after(self, name: OperationName, *, start_after: str = "") -> Iterator[tuple[str, Failure]]:
        self.get_operation(name)
        for position, failure in enumerate(self.failed):
            if not start_after or position > int(start_after):
                yield str(position), failure

    def get_store(self, name: StoreName) -> StoreName:
        if name not in self.stores:
            raise NotFound(f"DICOM store {name} was not found")
        return name

    def estimate(self, name: StoreName, kind: SchemaKind) -> Estimate:
        self.estimated.append((self.get_store(name), kind))
        return on_google_cloud(Found(Counter(STANDARD=10), 1_000), Sample(10, 9, 11, 600, 500))

    def stream_configs(self, name: StoreName) -> list[StreamConfig]:
        return self.streams.get(self.get_store(name), [])

    def datasets(self) -> list[DatasetName]:
        return sorted({name.parent for name in self.stores})

    def list_stores(self, parent: DatasetName) -> list[StoreName]:
        return sorted(name for name in self.stores if name.parent == parent)

"""What the API needs of the system: `handlers.service.ExportService`, and whatever stands in for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.names import DatasetName, OperationName, StoreName
    from dicom_export.operations import ExportRequest, Failure, Operation
    from dicom_export.stream_config import StreamConfig


class Exports(Protocol):
    """Every method may raise any DicomExportError."""

    def create_export(self, request: ExportRequest, *, api_version: str = "v1") -> Operation:
        """Start an export."""

    def get_operation(self, name: OperationName) -> Operation:
        """Return the operation with its counters as they are now. Raises NotFound."""

    def list_operations(self, parent: DatasetName, *, start_after: str = "") -> Iterator[tuple[str, Operation]]:
        """Yield the operations, the newest first, each with a position that a later call starts after."""

    def cancel_operation(self, name: OperationName) -> Operation:
        """Ask for the operation's end, and return it as it is then. Without effect on one that has ended. Raises NotFound."""

    def failures_behind(self, name: OperationName, *, start_after: str = "") -> Iterator[tuple[str, Failure]]:
        """Yield the operation's failed instances, each with a position that a later call starts after. Raises NotFound."""

    def get_store(self, name: StoreName) -> StoreName:
        """Return the store's name. Raises NotFound."""

    def stream_configs(self, name: StoreName) -> Sequence[StreamConfig]:
        """Return where rows of the store's new objects go. Raises NotFound."""

    def datasets(self) -> Sequence[DatasetName]:
        """Return the names of the datasets that a store is in, in order."""

    def list_stores(self, parent: DatasetName) -> Sequence[StoreName]:
        """Return the names of the dataset's stores, in order."""

"""The operations: `operation.json`, and the index of a dataset's operations, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.errors import NotFound
from dicom_export.names import DatasetName, OperationName
from dicom_export.operations.operation import Operation
from dicom_export.state import paths
from dicom_export.state.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_PARTS_OF_DATASET = 6


class Operations(Records):
    """All operations."""

    def create(self, operation: Operation) -> bool:
        """Create the operation and its index entry; return False if the name is in use."""
        # The index first: nobody would resume or end an operation that is not listed.
        self._store.create(paths.index_path(operation.name, operation.create_time), b"")
        return self._store.create(paths.operation_path(operation.name), operation.encode())

    def find(self, name: OperationName) -> Operation | None:
        """Return the operation, or None if it does not exist."""
        state = self._store.read(paths.operation_path(name))
        return Operation.decode(state.content) if state else None

    def load(self, name: OperationName) -> Operation:
        """Return the operation. Raises NotFound."""
        return self._load(name)[0]

    def change(self, name: OperationName, change: Callable[[Operation], Operation]) -> Operation:
        """Replace the operation with the result of `change`.

        This is repeated until no other process changes the operation at the same time.
        """
        while True:
            operation, version = self._load(name)
            changed = change(operation)
            if changed == operation:
                return operation
            if self._store.replace(paths.operation_path(name), changed.encode(), version):
                return changed

    def _load(self, name: OperationName) -> tuple[Operation, str]:
        state = self._store.read(paths.operation_path(name))
        if state is None:
            raise NotFound(f"Operation {name} was not found")
        return Operation.decode(state.content), state.version

    def newest_first(self, parent: DatasetName, start_after: str = "") -> Iterator[tuple[str, Operation]]:
        """Yield a dataset's operations, newest first, each with its position for `start_after`."""
        prefix = paths.index_prefix(parent)
        for entry in self._store.list(prefix, start_after=f"{prefix}{start_after}" if start_after else ""):
            position = entry.path.removeprefix(prefix)
            operation = self.find(OperationName(parent, position.partition("-")[2]))
            if operation and entry.path == paths.index_path(operation.name, operation.create_time):
                yield position, operation

    def parents(self) -> Iterator[DatasetName]:
        """Yield the datasets that have operations."""
        start_after = ""
        while entry := next(self._store.list("projects/", start_after=start_after), None):
            parent = DatasetName.parse("/".join(entry.path.split("/")[:_PARTS_OF_DATASET]))
            yield parent
            start_after = f"{parent}/\U0010ffff"  # after all that is below it

    def is_first_to_heal(self, name: OperationName, period: int) -> bool:
        """Return True to only one caller per period."""
        return self._store.create(paths.heal_path(name, period), b"")

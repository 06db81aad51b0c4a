"""The tables of which one export has exclusive use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dicom_export.names import OperationName
from dicom_export.state import paths
from dicom_export.state.records import Records, encode

if TYPE_CHECKING:
    from dicom_export.names import TableName
    from dicom_export.ports import OperationStore, StateObject
    from dicom_export.state.operations import Operations


class ExclusiveTables(Records):
    """The tables that have to be empty or new, each taken by one export."""

    def __init__(self, store: OperationStore, operations: Operations) -> None:
        super().__init__(store)
        self._operations = operations

    def take(self, table: TableName, name: OperationName) -> OperationName:
        """Take the table for the operation unless another one has it; return the holder.

        A holder keeps the table until it is done.
        """
        path, ours = paths.exclusive_path(table), encode({"operation": str(name)})
        while True:
            state = self._store.read(path)
            if state is None:
                if self._store.create(path, ours):
                    return name
                continue
            holder = _holder(state)
            operation = None if holder == name else self._operations.find(holder)
            if holder == name or (operation and not operation.is_done):
                return holder
            if self._store.replace(path, ours, state.version):
                return name

    def holder(self, table: TableName) -> OperationName | None:
        """Return the operation that took the table last, or None."""
        state = self._store.read(paths.exclusive_path(table))
        return _holder(state) if state else None


def _holder(state: StateObject) -> OperationName:
    return OperationName.parse(json.loads(state.content)["operation"])

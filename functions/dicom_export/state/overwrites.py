"""Coordination of overwrites with rows that are streamed into the same table meanwhile.

No row is lost when the table is replaced.

    overwrites/PROJECT/DATASET/TABLE.json    the overwrites of a table and when they began,
                                             compare-and-set
    N/streamed/OBJECT-GENERATION-EVENT.json  a change that was streamed while the overwrite N
                                             ran, create-once

An overwrite enters its name before its store is listed. A streaming function reads the names before
it appends a row, and records the change with each overwrite that runs. After the table is replaced,
and before it ends, the overwrite has all its records streamed again. There are three cases:

- The function read the names before the overwrite entered its name: the object existed before
  the listing, which has it.
- It read them after that, and the record existed when the overwrite listed its records: the
  change is streamed again.
- It read them after that, and the record came later: so the append came later, too. It is after
  the replacement, in the new rows.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dicom_export.messages import InstanceChanged, decode, encode
from dicom_export.names import OperationName
from dicom_export.state.paths import table_path
from dicom_export.state.uploads import object_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_export.names import TableName
    from dicom_export.operations.operation import Operation
    from dicom_export.ports import OperationStore, StateObject

_NEVER_CREATED = timedelta(days=1)
"""Time after which an overwrite without an operation is given up.

Its process died before it created the operation.
"""


class Overwrites:
    """The overwrites of all tables.

    `find` returns an operation, or None before it was created.
    """

    def __init__(self, store: OperationStore, find: Callable[[OperationName], Operation | None]) -> None:
        self._store = store
        self._find = find
        self._ended: set[OperationName] = set()

    def begin(self, table: TableName, name: OperationName) -> None:
        """Enter the overwrite, and remove those that have ended."""
        path = _path(table)
        while True:
            state = self._store.read(path)
            begun = _begun(state)
            running = {each: time for each, time in begun.items() if self._runs(each, time)}
            content = _encoded({**running, name: begun.get(name, datetime.now(UTC))})
            written = self._store.replace(path, content, state.version) if state else self._store.create(path, content)
            if written or name in _begun(self._store.read(path)):
                return

    def running(self, table: TableName) -> list[OperationName]:
        """Return the overwrites of the table that have not ended, or may be about to begin."""
        return [name for name, time in _begun(self._store.read(_path(table))).items() if self._runs(name, time)]

    def record(self, name: OperationName, change: InstanceChanged) -> None:
        """Record the change with the overwrite."""
        self._store.create(_record_path(name, change), encode(change))

    def recorded(self, name: OperationName) -> Iterator[InstanceChanged]:
        """Yield the changes that have been recorded with the overwrite so far."""
        for entry in self._store.list(_records_prefix(name)):
            state = self._store.read(entry.path)
            change = decode(InstanceChanged.topic, state.content) if state else None
            if isinstance(change, InstanceChanged):
                yield change

    def _runs(self, name: OperationName, begun: datetime) -> bool:
        if name in self._ended:
            return False
        operation = self._find(name)
        if operation is None:
            return datetime.now(UTC) - begun < _NEVER_CREATED
        if operation.is_done:
            self._ended.add(name)
        return not operation.is_done


def _begun(state: StateObject | None) -> dict[OperationName, datetime]:
    names: dict[str, str] = json.loads(state.content) if state else {}
    return {OperationName.parse(name): datetime.fromisoformat(time) for name, time in names.items()}


def _encoded(begun: dict[OperationName, datetime]) -> bytes:
    return json.dumps({str(name): time.isoformat() for name, time in begun.items()}).encode()


def _path(table: TableName) -> str:
    return f"overwrites/{table_path(table)}.json"


def _records_prefix(name: OperationName) -> str:
    return f"{name}/streamed/"


def _record_path(name: OperationName, change: InstanceChanged) -> str:
    digest = object_digest(f"{change.store} {change.stored.name}")
    return f"{_records_prefix(name)}{digest}-{change.stored.generation}-{change.event.value}.json"

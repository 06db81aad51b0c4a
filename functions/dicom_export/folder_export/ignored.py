"""Remember the `--ignore` patterns that an export was begun with: its plan depends on them, and its request lacks them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.errors import ResourceExhausted

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_export.names import OperationName
    from dicom_export.operations.operation import Operation


@dataclass(frozen=True, slots=True)
class Ignored:
    """The patterns of this command, and the folder with the patterns of earlier exports."""

    patterns: frozenset[str]
    folder: Path

    def remember_for(self, name: OperationName) -> None:
        """Store the patterns that the operation is begun with. Raises ResourceExhausted if they cannot be written."""
        file = self._file(name)
        unfinished = file.with_suffix(".unfinished")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps(sorted(self.patterns)))
            unfinished.replace(file)
        except OSError as error:
            what_to_do = "free space, or make the folder writable, and run the same command again"
            raise ResourceExhausted(f"{str(file)!r} cannot be written ({error.strerror}): {what_to_do}") from error

    def are_those_of(self, operation: Operation) -> bool:
        """Return whether the operation was begun with these patterns, or by a version that did not store them."""
        file = self._file(operation.name)
        return not file.exists() or frozenset(json.loads(file.read_text())) == self.patterns

    def forget(self, name: OperationName) -> None:
        """Forget the patterns of an operation that was refused."""
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: OperationName) -> Path:
        """Return the file of the patterns. An operation that continues another one has the other's name and a suffix."""
        return self.folder / f"{name.operation.partition('-')[0]}.json"

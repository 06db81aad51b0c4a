"""The `--ignore` patterns that an export was begun with: they decide what its plan holds, and its request lacks them."""

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
    """The patterns of this command, and the folder that has those of the exports before it."""

    patterns: frozenset[str]
    folder: Path

    def remember_for(self, name: OperationName) -> None:
        """Keep the patterns as those that the operation is begun with. Raises ResourceExhausted if that cannot be."""
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
        """Return whether the operation was begun with these patterns, or by a version that did not say with which."""
        file = self._file(operation.name)
        return not file.exists() or frozenset(json.loads(file.read_text())) == self.patterns

    def forget(self, name: OperationName) -> None:
        """Forget the patterns of an operation that was refused."""
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: OperationName) -> Path:
        """Return where the patterns are: an operation that goes on in the place of another has its name and a suffix."""
        return self.folder / f"{name.operation.partition('-')[0]}.json"

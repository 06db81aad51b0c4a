"""Messages that ran out of attempts, so that their instances have no rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dicom_export.errors import Code
from dicom_export.messages import ExportStudy, PlanExport
from dicom_export.operations.failure import Status
from dicom_export.state import paths
from dicom_export.state.records import Records, encode, vanished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.names import DatasetName, OperationName


class DeadLetters(Records):
    """The dead letters of all operations."""

    def keep(self, letter: DeadLetter) -> None:
        """Store a message that ran out of attempts, once."""
        self._store.create(paths.dead_letter_path(letter.message.operation, letter.id), encode(letter.to_json()))

    def all(self, parent: DatasetName, name: OperationName | None = None) -> Iterator[DeadLetter]:
        """Yield the dead letters of a dataset, or of one operation.

        They are ordered by operation, and then by its plan.
        """
        prefix = paths.dead_letters_prefix(parent) + (f"{name.operation}/" if name else "")
        for entry in self._store.list(prefix):
            yield DeadLetter.from_json(self._read(entry.path) or vanished(entry.path))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that ran out of attempts, so that its instances have no rows.

    `reason` says why, and `time` when that was found.
    """

    message: PlanExport | ExportStudy
    reason: Status
    time: datetime

    @property
    def id(self) -> str:
        """The identifier among the dead letters of the operation.

        It is the same however often the message is found to be dead.
        """
        task = f"-{self.message.task:03d}" if isinstance(self.message, ExportStudy) else ""
        return f"{self.message.page:06d}{task}-{self.message.topic}"

    def to_json(self) -> dict[str, Any]:
        return {
            "topic": self.message.topic,
            "message": self.message.to_json(),
            "code": int(self.reason.code),
            "reason": self.reason.message,
            "time": self.time.isoformat(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DeadLetter:
        kind: type[PlanExport | ExportStudy] = PlanExport if data["topic"] == PlanExport.topic else ExportStudy
        reason = Status(Code(data["code"]), data["reason"])
        return cls(kind.from_json(data["message"]), reason, datetime.fromisoformat(data["time"]))

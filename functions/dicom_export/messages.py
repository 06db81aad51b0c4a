"""What the functions tell each other: one frozen fact a message, one topic a kind (DESIGN: `ExportStudy`, `export-study`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from dicom_export.errors import InvalidArgument
from dicom_export.names import OperationName
from dicom_export.ports import StoredObject


@dataclass(frozen=True, slots=True)
class PlanExport:
    """Plan page `page` of the operation: list the store from where page - 1 ended."""

    topic: ClassVar[str] = "plan-export"

    operation: OperationName
    page: int

    def to_json(self) -> dict[str, Any]:
        return {"operation": str(self.operation), "page": self.page}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PlanExport:
        return cls(OperationName.parse(data["operation"]), int(data["page"]))


@dataclass(frozen=True, slots=True)
class ExportStudy:
    """Export the objects of one study, of a bundle of small ones, or of a part of a large one.

    `applies_filter` where the plan could not tell from the names which objects the operation's filter names.
    """

    topic: ClassVar[str] = "export-study"

    operation: OperationName
    page: int
    task: int
    objects: tuple[StoredObject, ...]
    applies_filter: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "operation": str(self.operation),
            "page": self.page,
            "task": self.task,
            "objects": [object_to_json(stored) for stored in self.objects],
            "appliesFilter": self.applies_filter,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ExportStudy:
        return cls(
            OperationName.parse(data["operation"]),
            int(data["page"]),
            int(data["task"]),
            tuple(object_from_json(stored) for stored in data["objects"]),
            bool(data["appliesFilter"]),
        )


@dataclass(frozen=True, slots=True)
class StudyExported:
    """A result of the page was created, or its plan was sealed: its counters may be complete now."""

    topic: ClassVar[str] = "study-exported"

    operation: OperationName
    page: int

    def to_json(self) -> dict[str, Any]:
        return {"operation": str(self.operation), "page": self.page}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StudyExported:
        return cls(OperationName.parse(data["operation"]), int(data["page"]))


Message = PlanExport | ExportStudy | StudyExported

_KINDS: dict[str, type[Message]] = {kind.topic: kind for kind in (PlanExport, ExportStudy, StudyExported)}
TOPICS = tuple(_KINDS)


def encode(message: Message) -> bytes:
    """Return the message's data as it goes over the wire, JSON in UTF-8."""
    return json.dumps(message.to_json(), separators=(",", ":")).encode()


def decode(topic: str, data: bytes) -> Message:
    """Return the message. Raises InvalidArgument if the data is not one of this topic's: no retry mends it."""
    try:
        return _KINDS[topic].from_json(json.loads(data))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidArgument(
            f"A message of {len(data)} bytes on topic {topic!r} is malformed: {type(error).__name__}: {error}"
        ) from error


def object_to_json(stored: StoredObject) -> list[Any]:
    """Return the object as a list, the short form that a message of thousands needs."""
    return [stored.name, stored.generation, stored.size, stored.updated.isoformat(), stored.storage_class]


def object_from_json(data: list[Any]) -> StoredObject:
    """Return the object that `object_to_json` gave."""
    name, generation, size, updated, storage_class = data
    return StoredObject(name, int(generation), int(size), datetime.fromisoformat(updated), storage_class)

"""The messages between the functions: each is one frozen fact, and each kind has one topic."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from secrets import token_hex
from typing import Any, ClassVar

from dicom_export.errors import InvalidArgument
from dicom_export.names import OperationName, StoreName
from dicom_export.stored_object import StoredObject


@dataclass(frozen=True, slots=True)
class PlanExport:
    """Plan page `page` of the operation: list the store from where page - 1 ended.

    `sender` is unique to a message that may be one of several for its page: if another one has
    planned the page, this one does nothing. A message without it publishes the messages of a
    planned page again.
    """

    topic: ClassVar[str] = "plan-export"

    operation: OperationName
    page: int
    sender: str = ""

    def to_json(self) -> dict[str, Any]:
        sender = {"sender": self.sender} if self.sender else {}
        return {"operation": str(self.operation), "page": self.page, **sender}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PlanExport:
        return cls(OperationName.parse(data["operation"]), int(data["page"]), str(data.get("sender", "")))

    @classmethod
    def unless_planned(cls, operation: OperationName, page: int) -> PlanExport:
        """Return a message that does nothing if another one has planned the page."""
        return cls(operation, page, token_hex(8))

    def is_other_than(self, sender: str) -> bool:
        """Say whether another message than this one planned a page with the sender, and publishes its messages."""
        return bool(self.sender and sender) and self.sender != sender


@dataclass(frozen=True, slots=True)
class ExportStudy:
    """Export the objects of one study, of several small ones, or of a part of a large one.

    `applies_filter` is True if the object names do not tell which objects the filter of the
    operation names, so that the worker has to apply it. `is_known` is True if each object has a row
    in the table that a verification compares, so that the worker need not read it.
    """

    topic: ClassVar[str] = "export-study"

    operation: OperationName
    page: int
    task: int
    objects: tuple[StoredObject, ...]
    applies_filter: bool = False
    is_known: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "operation": str(self.operation),
            "page": self.page,
            "task": self.task,
            "objects": [object_to_json(stored) for stored in self.objects],
            "appliesFilter": self.applies_filter,
            "isKnown": self.is_known,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ExportStudy:
        return cls(
            OperationName.parse(data["operation"]),
            int(data["page"]),
            int(data["task"]),
            tuple(object_from_json(stored) for stored in data["objects"]),
            bool(data["appliesFilter"]),
            bool(data.get("isKnown")),  # messages of earlier versions lack it
        )


@dataclass(frozen=True, slots=True)
class StudyExported:
    """A result of the page was created, or its plan was sealed.

    Its counters may be complete now.
    """

    topic: ClassVar[str] = "study-exported"

    operation: OperationName
    page: int

    def to_json(self) -> dict[str, Any]:
        return {"operation": str(self.operation), "page": self.page}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StudyExported:
        return cls(OperationName.parse(data["operation"]), int(data["page"]))


class ObjectEvent(StrEnum):
    """What happened to one generation of an object. An overwrite writes another generation."""

    WRITTEN = "written"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class InstanceChanged:
    """A generation of an object was written, or is gone and was not replaced."""

    topic: ClassVar[str] = "instance-changed"

    store: StoreName
    event: ObjectEvent
    stored: StoredObject

    def to_json(self) -> dict[str, Any]:
        return {"store": str(self.store), "event": self.event.value, "object": object_to_json(self.stored)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> InstanceChanged:
        return cls(StoreName.parse(data["store"]), ObjectEvent(data["event"]), object_from_json(data["object"]))


OperationMessage = PlanExport | ExportStudy | StudyExported
"""A message about an operation."""

Message = OperationMessage | InstanceChanged

_KINDS: dict[str, type[Message]] = {
    kind.topic: kind for kind in (PlanExport, ExportStudy, StudyExported, InstanceChanged)
}
TOPICS = tuple(_KINDS)
OPERATION_TOPICS = tuple(topic for topic in TOPICS if topic != InstanceChanged.topic)

_INT64 = 1 << 63

KIND_ATTRIBUTE = "kind"
"""The message attribute that holds the topic to which the message was sent."""


def encode(message: Message) -> bytes:
    """Return the data of a message as it is sent: JSON in UTF-8.

    File names may leave lone surrogates in it. 5,000 objects of a bucket take less than 8 MB,
    whatever their names are.
    """
    return _json(message.to_json())


def decode(topic: str, data: bytes) -> Message:
    """Return the message. Raises InvalidArgument if the data is malformed for this topic."""
    try:
        return _KINDS[topic].from_json(json.loads(data.decode("utf-8", "surrogatepass")))
    except (InvalidArgument, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        # The text of the error is left out, because it quotes the data.
        raise InvalidArgument(
            f"A message of {len(data)} bytes on topic {topic!r} is malformed ({type(error).__name__})"
        ) from error


def attributes(message: Message) -> dict[str, str]:
    """Return the attributes of a message: its kind, and its operation or store.

    A dead letter is recognised by its kind.
    """
    about = {"store": message.store} if isinstance(message, InstanceChanged) else {"operation": message.operation}
    return {KIND_ATTRIBUTE: message.topic, **{name: str(each) for name, each in about.items()}}


def object_to_json(stored: StoredObject) -> list[Any]:
    """Return the object as a list: a message of thousands of objects needs the short form."""
    return [
        _name_to_json(stored.name),
        stored.generation,
        stored.size,
        stored.updated.isoformat(),
        stored.storage_class,
        *([stored.content_encoding] if stored.content_encoding else []),
    ]


def object_from_json(data: list[Any]) -> StoredObject:
    """Return the object from the list that `object_to_json` returned.

    Raises TypeError, ValueError or OverflowError if it is anything else.
    """
    name, generation, size, updated, storage_class, *encoding = data
    (content_encoding,) = encoding or [""]
    moment = datetime.fromisoformat(updated)
    if not (
        _is_int64(generation)
        and _is_int64(size)
        and size >= 0
        and moment.tzinfo
        and isinstance(storage_class, str)
        and isinstance(content_encoding, str)
    ):
        raise ValueError
    return StoredObject(
        _name_from_json(name), generation, size, moment.astimezone(UTC), storage_class, content_encoding
    )


def _is_int64(value: object) -> bool:
    return type(value) is int and -_INT64 <= value < _INT64


def _name_to_json(name: str) -> str | list[str]:
    """Return the name, or a list with its Base64 text where that is shorter.

    A name in a bucket is 1,024 bytes of anything but CR and LF, and JSON takes six bytes for one
    control character: https://cloud.google.com/storage/docs/objects#naming
    """
    base64 = b64encode(name.encode("utf-8", "surrogatepass")).decode()
    return [base64] if len(base64) < len(_json(name)) else name


def _name_from_json(data: str | list[str]) -> str:
    if isinstance(data, str):
        return data
    (base64,) = data
    return b64decode(base64, validate=True).decode("utf-8", "surrogatepass")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")

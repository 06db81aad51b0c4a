"""Why an instance, or a whole operation, failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dicom_export.errors import Code
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Mapping


class FailureStage(StrEnum):
    """The step of an instance's export that failed."""

    READ = "READ"
    """Reading the object, or decoding its header."""
    WRITE = "WRITE"
    """Writing the row to a stream."""
    COPY = "COPY"
    """Copying the file."""
    COMMIT = "COMMIT"
    """Committing the stream."""
    DELIVERY = "DELIVERY"
    """Delivering the message: it ran out of attempts."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One object that was not exported, and why: an entry of the failure report."""

    object: str
    generation: int
    stage: FailureStage
    code: Code
    message: str
    uids: InstanceUids = field(default_factory=InstanceUids)

    def to_json(self) -> dict[str, Any]:
        return {
            "object": self.object,
            "generation": str(self.generation),
            "stage": self.stage,
            "code": int(self.code),
            "message": self.message,
            **{name: uid for name, uid in self.uids._asdict().items() if uid},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Failure:
        return cls(
            data["object"],
            int(data["generation"]),
            FailureStage(data["stage"]),
            Code(data["code"]),
            data["message"],
            InstanceUids(data.get("study"), data.get("series"), data.get("instance")),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """A google.rpc.Status: how an operation ended that did not succeed."""

    code: Code
    message: str

    def to_json(self) -> dict[str, Any]:
        return {"code": int(self.code), "message": self.message}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Status:
        return cls(Code(data["code"]), data["message"])

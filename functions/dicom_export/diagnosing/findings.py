"""What one check found, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from dicom_export.errors import DicomExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTICE = "notice"
    """The installation works, but something costs money or time that it need not cost."""
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """The check could not be made, for example because the caller may not see the resource."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of one resource.

    `mend` is a command or an input of Terraform. It is empty if nothing has to be mended.
    """

    check: str
    subject: str
    status: Status
    fact: str
    mend: str = ""

    @property
    def is_healthy(self) -> bool:
        """Whether the installation can work with this."""
        return self.status in (Status.OK, Status.NOTICE)

    def to_json(self) -> dict[str, str]:
        return {
            "check": self.check,
            "subject": self.subject,
            "status": self.status.value,
            "fact": self.fact,
            "mend": self.mend,
        }


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The reason why a resource could not be read."""

    reason: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A resource under one check. Its methods make findings about it."""

    check: str
    name: str

    def ok(self, fact: str) -> Finding:
        """Return the finding that all is well."""
        return Finding(self.check, self.name, Status.OK, fact)

    def notice(self, fact: str, mend: str) -> Finding:
        """Return the finding that something costs more than it needs to."""
        return Finding(self.check, self.name, Status.NOTICE, fact, mend)

    def wrong(self, fact: str, mend: str) -> Finding:
        """Return the finding that something does not work."""
        return Finding(self.check, self.name, Status.WRONG, fact, mend)

    def unknown(self, unreadable: Unreadable) -> Finding:
        """Return the finding that the resource could not be read."""
        return Finding(
            self.check, self.name, Status.UNKNOWN, f"not checked: {unreadable.reason}",
            "if access was denied, add yourself to the Terraform input `operators` and run `terraform apply`; then check again",
        )  # fmt: skip


def tried(read: Callable[[], T]) -> T | Unreadable:
    """Return what was read, or the reason why it could not be."""
    try:
        return read()
    except DicomExportError as error:
        return Unreadable(error.message)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Say whether every check was made and found nothing wrong."""
    return all(finding.is_healthy for finding in findings)

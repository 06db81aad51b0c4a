"""Check that the topics exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.diagnosing.findings import Finding, Subject, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_topic(topic: str, exists: bool | Unreadable) -> Iterator[Finding]:  # noqa: FBT001 - a fact
    """Yield the finding about one topic, a resource name."""
    subject = Subject("topics", topic)
    if isinstance(exists, Unreadable):
        yield subject.unknown(exists)
    elif exists:
        yield subject.ok("exists")
    else:
        yield subject.wrong("does not exist", "terraform apply")

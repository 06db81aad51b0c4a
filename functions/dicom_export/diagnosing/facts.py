"""What Google Cloud says of the resources of an installation: of each resource, the part that the checks need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """A bucket. `location` is as the API writes it; `regions` are those of a dual-region that was chosen freely.

    `terminal_class` is the coldest class that Autoclass uses, or empty without Autoclass.
    """

    location: str
    regions: tuple[str, ...] = ()
    storage_class: str = "STANDARD"
    terminal_class: str = ""
    requester_pays: bool = False
    keeps_versions: bool = False


@dataclass(frozen=True, slots=True)
class NotificationFacts:
    """A notification configuration of a bucket. No event types means all of them."""

    topic: str
    payload_format: str
    event_types: frozenset[str] = frozenset()
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """A subscription. What it lacks is empty or 0."""

    topic: str
    endpoint: str = ""
    audience: str = ""
    invoker: str = ""
    ack_deadline_seconds: int = 0
    dead_letter_topic: str = ""
    max_attempts: int = 0
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """A dataset. `readers` are the groups of whole projects or of everybody that may read it."""

    location: str
    readers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """When Google stops to support a runtime, and when functions on it stop. None if that is not decided."""

    deprecated: date | None
    decommissioned: date | None


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """The HTTP status of an answer, and the beginning of its text."""

    status: int
    text: str

"""How many instances an operation has, and their outcomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of instances. `studies` counts the studies of which an instance was exported.

    `planned` are the objects that the plan found. `skipped` of them are not instances, or are not
    named by the filter. `cancelled` were not exported because of a cancellation. `abandoned` are
    the failures of messages that ran out of attempts. `unlisted` are the folders that could not be
    listed; their number is known at the end. `unchanged` are the objects that were left out of the
    plan because the table had a row for them.
    """

    planned: int = 0
    success: int = 0
    failure: int = 0
    skipped: int = 0
    cancelled: int = 0
    abandoned: int = 0
    studies: int = 0
    unlisted: int = 0
    unchanged: int = 0

    @property
    def found(self) -> int:
        """The number of instances that are known so far."""
        return self.planned - self.skipped

    @property
    def pending(self) -> int:
        """The number of instances without an outcome."""
        return self.found - self.success - self.failure - self.cancelled

    def __add__(self, other: Counters) -> Counters:
        return Counters(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def to_metadata(self) -> dict[str, str]:
        """Return the counters that are not zero, as custom metadata of a state object."""
        return {name: str(count) for name, count in asdict(self).items() if count}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Counters:
        return cls(**{each.name: int(metadata.get(each.name, 0)) for each in fields(cls)})

    @classmethod
    def total(cls, counters: Iterable[Counters]) -> Counters:
        """Return the sum."""
        return sum(counters, cls())


@dataclass(frozen=True, slots=True)
class DifferenceCounts:
    """How many instances a verification found to differ, by kind.

    `outranked` counts the missing or stale instances whose object is not newer than their row: an
    export does not correct these.
    """

    missing: int = 0
    stale: int = 0
    orphaned: int = 0
    outranked: int = 0

    @property
    def total(self) -> int:
        """The number of instances that differ."""
        return self.missing + self.stale + self.orphaned

    @property
    def repairable(self) -> int:
        """The number of these that an export corrects."""
        return self.missing + self.stale - self.outranked

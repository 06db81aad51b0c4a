"""The partitions of a table by LastUpdated, and the objects whose rows they cannot keep.

Named as in the FHIR export of the Cloud Healthcare API:
https://cloud.google.com/healthcare-api/docs/reference/rest/v1/TimePartitioning
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

PARTITION_COLUMN = "LastUpdated"
_DAYS_BEFORE = 3650
_DAYS_AFTER = 365
"""Streams take rows of a partitioned table from ten years ago up to one year in the future.

Source: https://cloud.google.com/bigquery/docs/write-api-grpc, "Time-unit column partitioning". An overwrite is one job,
which may change 4,000 partitions: these are fewer, also if they are days.
"""


class PartitionType(StrEnum):
    """The length of a partition. HOUR is only that of tables that others made."""

    HOUR = "HOUR"
    DAY = "DAY"
    MONTH = "MONTH"
    YEAR = "YEAR"


@dataclass(frozen=True, slots=True)
class Partitioning:
    """Partitions by LastUpdated. With `expiration_ms`, each is deleted so many milliseconds after its end.

    A row of a partition that has expired vanishes when it arrives.
    https://cloud.google.com/bigquery/docs/managing-partitioned-tables#partition-expiration
    """

    type: PartitionType
    expiration_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the partitioning as clients, the state and BigQuery write it."""
        expiration = {} if self.expiration_ms is None else {"expirationMs": str(self.expiration_ms)}
        return {"type": self.type.value, **expiration}


def partitioning_from_json(data: Mapping[str, Any] | None) -> Partitioning | None:
    """Return the partitioning from the data that `to_json` returned; None from None."""
    if not data:
        return None
    expiration = data.get("expirationMs")
    return Partitioning(PartitionType(data["type"]), None if expiration is None else int(expiration))


@dataclass(frozen=True, slots=True)
class Untimely:
    """How many objects a table does not keep: older than its expiration, older than ten years, or of the future."""

    expired: int = 0
    old: int = 0
    future: int = 0

    def __bool__(self) -> bool:
        return bool(self.expired or self.old or self.future)

    def and_one(self, updated: datetime, partitioning: Partitioning, now: datetime) -> Untimely:
        """Return the sum with an object that was written at this time. It counts once at most."""
        age = now - updated
        expiration = partitioning.expiration_ms
        # A number, because an expiration may be longer than a timedelta.
        if expiration is not None and age.total_seconds() * 1000 >= expiration:
            return replace(self, expired=self.expired + 1)
        if age > timedelta(days=_DAYS_BEFORE):
            return replace(self, old=self.old + 1)
        if -age > timedelta(days=_DAYS_AFTER):
            return replace(self, future=self.future + 1)
        return self

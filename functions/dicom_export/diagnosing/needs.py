"""What the account of each function has to be allowed. A test compares this with `infra/locals.tf`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Place(StrEnum):
    """The kinds of resources that a function needs rights on, named as in `infra/locals.tf`."""

    STATE = "state"
    STORES = "stores"
    BUCKETS = "buckets"
    DATASETS = "datasets"
    STAGING = "staging"
    JOBS = "jobs"
    TOPICS = "topics"


Places = tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """The places where a function needs rights.

    `edits_tables` says whether it changes tables in the datasets, or only describes them. `publishes` are the kinds of
    messages that it sends.
    """

    places: Places
    publishes: tuple[str, ...] = ()
    edits_tables: bool = False


_STARTS = (Place.STATE, Place.STORES, Place.BUCKETS, Place.DATASETS, Place.TOPICS)
_SWAPS = (Place.STATE, Place.DATASETS, Place.STAGING, Place.JOBS, Place.TOPICS)

NEEDS = {
    "export_api": Needs(_STARTS, ("plan-export",)),
    "start_export": Needs(_STARTS, ("plan-export",)),
    "plan_export": Needs(
        (*_STARTS, Place.STAGING, Place.JOBS), ("plan-export", "export-study", "study-exported"), edits_tables=True
    ),
    "export_study": Needs(
        (Place.STATE, Place.STORES, Place.DATASETS, Place.STAGING, Place.TOPICS),
        ("export-study", "study-exported"),
        edits_tables=True,
    ),
    "stream_instance": Needs((Place.STATE, Place.STORES, Place.DATASETS), edits_tables=True),
    "record_result": Needs(_SWAPS, ("plan-export", "instance-changed"), edits_tables=True),
    "record_dead_letter": Needs(
        _SWAPS, ("plan-export", "export-study", "study-exported", "instance-changed"), edits_tables=True
    ),
    "report_lost_instance": Needs((Place.STATE,)),
    "refuse_export": Needs((Place.STATE, Place.TOPICS), ("plan-export",)),
}
"""By entry point."""

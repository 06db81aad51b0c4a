"""Define the settings of an installation on one machine."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_export.ahead import MOST_READERS
from dicom_export.decoding.budget import ColumnLimits, Limits
from dicom_export.names import DatasetName, GcsFolder, S3Folder, StoreName
from dicom_export.operations.planning import PlanLimits
from dicom_export.settings.limits import number

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL_PARENT = DatasetName("local", "local", "local")
"""The Healthcare dataset of stores that are named by their id only."""

LOCAL_DATASET = ("local", "main")
"""The project and the dataset of the tables of a server that is told of no other."""

CONSOLE_BUCKET = "console-filters"
"""The bucket of the filter files that people paste or choose in the console."""

READS_AT_ONCE = "DICOM_EXPORT_READS_AT_ONCE"
"""The environment variable for `readers`."""

_MOST_AT_ONCE = 256

# Smaller messages let a killed run repeat less work and the progress bar move in smaller steps, but each message costs
# a commit, which is slow for a table of many columns.
# The queue refuses no message, and plans only when nothing else waits, so that `outstanding` need not hold the planner back.
LOCAL_LIMITS = PlanLimits(bundle=4_000, split=4_000, outstanding=1_000)


def _plan_limits(data: Mapping[str, Any]) -> PlanLimits:
    return PlanLimits(
        **{**data, "objects": Limits(**data.get("objects", {})), "columns": ColumnLimits(**data.get("columns", {}))}
    )


def readers(environment: Mapping[str, str]) -> int:
    """Return how many files may be read at once. Raises ConfigurationError, which names the variable and what is expected."""
    return number(environment, READS_AT_ONCE, MOST_READERS, _MOST_AT_ONCE)


def local_store(name: str) -> StoreName:
    """Return the store's resource name: `name` itself if it is one, else that in LOCAL_PARENT."""
    return StoreName.parse(name if "/" in name else f"{LOCAL_PARENT}/dicomStores/{name}")


@dataclass(frozen=True, slots=True)
class LocalBucket:
    """A bucket, or a folder in one, that a command on one machine reads as a store.

    `is_anonymous` says that no credentials are used. `user_project` pays for the requests to a bucket of Cloud Storage whose
    requester pays. `endpoint_url` is the address of a server of S3 other than Amazon's. `allows_cold_reads` is whether
    objects in cold storage classes of Cloud Storage may be read.
    """

    folder: GcsFolder | S3Folder
    is_anonymous: bool = False
    user_project: str | None = None
    endpoint_url: str | None = None
    allows_cold_reads: bool = False

    def __str__(self) -> str:
        return str(self.folder)


Place = Path | LocalBucket
"""Where the objects of a store are."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The settings of an installation on one machine. A store of `serve` is a folder, that of a command may be a bucket.

    `data` holds the operations' state, uncommitted streams, and PROJECT.duckdb for each project
    that has no file in `databases`. `datasets` are created if they are missing. `ignore` are
    patterns of the names of files that are not instances. With `links`, copies of files are hard
    links where that is possible. With `archives`, the members of ZIP and tar archives are instances.
    `readers` is the number of files that are read at once if the disk is slow; with 1, each process reads one.
    `shows_rows` says whether the console may show rows, which are patient data.
    """

    data: Path
    stores: Mapping[StoreName, Place]
    buckets: Mapping[str, Path] = field(default_factory=dict)
    databases: Mapping[str, Path] = field(default_factory=dict)
    datasets: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    limits: PlanLimits = LOCAL_LIMITS
    links: bool = False
    archives: bool = False
    shows_rows: bool = True
    readers: int = MOST_READERS

    @property
    def filter_folder(self) -> Path:
        """The folder of CONSOLE_BUCKET."""
        return self.data / "filters"

    def to_json(self) -> dict[str, Any]:
        return {
            "data": str(self.data),
            "stores": {str(name): str(folder) for name, folder in self.stores.items()},
            "buckets": {name: str(folder) for name, folder in self.buckets.items()},
            "databases": {project: str(file) for project, file in self.databases.items()},
            "datasets": self.datasets,
            "ignore": self.ignore,
            "workers": self.workers,
            "limits": asdict(self.limits),
            "links": self.links,
            "archives": self.archives,
            "shows_rows": self.shows_rows,
            "readers": self.readers,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LocalSettings:
        return cls(
            Path(data["data"]),
            {StoreName.parse(name): Path(folder) for name, folder in data["stores"].items()},
            {name: Path(folder) for name, folder in data["buckets"].items()},
            {project: Path(file) for project, file in data["databases"].items()},
            tuple((project, dataset) for project, dataset in data["datasets"]),
            tuple(data["ignore"]),
            data["workers"],
            _plan_limits(data["limits"]),
            data.get("links", False),
            data.get("archives", False),
            data.get("shows_rows", True),
            data.get("readers", MOST_READERS),
        )

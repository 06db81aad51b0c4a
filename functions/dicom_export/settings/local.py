"""The only place that reads, or writes, the environment: how an installation is set up."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_export.errors import ConfigurationError
from dicom_export.names import DatasetName, StoreName
from dicom_export.planning import PlanLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL_PARENT = DatasetName("local", "local", "local")
"""The Healthcare dataset of stores that are given no whole resource name."""

LOCAL_SETTINGS = "DICOM_EXPORT_LOCAL"
"""The environment variable that holds LocalSettings as JSON."""

# Smaller messages than in the cloud: a bundle is what a killed run reads again, and a step of the progress bar.
_LOCAL_LIMITS = PlanLimits(bundle=200, split=1_000)


def local_store(name: str) -> StoreName:
    """Return the store's resource name: as given when it is a whole one, else below LOCAL_PARENT."""
    return StoreName.parse(name if "/" in name else f"{LOCAL_PARENT}/dicomStores/{name}")


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """An installation on one machine.

    `data` holds the operations' state, streams that are not committed yet, and PROJECT.duckdb for each project that
    `databases` gives no file of its own. `datasets` are created when they are missing. `ignore` are patterns of names
    that are no instances.
    """

    data: Path
    stores: Mapping[StoreName, Path]
    buckets: Mapping[str, Path] = field(default_factory=dict)
    databases: Mapping[str, Path] = field(default_factory=dict)
    datasets: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    limits: PlanLimits = _LOCAL_LIMITS

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
            PlanLimits(**data["limits"]),
        )


def publish(settings: LocalSettings) -> None:
    """Put the settings into this process' environment, where the functions find theirs."""
    os.environ[LOCAL_SETTINGS] = json.dumps(settings.to_json())


def from_environment() -> LocalSettings:
    """Return the installation's settings. Raises ConfigurationError naming what is missing or malformed."""
    text = os.environ.get(LOCAL_SETTINGS)
    if text is None:
        raise ConfigurationError(f"{LOCAL_SETTINGS} is not set; `dicom-export serve` sets it from its options")
    try:
        return LocalSettings.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{LOCAL_SETTINGS} is malformed: {type(error).__name__}: {error}") from error

"""Read the settings of an installation. Only this package reads or writes the environment."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from dicom_export.errors import ConfigurationError
from dicom_export.settings import cloud, local
from dicom_export.settings.cloud import CloudSettings
from dicom_export.settings.limits import column_limits, object_limits
from dicom_export.settings.local import (
    CONSOLE_BUCKET,
    LOCAL_DATASET,
    LOCAL_LIMITS,
    LOCAL_PARENT,
    LocalBucket,
    LocalSettings,
    Place,
    local_store,
)

if TYPE_CHECKING:
    from dicom_export.diagnosing.installation import Installation
    from dicom_export.operations.planning import PlanLimits

__all__ = [
    "CONSOLE_BUCKET",
    "LOCAL_DATASET",
    "LOCAL_PARENT",
    "LOCAL_SETTINGS",
    "CloudSettings",
    "LocalBucket",
    "LocalSettings",
    "Place",
    "from_environment",
    "has_display",
    "installation",
    "is_in_cloud",
    "local_limits",
    "local_readers",
    "local_store",
    "publish",
]

LOCAL_SETTINGS = "DICOM_EXPORT_LOCAL"
"""The environment variable that holds LocalSettings as JSON."""


def publish(settings: LocalSettings) -> None:
    """Write the settings to this process' environment, where the functions find them."""
    os.environ[LOCAL_SETTINGS] = json.dumps(settings.to_json())


def from_environment() -> LocalSettings | CloudSettings:
    """Return the installation's settings. Raises ConfigurationError, which names the variable that is missing or wrong."""
    text = os.environ.get(LOCAL_SETTINGS)
    if text is None:
        return cloud.parse(os.environ)
    given = sorted(set(cloud.VARIABLES) & set(os.environ))
    if given:
        raise ConfigurationError(
            f"{LOCAL_SETTINGS} and {given[0]} are both set; an installation is either local or on Google Cloud"
        )
    try:
        return LocalSettings.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{LOCAL_SETTINGS} is malformed: {type(error).__name__}: {error}") from error


def local_limits() -> PlanLimits:
    """Return the limits of an installation on one machine. Raises ConfigurationError, which names the variable and what is expected."""
    return replace(LOCAL_LIMITS, objects=object_limits(os.environ), columns=column_limits(os.environ))


def local_readers() -> int:
    """Return how many files one machine reads at once from a slow disk. Raises ConfigurationError, as above."""
    return local.readers(os.environ)


def has_display() -> bool:
    """Say whether a browser could open a window here."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def installation() -> Installation:
    """Return what Terraform installed, as its output describes it. Raises ConfigurationError."""
    return cloud.parse_installation(os.environ)


def is_in_cloud() -> bool:
    """Return whether the environment describes an installation on Google Cloud, complete or not."""
    return any(name in os.environ for name in cloud.VARIABLES)

"""Check the libraries that only an installation on Google Cloud needs: the extra `cloud` of the package."""

from __future__ import annotations

from importlib.util import find_spec

from dicom_export.errors import ConfigurationError

_LIBRARIES = (
    "google.cloud.bigquery",
    "google.cloud.bigquery_storage_v1",
    "google.cloud.pubsub_v1",
    "google.cloud.storage",
    "pycurl",
)


def check_cloud_libraries() -> None:
    """Raise ConfigurationError if one is not installed. None of them is imported."""
    missing = [name for name in _LIBRARIES if not _is_installed(name)]
    if missing:
        raise ConfigurationError(
            f"The environment describes an installation on Google Cloud, but {missing[0]} is not installed:"
            " pip install 'dicom-export[cloud]'"
        )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # of a package above it
        return False

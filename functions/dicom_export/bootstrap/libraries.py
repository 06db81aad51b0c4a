"""Check the libraries that only an installation on Google Cloud needs: the extra `cloud` of the package."""

from __future__ import annotations

from importlib.util import find_spec

from dicom_export.errors import ConfigurationError

_IDENTITY_LIBRARIES = ("google.auth", "requests")
_LIBRARIES = (
    "google.cloud.bigquery",
    "google.cloud.bigquery_storage_v1",
    "google.cloud.pubsub_v1",
    "google.cloud.storage",
    "pycurl",
)


def check_cloud_libraries() -> None:
    """Raise ConfigurationError if one is not installed. None of them is imported."""
    _check(_LIBRARIES, "The environment describes an installation on Google Cloud", "")


def check_identity_libraries() -> None:
    """Raise ConfigurationError if an identity token cannot be had, because a library is not installed."""
    _check(_IDENTITY_LIBRARIES, "A service on another machine needs an identity token", ", or set DICOM_EXPORT_TOKEN")


def _check(libraries: tuple[str, ...], why: str, instead: str) -> None:
    missing = [name for name in libraries if not _is_installed(name)]
    if missing:
        raise ConfigurationError(
            f"{why}, but {missing[0]} is not installed: pip install 'dicom-export[cloud]'{instead}"
        )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # of a package above it
        return False

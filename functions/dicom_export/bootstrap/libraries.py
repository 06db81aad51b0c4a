"""Check the libraries of the extras of the package: `cloud` for Google Cloud, `s3` for S3 buckets."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from dicom_export.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_IDENTITY_LIBRARIES = ("google.auth", "requests")
_LIBRARIES = (
    "google.cloud.bigquery",
    "google.cloud.bigquery_storage_v1",
    "google.cloud.pubsub_v1",
    "google.cloud.storage",
    "pycurl",
)

_OF_GOOGLE_BUCKETS = ("google.cloud.storage", "pycurl", "certifi")
_OF_S3_BUCKETS = ("botocore",)


def check_cloud_libraries() -> None:
    """Raise ConfigurationError if one is not installed. None of them is imported."""
    _check(_LIBRARIES, "The environment describes an installation on Google Cloud")


def check_identity_libraries() -> None:
    """Raise ConfigurationError if an identity token cannot be had, because a library is not installed."""
    _check(_IDENTITY_LIBRARIES, "A service on another machine needs an identity token", ", or set DICOM_EXPORT_TOKEN")


def _check(libraries: Sequence[str], why: str, instead: str = "", *, extra: str = "cloud") -> None:
    missing = [name for name in libraries if not _is_installed(name)]
    if missing:
        raise ConfigurationError(
            f"{why}, but {missing[0]} is not installed: pip install 'dicom-export[{extra}]'{instead}"
        )


def check_bucket_libraries(uri: str, *, is_google: bool) -> None:
    """Raise ConfigurationError if a library that reads the bucket is not installed. None of them is imported."""
    libraries, extra = (_OF_GOOGLE_BUCKETS, "cloud") if is_google else (_OF_S3_BUCKETS, "s3")
    _check(libraries, f"{uri} is a bucket", extra=extra)


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # of a package above it
        return False

"""What `terraform output` would say of an installation on the emulators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.clouds import STORE
from support.installations import RUNTIME

if TYPE_CHECKING:
    from support.clouds import Cloud

APIS = ["bigquery.googleapis.com", "pubsub.googleapis.com"]


def description_of(cloud: Cloud, **changes: Any) -> dict[str, Any]:
    """Return the setting DICOM_EXPORT_INSTALLATION."""
    project, _, dataset = cloud.dataset.partition(".")
    return {
        "region": "us",
        "runtime": RUNTIME,
        "apiUrl": cloud.api_url.rstrip("/"),
        "apiFunction": "export-api",
        "ackDeadlineSeconds": 60,
        "apis": APIS,
        "receivers": cloud.receivers,
        "datasets": [{"name": cloud.dataset, "staging": f"{project}.{dataset}_staging"}],
        "notifications": [{"bucket": cloud.bucket, "prefix": "dicom/", "eventTypes": ["OBJECT_FINALIZE"]}],
        "lostLetters": f"projects/{project}/subscriptions/{dataset}-lost-letters",
        "smokeTest": {"store": str(STORE), "bucket": cloud.bucket, "prefix": "dicom/", "dataset": cloud.dataset},
        **changes,
    }

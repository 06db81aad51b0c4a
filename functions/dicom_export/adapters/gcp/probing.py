"""Check messages, and the calls by which a function finds out what its account may do."""

from __future__ import annotations

import json
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS, google_errors
from dicom_export.adapters.gcp.pubsub import publish_data
from dicom_export.adapters.gcp.storage.client import called, shared_client
from dicom_export.diagnosing.check_message import CHECK_ATTRIBUTE, Check
from dicom_export.errors import NotFound, PermissionDenied, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.cloud.bigquery import Client as BigQueryClient
    from google.cloud.pubsub_v1 import PublisherClient  # type: ignore[import-untyped]  # it has no types
    from google.cloud.storage import Client  # type: ignore[import-untyped]  # it has no types

    from dicom_export.adapters.gcp.rest import ApiCaller

_ERRORS = {
    HTTPStatus.UNAUTHORIZED: PermissionDenied,
    HTTPStatus.FORBIDDEN: PermissionDenied,
    HTTPStatus.NOT_FOUND: NotFound,
}


class GoogleCheckSender:
    """Sends check messages by Pub/Sub, and to the API with the caller's token."""

    def __init__(self, publisher: Callable[[], PublisherClient], api: ApiCaller) -> None:
        self._publisher = publisher
        self._api = api

    def publish(self, topic: str, check: Check) -> None:
        with google_errors("Connecting to Pub/Sub"):
            client = self._publisher()
        publish_data(client, topic, check.encode(), {CHECK_ATTRIBUTE: check.id})

    def post(self, api_url: str, check: Check) -> None:
        headers = {CHECK_ATTRIBUTE: check.id, "Content-Type": "application/json"}
        answer = self._api.call("POST", f"{api_url}/check", check.encode(), headers)
        if not answer.ok:
            raise _ERRORS.get(HTTPStatus(answer.status_code), Unavailable)(
                f"POST {api_url}/check: {answer.status_code} {_message_of(answer.text)}"
            )


class GoogleProbes:
    """The calls of one function. `topics` are resource names by kind of message."""

    def __init__(
        self,
        topics: Mapping[str, str],
        sender: GoogleCheckSender,
        bigquery: Callable[[], BigQueryClient],
        storage: Callable[[], Client] = shared_client,
    ) -> None:
        self._topics = topics
        self._sender = sender
        self._bigquery = bigquery
        self._storage = storage

    def describe_bucket(self, bucket: str) -> None:
        called(
            f"Describe bucket {bucket}", lambda: self._storage().get_bucket(bucket, timeout=TIMEOUT_SECONDS, retry=None)
        )

    def describe_tables(self, dataset: str) -> None:
        """As the port says. Without the right, BigQuery answers 403 for a table that does not exist, and with it 404."""
        with google_errors(f"Describe dataset {dataset}"):
            client = self._bigquery()
            client.get_dataset(dataset, retry=None, timeout=TIMEOUT_SECONDS)  # type: ignore[arg-type]  # None is no retry
        with google_errors(f"Describe tables of {dataset}"):
            try:
                client.get_table(_nobodys(dataset), retry=None, timeout=TIMEOUT_SECONDS)  # type: ignore[arg-type]
            except exceptions.NotFound:
                return

    def edit_tables(self, dataset: str) -> None:
        """As the port says. Whoever may delete tables has a role that may create and fill them too."""
        self.describe_tables(dataset)
        with google_errors(f"Edit tables of {dataset}"):
            try:
                self._bigquery().delete_table(_nobodys(dataset), retry=None, timeout=TIMEOUT_SECONDS)  # type: ignore[arg-type]
            except exceptions.NotFound:
                return

    def run_job(self) -> None:
        from google.cloud.bigquery import QueryJobConfig

        with google_errors("Run a BigQuery job"):
            client = self._bigquery()
            config = QueryJobConfig(dry_run=True, use_query_cache=False)
            client.query("SELECT 1", job_config=config, retry=None, job_retry=None, timeout=TIMEOUT_SECONDS)  # type: ignore[arg-type]
        with google_errors("Look up a BigQuery job"):
            try:
                client.get_job(f"dicom_export_check_{uuid.uuid4().hex}", retry=None, timeout=TIMEOUT_SECONDS)  # type: ignore[arg-type]
            except exceptions.NotFound:
                return

    def publish(self, kind: str, check: str) -> None:
        self._sender.publish(self._topics[kind], Check(check, is_probe=True))


def _nobodys(dataset: str) -> str:
    """Return the name of a table that does not exist."""
    return f"{dataset}.dicom_export_check_{uuid.uuid4().hex}"


def _message_of(text: str) -> str:
    try:
        content: Any = json.loads(text)
        return str(content["error"]["message"])
    except (KeyError, TypeError, ValueError):
        return ""

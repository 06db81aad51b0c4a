"""What Google Cloud says of the resources of an installation."""

from __future__ import annotations

from datetime import date
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from dicom_export.adapters.gcp.calls import RETRY, TIMEOUT_SECONDS, google_errors
from dicom_export.adapters.gcp.storage.client import called, shared_client
from dicom_export.diagnosing.facts import (
    ApiAnswer,
    BucketFacts,
    DatasetFacts,
    NotificationFacts,
    RuntimeFacts,
    SubscriptionFacts,
)
from dicom_export.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from google.cloud.bigquery import Client as BigQueryClient
    from google.cloud.storage import Bucket, Client  # type: ignore[import-untyped]  # it has no types

    from dicom_export.adapters.gcp.rest import ApiCaller, GoogleRest

_SERVICES = "https://serviceusage.googleapis.com/v1"
_FUNCTIONS = "https://cloudfunctions.googleapis.com/v2"
_MOST_SERVICES = 20
_TOPICS = "//pubsub.googleapis.com/"
_SHOWN = 200
_BRIEF = RETRY.with_timeout(25.0)
_READING_ROLES = frozenset({"READER", "WRITER", "OWNER"}) | {
    f"roles/bigquery.{role}" for role in ("dataViewer", "dataEditor", "dataOwner", "admin")
}
_OWNERS = "projectOwners"


class GoogleInspection:
    """The resources as the caller may see them. Clients connect at the first call."""

    def __init__(
        self,
        rest: GoogleRest,
        api: ApiCaller,
        bigquery: Callable[[], BigQueryClient],
        storage: Callable[[], Client] = shared_client,
    ) -> None:
        self._rest = rest
        self._api = api
        self._open_bigquery = bigquery
        self._storage = storage

    def enabled_apis(self, project: str, names: Collection[str]) -> Collection[str]:
        found: set[str] = set()
        wanted = sorted(names)
        for start in range(0, len(wanted), _MOST_SERVICES):
            parameters = {"names": [f"projects/{project}/services/{name}" for name in wanted[start:][:_MOST_SERVICES]]}
            answer = self._rest.get(f"{_SERVICES}/projects/{project}/services:batchGet", parameters)
            found |= {each["config"]["name"] for each in answer["services"] if each["state"] == "ENABLED"}
        return found

    def bucket(self, name: str) -> BucketFacts | None:
        try:
            found = called(f"Describe bucket {name}", partial(self._bucket, name))
        except NotFound:
            return None
        return _bucket_facts(found._properties)  # noqa: SLF001 - the resource, of which the library has no public form

    def notifications(self, bucket: str) -> Sequence[NotificationFacts]:
        found = called(f"List the notifications of bucket {bucket}", partial(self._notifications, bucket))
        return [_notification_facts(each) for each in found]

    def has_topic(self, topic: str) -> bool:
        with google_errors(f"Look up {topic}"):
            publisher = self._publisher
        try:
            with google_errors(f"Look up {topic}"):
                publisher.get_topic(topic=topic, retry=_BRIEF, timeout=TIMEOUT_SECONDS)
        except NotFound:
            return False
        return True

    def subscription(self, name: str) -> SubscriptionFacts | None:
        try:
            with google_errors(f"Look up {name}"):
                found = self._subscriber.get_subscription(subscription=name, retry=_BRIEF, timeout=TIMEOUT_SECONDS)
        except NotFound:
            return None
        return _subscription_facts(found)

    def dataset(self, name: str) -> DatasetFacts | None:
        try:
            with google_errors(f"Describe dataset {name}"):
                found = self._bigquery.get_dataset(name, retry=_BRIEF, timeout=TIMEOUT_SECONDS)
        except NotFound:
            return None
        return _dataset_facts(found.to_api_repr())

    def runtimes(self, project: str, region: str) -> Mapping[str, RuntimeFacts]:
        answer = self._rest.get(f"{_FUNCTIONS}/projects/{project}/locations/{region}/runtimes")
        return {
            each["name"]: RuntimeFacts(_date(each.get("deprecationDate")), _date(each.get("decommissionDate")))
            for each in answer.get("runtimes", [])
            if each.get("environment") == "GEN_2"
        }

    def call_api(self, url: str) -> ApiAnswer:
        answer = self._api.call("GET", url)
        return ApiAnswer(answer.status_code, answer.text[:_SHOWN])

    def _bucket(self, name: str) -> Bucket:
        return self._storage().get_bucket(name, timeout=TIMEOUT_SECONDS, retry=None)

    def _notifications(self, bucket: str) -> list[Any]:
        return list(self._storage().bucket(bucket).list_notifications(timeout=TIMEOUT_SECONDS, retry=None))

    @cached_property
    def _publisher(self) -> Any:  # noqa: ANN401 - the library has no types
        from google.cloud.pubsub_v1 import PublisherClient  # type: ignore[import-untyped]

        return PublisherClient()

    @cached_property
    def _subscriber(self) -> Any:  # noqa: ANN401 - the library has no types
        from google.cloud.pubsub_v1 import SubscriberClient

        return SubscriberClient()

    @cached_property
    def _bigquery(self) -> BigQueryClient:
        with google_errors("Connect to BigQuery"):
            return self._open_bigquery()


def _bucket_facts(resource: Mapping[str, Any]) -> BucketFacts:
    """Source: https://cloud.google.com/storage/docs/json_api/v1/buckets."""
    autoclass = resource.get("autoclass", {})
    return BucketFacts(
        location=resource.get("location", ""),
        regions=tuple(resource.get("customPlacementConfig", {}).get("dataLocations", ())),
        storage_class=resource.get("storageClass", "STANDARD"),
        terminal_class=autoclass.get("terminalStorageClass", "NEARLINE") if autoclass.get("enabled") else "",
        requester_pays=bool(resource.get("billing", {}).get("requesterPays")),
        keeps_versions=bool(resource.get("versioning", {}).get("enabled")),
    )


def _notification_facts(found: Any) -> NotificationFacts:  # noqa: ANN401 - the library has no types
    topic = f"projects/{found.topic_project}/topics/{found.topic_name}"
    return NotificationFacts(
        topic.removeprefix(_TOPICS),
        found.payload_format,
        frozenset(found.event_types or ()),
        found.blob_name_prefix or "",
    )


def _subscription_facts(found: Any) -> SubscriptionFacts:  # noqa: ANN401 - the library has no types
    """Source: https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions."""
    push, policy = found.push_config, found.dead_letter_policy
    return SubscriptionFacts(
        topic=found.topic,
        endpoint=push.push_endpoint,
        audience=push.oidc_token.audience,
        invoker=push.oidc_token.service_account_email,
        ack_deadline_seconds=found.ack_deadline_seconds,
        dead_letter_topic=policy.dead_letter_topic,
        max_attempts=policy.max_delivery_attempts,
        is_active=found.state.name != "RESOURCE_ERROR",
    )


def _dataset_facts(resource: Mapping[str, Any]) -> DatasetFacts:
    """Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets."""
    readers = (_group(each) for each in resource.get("access", ()) if each.get("role") in _READING_ROLES)
    return DatasetFacts(resource.get("location", ""), tuple(sorted({each for each in readers if each})))


def _group(entry: Mapping[str, Any]) -> str:
    """Return the group of people of an access entry, or an empty text for one account and for the owners."""
    group = (
        entry.get("specialGroup") or entry.get("domain") or entry.get("iamMember") or entry.get("groupByEmail") or ""
    )
    is_account = str(group).startswith(("user:", "serviceAccount:"))
    return "" if is_account or group == _OWNERS else str(group)


def _date(found: Mapping[str, int] | None) -> date | None:
    """Source: https://cloud.google.com/functions/docs/reference/rest/Shared.Types/Date."""
    return date(found["year"], found["month"], found["day"]) if found and found.get("year") else None

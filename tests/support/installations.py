"""An installation as Terraform describes it, and what Google Cloud says when it is healthy."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from dicom_export.diagnosing.facts import (
    ApiAnswer,
    BucketFacts,
    DatasetFacts,
    NotificationFacts,
    RuntimeFacts,
    SubscriptionFacts,
)
from dicom_export.diagnosing.installation import Installation
from dicom_export.diagnosing.needs import NEEDS

if TYPE_CHECKING:
    from collections.abc import Collection

    from dicom_export.diagnosing.check_message import Check
    from dicom_export.state.checks import Checks

REGION = "us-central1"
RUNTIME = "python311"
INVOKER = "invoker@my-project.iam.gserviceaccount.com"
DEADLINE = 600
EVENTS = ("OBJECT_FINALIZE", "OBJECT_ARCHIVE", "OBJECT_DELETE")
TOPICS = {
    "start_export": "export-requests",
    "plan_export": "plan-export",
    "export_study": "export-study",
    "stream_instance": "instance-changed",
    "record_result": "study-exported",
    "record_dead_letter": "dead-letters",
    "report_lost_instance": "dead-instance-changes",
    "refuse_export": "dead-export-requests",
}


def topic(name: str) -> str:
    return f"projects/my-project/topics/{name}"


def receiver(function: str, **changes: Any) -> dict[str, Any]:
    name = f"dicom-{function.replace('_', '-')}"
    return {
        "function": name,
        "topic": topic(TOPICS[function]),
        "subscription": f"projects/my-project/subscriptions/{name}",
        "endpoint": f"https://{name}.run.app",
        "invoker": INVOKER,
        "deadLetterTopic": topic("dead-letters"),
        "maxDeliveryAttempts": 10,
        **changes,
    }


def description(**changes: Any) -> dict[str, Any]:
    """Return DICOM_EXPORT_INSTALLATION."""
    return {
        "region": REGION,
        "runtime": RUNTIME,
        "apiUrl": "https://dicom-export-api.run.app",
        "apiFunction": "dicom-export-api",
        "ackDeadlineSeconds": DEADLINE,
        "apis": ["bigquery.googleapis.com", "pubsub.googleapis.com"],
        "lostLetters": "projects/my-project/subscriptions/dicom-lost-letters",
        "receivers": {function: receiver(function) for function in TOPICS},
        "datasets": [{"name": "my-project.dicom", "staging": "my-project.dicom_staging_dicom"}],
        "notifications": [{"bucket": "images", "prefix": "dicom/", "eventTypes": list(EVENTS)}],
        **changes,
    }


def installation(**changes: Any) -> Installation:
    return Installation.from_json(description(**changes))


def pushing(function: str = "plan_export", **changes: Any) -> SubscriptionFacts:
    """Return a subscription as it should be, but for the changes."""
    expected = receiver(function)
    facts: dict[str, Any] = {
        "topic": expected["topic"],
        "endpoint": expected["endpoint"],
        "audience": expected["endpoint"],
        "invoker": INVOKER,
        "ack_deadline_seconds": DEADLINE,
        "dead_letter_topic": expected["deadLetterTopic"],
        "max_attempts": expected["maxDeliveryAttempts"],
    }
    return SubscriptionFacts(**facts | changes)


@dataclass
class ScriptedInspection:
    """What Google Cloud says of a healthy installation. An error in a field is raised."""

    apis: Any = frozenset({"bigquery.googleapis.com", "pubsub.googleapis.com"})
    buckets: dict[str, Any] = field(
        default_factory=lambda: {"state": BucketFacts("US-CENTRAL1"), "images": BucketFacts("US-CENTRAL1")}
    )
    configurations: Any = (NotificationFacts(topic("instance-changed"), "JSON_API_V1", frozenset(EVENTS), "dicom/"),)
    topics: Any = frozenset(map(topic, TOPICS.values()))
    subscriptions: dict[str, Any] = field(
        default_factory=lambda: {
            **{receiver(each)["subscription"]: pushing(each) for each in TOPICS},
            "projects/my-project/subscriptions/dicom-lost-letters": SubscriptionFacts(topic("lost-letters")),
        }
    )
    datasets: dict[str, Any] = field(
        default_factory=lambda: {
            "my-project.dicom": DatasetFacts("us-central1", ("projectReaders",)),
            "my-project.dicom_staging_dicom": DatasetFacts("us-central1"),
        }
    )
    known_runtimes: Any = field(default_factory=lambda: {RUNTIME: RuntimeFacts(date(2027, 10, 24), date(2028, 4, 24))})
    answer: Any = field(default_factory=lambda: ApiAnswer(200, "{}"))

    def enabled_apis(self, _project: str, _names: Collection[str]) -> Any:
        return _given(self.apis)

    def bucket(self, name: str) -> Any:
        return _given(self.buckets.get(name))

    def notifications(self, _bucket: str) -> Any:
        return _given(self.configurations)

    def has_topic(self, name: str) -> bool:
        return name in _given(self.topics)

    def subscription(self, name: str) -> Any:
        return _given(self.subscriptions.get(name))

    def dataset(self, name: str) -> Any:
        return _given(self.datasets.get(name))

    def runtimes(self, _project: str, _region: str) -> Any:
        return _given(self.known_runtimes)

    def call_api(self, _url: str) -> Any:
        return _given(self.answer)


def _given(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


@dataclass
class AnsweringSender:
    """Functions that answer each check at once, those of `silent` not at all. `failing` raises at publishing."""

    checks: Checks
    silent: tuple[str, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)
    failing: Exception | None = None
    sent: list[tuple[str, Check]] = field(default_factory=list)

    def publish(self, topic_name: str, check: Check) -> None:
        if self.failing:
            raise self.failing
        self.sent.append((topic_name, check))
        self._answer(next(each for each in TOPICS if topic(TOPICS[each]) == topic_name), check)

    def post(self, api_url: str, check: Check) -> None:
        self.sent.append((api_url, check))
        self._answer("export_api", check)

    def _answer(self, function: str, check: Check) -> None:
        if function not in self.silent:
            error = self.errors.get(function, "")
            place = NEEDS[function].places[0]
            self.checks.create(check.id, function, [{"place": place.value, "subject": "a resource", "error": error}])

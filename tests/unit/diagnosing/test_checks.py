"""Each check by itself: a healthy fact is fine, and each fault is found with what mends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.diagnosing.accounts import check_account
from dicom_export.diagnosing.answering import Answer
from dicom_export.diagnosing.apis import check_apis
from dicom_export.diagnosing.buckets import check_state_bucket, check_store_bucket
from dicom_export.diagnosing.datasets import check_dataset
from dicom_export.diagnosing.facts import ApiAnswer, BucketFacts, DatasetFacts, NotificationFacts, RuntimeFacts
from dicom_export.diagnosing.findings import Finding, Status, Unreadable, is_healthy
from dicom_export.diagnosing.installation import InstalledDataset, Notified, Receiver
from dicom_export.diagnosing.locations import has_region
from dicom_export.diagnosing.needs import Place
from dicom_export.diagnosing.notifications import check_notifications
from dicom_export.diagnosing.reachability import check_api
from dicom_export.diagnosing.runtimes import check_runtime
from dicom_export.diagnosing.subscriptions import check_lost_letters, check_subscription
from dicom_export.diagnosing.topics import check_topic
from support.installations import DEADLINE, EVENTS, REGION, RUNTIME, pushing, receiver, topic

if TYPE_CHECKING:
    from collections.abc import Iterable

DENIED = Unreadable("403")
HERE = BucketFacts("US-CENTRAL1")
TODAY = date(2026, 12, 1)


def only(findings: Iterable[Finding]) -> Finding:
    (finding,) = findings
    assert bool(finding.mend) is (finding.status is not Status.OK)
    return finding


def assert_found(findings: Iterable[Finding], status: Status, fact: str, mend: str) -> None:
    finding = only(findings)
    assert finding.status is status
    assert fact in finding.fact
    assert mend in finding.mend


# APIs


def test_enabled_apis_are_fine() -> None:
    assert only(check_apis("p", ["a", "b"], {"a", "b", "c"})).status is Status.OK


def test_an_api_that_is_not_enabled_is_named_with_its_command() -> None:
    assert_found(
        check_apis("p", ["a", "b"], {"a"}), Status.WRONG, "not enabled", "gcloud services enable b --project=p"
    )


# Buckets


@pytest.mark.parametrize("check", [check_state_bucket, check_store_bucket])
def test_a_bucket_in_the_region_is_fine(check: Any) -> None:
    assert only(check("b", REGION, HERE)).status is Status.OK


@pytest.mark.parametrize("check", [check_state_bucket, check_store_bucket])
def test_a_bucket_that_does_not_exist_is_wrong(check: Any) -> None:
    assert only(check("b", REGION, None)).status is Status.WRONG


@pytest.mark.parametrize("check", [check_state_bucket, check_store_bucket])
def test_a_bucket_in_another_region_is_noticed(check: Any) -> None:
    assert_found(check("b", REGION, BucketFacts("EUROPE-WEST4")), Status.NOTICE, "EUROPE-WEST4", "`region`")


def test_a_state_with_versions_is_noticed() -> None:
    found = replace(HERE, keeps_versions=True)
    assert_found(check_state_bucket("b", REGION, found), Status.NOTICE, "old versions", "--no-versioning")


@pytest.mark.parametrize(
    ("found", "fact", "mend"),
    [
        (replace(HERE, requester_pays=True), "UserProjectMissing", "--no-requester-pays"),
        (replace(HERE, terminal_class="ARCHIVE"), "Autoclass (down to ARCHIVE)", "stream_configs"),
        (replace(HERE, storage_class="NEARLINE"), "NEARLINE", "--default-storage-class=STANDARD"),
    ],
)
def test_what_reading_a_bucket_costs_is_noticed(found: BucketFacts, fact: str, mend: str) -> None:
    assert_found(check_store_bucket("b", REGION, found), Status.NOTICE, fact, mend)


def test_each_cost_of_a_bucket_is_a_finding() -> None:
    found = BucketFacts("ASIA", storage_class="COLDLINE", requester_pays=True)
    assert len(list(check_store_bucket("b", REGION, found))) == 3


@pytest.mark.parametrize(
    ("location", "regions", "region", "is_there"),
    [
        ("US", (), "us-central1", True),
        ("US", (), "europe-west1", False),
        ("EU", (), "europe-west1", True),
        ("EU", (), "europe-west2", False),
        ("EU", (), "europe-west6", False),
        ("ASIA", (), "asia-east1", True),
        ("NAM4", (), "us-east1", True),
        ("NAM4", (), "us-west1", False),
        ("EUR5", (), "europe-west2", True),
        ("US", ("US-WEST1", "US-EAST1"), "us-central1", False),
        ("US", ("US-WEST1", "US-CENTRAL1"), "us-central1", True),
        ("US-CENTRAL1", (), "us-central1", True),
    ],
)
def test_a_location_has_its_regions(location: str, regions: tuple[str, ...], region: str, is_there: bool) -> None:  # noqa: FBT001 - expected
    assert has_region(location, regions, region) is is_there


# Notifications

CHANGES = topic("instance-changed")
REPORTS = NotificationFacts(CHANGES, "JSON_API_V1", frozenset(EVENTS), "dicom/")
NOTIFIED = Notified("images", "dicom/", frozenset(EVENTS))


@pytest.mark.parametrize("found", [REPORTS, replace(REPORTS, event_types=frozenset()), replace(REPORTS, prefix="")])
def test_a_bucket_that_reports_its_changes_is_fine(found: NotificationFacts) -> None:
    assert only(check_notifications(NOTIFIED, CHANGES, [found], HERE)).status is Status.OK


@pytest.mark.parametrize(
    ("found", "fact"),
    [
        ([], "does not notify"),
        ([replace(REPORTS, topic=topic("another"))], "it notifies projects/my-project/topics/another"),
        ([replace(REPORTS, prefix="other/")], "only objects with the prefix 'other/'"),
        ([replace(REPORTS, payload_format="NONE")], "the payload is NONE"),
        (
            [replace(REPORTS, event_types=frozenset({"OBJECT_FINALIZE"}))],
            "OBJECT_ARCHIVE, OBJECT_DELETE is not reported",
        ),
    ],
)
def test_a_bucket_that_does_not_report_all_changes_is_wrong(found: list[NotificationFacts], fact: str) -> None:
    assert_found(check_notifications(NOTIFIED, CHANGES, found, HERE), Status.WRONG, fact, "terraform apply")


def test_changes_that_are_reported_twice_are_noticed() -> None:
    found = check_notifications(NOTIFIED, CHANGES, [REPORTS, replace(REPORTS, prefix="")], HERE)
    assert_found(found, Status.NOTICE, "2 configurations", "notifications list gs://images")


def test_event_types_of_two_configurations_count_together() -> None:
    halves = [replace(REPORTS, event_types=frozenset({each})) for each in EVENTS]
    assert is_healthy(check_notifications(NOTIFIED, CHANGES, halves, HERE))


def test_deletions_in_a_bucket_with_versions_have_to_be_reported_as_archived() -> None:
    expected = Notified("images", "", frozenset({"OBJECT_FINALIZE", "OBJECT_DELETE"}))
    reports = NotificationFacts(CHANGES, "JSON_API_V1", expected.event_types)
    assert is_healthy(check_notifications(expected, CHANGES, [reports], HERE))
    versions = replace(HERE, keeps_versions=True)
    assert not is_healthy(check_notifications(expected, CHANGES, [reports], versions))


# Topics and subscriptions

RECEIVER = Receiver.from_json(receiver("plan_export"))


def test_a_topic_exists_or_is_wrong() -> None:
    assert only(check_topic("t", True)).status is Status.OK  # noqa: FBT003 - a fact
    assert_found(check_topic("t", False), Status.WRONG, "does not exist", "terraform apply")  # noqa: FBT003 - a fact


@pytest.mark.parametrize("found", [pushing(), pushing(audience="")])
def test_a_subscription_that_pushes_as_it_should_is_fine(found: Any) -> None:
    assert only(check_subscription(RECEIVER, DEADLINE, found)).status is Status.OK


@pytest.mark.parametrize(
    ("changes", "fact", "mend"),
    [
        ({"topic": "_deleted-topic_"}, "its topic was deleted", "subscriptions delete"),
        ({"topic": topic("other")}, "its topic is projects/my-project/topics/other", "subscriptions delete"),
        ({"endpoint": "", "audience": ""}, "pushes to nothing", "--push-endpoint=https://dicom-plan-export.run.app"),
        ({"endpoint": "https://old.run.app"}, "pushes to https://old.run.app", "modify-push-config"),
        (
            {"audience": "https://old.run.app"},
            "the audience of its token is https://old",
            "--push-auth-token-audience=",
        ),
        ({"invoker": ""}, "pushes as nobody", "--push-auth-service-account=invoker@"),
        ({"ack_deadline_seconds": 10}, "waits 10 s", "--ack-deadline=600"),
        (
            {"dead_letter_topic": ""},
            "no dead-letter topic",
            "--dead-letter-topic=projects/my-project/topics/dead-letters",
        ),
        ({"dead_letter_topic": topic("x")}, "go to projects/my-project/topics/x", "--dead-letter-topic="),
        ({"max_attempts": 5}, "after 5 attempts", "--max-delivery-attempts=10"),
        ({"is_active": False}, "is not active", "subscriptions describe"),
    ],
)
def test_each_difference_of_a_subscription_is_wrong(changes: dict[str, Any], fact: str, mend: str) -> None:
    findings = list(check_subscription(RECEIVER, DEADLINE, pushing(**changes)))
    (finding,) = [each for each in findings if fact in each.fact]
    assert finding.status is Status.WRONG
    assert mend in finding.mend


def test_a_subscription_that_does_not_exist_is_wrong() -> None:
    assert_found(check_subscription(RECEIVER, DEADLINE, None), Status.WRONG, "does not exist", "terraform apply")


def test_lost_letters_are_kept_and_not_pushed() -> None:
    assert only(check_lost_letters("s", pushing(endpoint="", audience=""))).status is Status.OK
    assert_found(check_lost_letters("s", pushing()), Status.WRONG, "pushes", "terraform apply")
    assert_found(check_lost_letters("s", None), Status.WRONG, "does not exist", "terraform apply")


# Datasets

DATASET = InstalledDataset("p.dicom", "p.staging")
IN_US = DatasetFacts("US", ("projectReaders",))


def test_a_dataset_with_its_staging_dataset_is_fine() -> None:
    assert [each.status for each in check_dataset(DATASET, IN_US, DatasetFacts("us"))] == [Status.OK, Status.OK]


@pytest.mark.parametrize(
    ("found", "staging", "fact", "mend"),
    [
        (None, DatasetFacts("US"), "does not exist", "bq mk --dataset p:dicom"),
        (IN_US, None, "the dataset for overwrites does not exist", "terraform apply"),
        (IN_US, DatasetFacts("EU"), "is in EU, its dataset is in US", "bq rm -r --dataset p:staging"),
        (IN_US, DatasetFacts("US", ("projectReaders",)), "projectReaders may read it", "terraform apply"),
    ],
)
def test_each_fault_of_a_dataset_is_wrong(found: Any, staging: Any, fact: str, mend: str) -> None:
    wrong = [each for each in check_dataset(DATASET, found, staging) if each.status is not Status.OK]
    assert_found(wrong, Status.WRONG, fact, mend)


# Runtime


@pytest.mark.parametrize(
    ("found", "status", "fact"),
    [
        (RuntimeFacts(date(2027, 10, 24), None), Status.OK, "2027-10-24"),
        (RuntimeFacts(None, None), Status.OK, "is supported"),
        (RuntimeFacts(date(2027, 3, 1), None), Status.NOTICE, "will be deprecated on 2027-03-01"),
        (RuntimeFacts(date(2026, 12, 1), None), Status.WRONG, "is deprecated since 2026-12-01"),
        (RuntimeFacts(date(2026, 1, 1), date(2026, 11, 30)), Status.WRONG, "was decommissioned"),
    ],
)
def test_a_runtime_is_judged_by_its_dates(found: RuntimeFacts, status: Status, fact: str) -> None:
    finding = only(check_runtime(RUNTIME, {RUNTIME: found}, TODAY))
    assert finding.status is status
    assert fact in finding.fact


def test_a_runtime_that_is_not_listed_is_wrong() -> None:
    assert only(check_runtime(RUNTIME, {}, TODAY)).status is Status.WRONG


# API


@pytest.mark.parametrize(
    ("found", "status", "mend"),
    [
        (ApiAnswer(200, ""), Status.OK, ""),
        (ApiAnswer(401, ""), Status.WRONG, "api_callers"),
        (ApiAnswer(403, ""), Status.WRONG, "api_callers"),
        (ApiAnswer(404, ""), Status.WRONG, "api_ingress"),
        (ApiAnswer(500, "broken"), Status.WRONG, "log of the function export_api"),
        (Unreadable("no token"), Status.WRONG, "gcloud auth login"),
    ],
)
def test_the_answer_of_the_api_is_judged(found: Any, status: Status, mend: str) -> None:
    finding = only(check_api("https://api", found))
    assert finding.status is status
    assert mend in finding.mend


# Accounts


def test_an_account_whose_calls_succeed_is_fine() -> None:
    assert only(check_account("plan_export", "dicom-plan-export", [Answer(Place.STATE, "state")])).status is Status.OK


@pytest.mark.parametrize("place", Place)
def test_a_call_that_was_refused_is_wrong_and_says_what_to_grant(place: Place) -> None:
    answers = [Answer(Place.STATE, "state"), Answer(place, "a resource", "PermissionDenied: 403")]
    finding = only(check_account("plan_export", "dicom-plan-export", answers))
    assert finding.status is Status.WRONG
    assert finding.fact == f"{place.value}, a resource: PermissionDenied: 403"
    assert "terraform apply" in finding.mend


def test_a_function_that_did_not_answer_is_wrong_and_its_log_is_named() -> None:
    assert_found(
        check_account("f", "dicom-f", None), Status.WRONG, "did not answer", "gcloud functions logs read dicom-f"
    )


# What cannot be read


@pytest.mark.parametrize(
    "findings",
    [
        check_apis("p", ["a"], DENIED),
        check_state_bucket("b", REGION, DENIED),
        check_store_bucket("b", REGION, DENIED),
        check_notifications(NOTIFIED, CHANGES, DENIED, DENIED),
        check_topic("t", DENIED),
        check_subscription(RECEIVER, DEADLINE, DENIED),
        check_lost_letters("s", DENIED),
        check_runtime(RUNTIME, DENIED, TODAY),
        check_account("f", "dicom-f", DENIED),
    ],
)
def test_what_cannot_be_read_is_unknown_and_not_healthy(findings: Iterable[Finding]) -> None:
    finding = only(findings)
    assert finding.status is Status.UNKNOWN
    assert "403" in finding.fact
    assert not is_healthy([finding])


def test_a_dataset_that_cannot_be_read_is_unknown() -> None:
    assert [each.status for each in check_dataset(DATASET, DENIED, DENIED)] == [Status.UNKNOWN, Status.UNKNOWN]

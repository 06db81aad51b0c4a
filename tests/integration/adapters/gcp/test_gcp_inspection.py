"""The adapters of `doctor`, on scripted answers of Google Cloud."""

from __future__ import annotations

import json
from concurrent.futures import Future
from datetime import date
from typing import Any, cast

import pytest
from google.api_core import exceptions
from google.auth import exceptions as auth
from google.cloud.bigquery import Dataset
from google.pubsub_v1.types import Subscription
from requests import Session

from dicom_export.adapters.gcp.inspection import GoogleInspection
from dicom_export.adapters.gcp.probing import GoogleCheckSender, GoogleProbes
from dicom_export.adapters.gcp.rest import ApiCaller, GoogleRest
from dicom_export.diagnosing.check_message import CHECK_ATTRIBUTE, Check
from dicom_export.diagnosing.facts import (
    ApiAnswer,
    BucketFacts,
    DatasetFacts,
    NotificationFacts,
    RuntimeFacts,
    SubscriptionFacts,
)
from dicom_export.errors import NotFound, PermissionDenied, Unavailable
from support.google_services import ScriptedServices
from support.scripted import Scripted

NAME = "projects/p/subscriptions/s"
CHECK = Check("0123456789abcdef", ("p.d",))
DENIED = exceptions.Forbidden("no")
GONE = exceptions.NotFound("none")


class Described:
    """A bucket as the library has it."""

    def __init__(self, **resource: Any) -> None:
        self._properties = resource


class Notification:
    topic_project, topic_name = "p", "t"
    payload_format = "JSON_API_V1"
    event_types = ("OBJECT_FINALIZE",)
    blob_name_prefix = None


def session(answers: dict[str, Any]) -> tuple[Session, ScriptedServices]:
    services = ScriptedServices(answers)
    made = Session()
    for scheme in ("https://", "http://"):
        made.mount(scheme, services)
    return made, services


def inspection(answers: dict[str, Any] | None = None, **clients: Any) -> GoogleInspection:
    made, _ = session(answers or {})
    found = GoogleInspection(
        GoogleRest("p", made),
        ApiCaller(made),
        lambda: clients["bigquery"],
        lambda: clients["storage"],
    )
    for name in ("_publisher", "_subscriber"):
        if name in clients:
            found.__dict__[name] = clients[name]
    return found


def test_enabled_apis_are_asked_for_in_one_request_per_20() -> None:
    made, services = session({"batchGet": {"services": [{"config": {"name": "api0"}, "state": "ENABLED"}, {"config": {"name": "api1"}, "state": "DISABLED"}]}})  # fmt: skip
    found = GoogleInspection(GoogleRest("p", made), ApiCaller(made), Scripted, Scripted)  # type: ignore[arg-type]  # unused
    assert found.enabled_apis("p", [f"api{number}" for number in range(21)]) == {"api0"}
    assert len(services.requests) == 2
    assert "names=projects%2Fp%2Fservices%2Fapi0" in str(services.requests[0].url)


def test_a_refused_request_is_permission_denied() -> None:
    with pytest.raises(PermissionDenied, match="denied"):
        inspection().enabled_apis("p", ["api"])


@pytest.mark.parametrize(
    ("resource", "facts"),
    [
        ({"location": "US"}, BucketFacts("US")),
        (
            {
                "location": "US",
                "customPlacementConfig": {"dataLocations": ["US-EAST1", "US-WEST1"]},
                "storageClass": "NEARLINE",
                "autoclass": {"enabled": True},
                "billing": {"requesterPays": True},
                "versioning": {"enabled": True},
            },
            BucketFacts("US", ("US-EAST1", "US-WEST1"), "NEARLINE", "NEARLINE", requester_pays=True, keeps_versions=True),
        ),
        ({"location": "EU", "autoclass": {"enabled": True, "terminalStorageClass": "ARCHIVE"}}, BucketFacts("EU", terminal_class="ARCHIVE")),
        ({"location": "EU", "autoclass": {"enabled": False}, "billing": {}}, BucketFacts("EU")),
    ],
)  # fmt: skip
def test_a_bucket_is_described(resource: dict[str, Any], facts: BucketFacts) -> None:
    storage = Scripted(get_bucket=[Described(**resource)])
    assert inspection(storage=storage).bucket("b") == facts


def test_a_bucket_that_does_not_exist_is_none_and_one_that_is_closed_is_denied() -> None:
    assert inspection(storage=Scripted(get_bucket=[GONE])).bucket("b") is None
    with pytest.raises(PermissionDenied):
        inspection(storage=Scripted(get_bucket=[DENIED])).bucket("b")


def test_the_notifications_of_a_bucket_are_listed() -> None:
    bucket = Scripted(list_notifications=[[Notification()]])
    found = inspection(storage=Scripted(bucket=[bucket])).notifications("b")
    assert found == [NotificationFacts("projects/p/topics/t", "JSON_API_V1", frozenset({"OBJECT_FINALIZE"}))]


def test_a_topic_exists_or_not() -> None:
    assert inspection(_publisher=Scripted(get_topic=[object()])).has_topic("t")
    assert not inspection(_publisher=Scripted(get_topic=[GONE])).has_topic("t")
    with pytest.raises(PermissionDenied):
        inspection(_publisher=Scripted(get_topic=[DENIED])).has_topic("t")


def test_a_subscription_is_described() -> None:
    resource = {
        "topic": "projects/p/topics/t",
        "push_config": {
            "push_endpoint": "https://e",
            "oidc_token": {"service_account_email": "invoker@p", "audience": "https://a"},
        },
        "ack_deadline_seconds": 600,
        "dead_letter_policy": {"dead_letter_topic": "projects/p/topics/dead", "max_delivery_attempts": 10},
        "state": Subscription.State.RESOURCE_ERROR,
    }
    found = inspection(_subscriber=Scripted(get_subscription=[Subscription(resource)])).subscription(NAME)
    assert found == SubscriptionFacts(
        "projects/p/topics/t", "https://e", "https://a", "invoker@p", 600, "projects/p/topics/dead", 10, is_active=False
    )
    assert inspection(_subscriber=Scripted(get_subscription=[GONE])).subscription(NAME) is None


@pytest.mark.parametrize(
    ("access", "readers"),
    [
        ([{"role": "OWNER", "specialGroup": "projectOwners"}, {"role": "WRITER", "userByEmail": "a@p"}], ()),
        ([{"role": "READER", "specialGroup": "projectReaders"}], ("projectReaders",)),
        ([{"role": "WRITER", "specialGroup": "projectWriters"}], ("projectWriters",)),
        ([{"role": "roles/bigquery.dataViewer", "iamMember": "allUsers"}], ("allUsers",)),
        ([{"role": "roles/bigquery.metadataViewer", "domain": "example.com"}], ()),
        ([{"role": "READER", "iamMember": "serviceAccount:a@p"}], ()),
        ([{"view": {"projectId": "p", "datasetId": "d", "tableId": "t"}}], ()),
    ],
)
def test_who_reads_a_dataset_is_found(access: list[dict[str, Any]], readers: tuple[str, ...]) -> None:
    resource = {"datasetReference": {"projectId": "p", "datasetId": "d"}, "location": "US", "access": access}
    client = Scripted(get_dataset=[Dataset.from_api_repr(resource)])
    assert inspection(bigquery=client).dataset("p.d") == DatasetFacts("US", readers)


def test_a_dataset_that_does_not_exist_is_none() -> None:
    assert inspection(bigquery=Scripted(get_dataset=[GONE])).dataset("p.d") is None


def test_only_runtimes_of_our_generation_are_listed() -> None:
    dated = {"name": "python311", "environment": "GEN_2", "deprecationDate": {"year": 2027, "month": 10, "day": 24}}
    other = {"name": "go111", "environment": "GEN_1"}
    found = inspection({"locations/r/runtimes": {"runtimes": [dated, other]}}).runtimes("p", "r")
    assert found == {"python311": RuntimeFacts(date(2027, 10, 24), None)}


# The API


def test_the_api_is_called_with_an_identity_token_of_its_audience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.oauth2.id_token.fetch_id_token", lambda _, audience: f"token of {audience}")
    made, services = session({"/health": {}})
    assert ApiCaller(made).call("GET", "https://api.run.app/health").status_code == 200
    assert services.requests[0].headers["Authorization"] == "Bearer token of https://api.run.app"


def test_a_proxy_on_this_machine_gets_no_token() -> None:
    made, services = session({"/health": {}})
    found = GoogleInspection(GoogleRest("p", made), ApiCaller(made), Scripted, Scripted)  # type: ignore[arg-type]  # unused
    assert found.call_api("http://127.0.0.1:8080/health") == ApiAnswer(200, "{}")
    assert "Authorization" not in services.requests[0].headers


def test_a_user_gets_the_token_of_gcloud_or_is_told_to_sign_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def nobody(*_: object) -> str:
        raise auth.DefaultCredentialsError("none")

    monkeypatch.setattr("google.oauth2.id_token.fetch_id_token", nobody)
    gcloud = tmp_path / "gcloud"
    gcloud.write_text("#!/bin/sh\necho a-token\n")
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert ApiCaller()._authorization("https://api") == {"Authorization": "Bearer a-token"}
    gcloud.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(Unavailable, match="gcloud auth login"):
        ApiCaller()._authorization("https://api")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unavailable, match="gcloud is not on the PATH"):
        ApiCaller()._authorization("https://api")


# Checks


def sender(client: Any, answers: dict[str, Any] | None = None) -> tuple[GoogleCheckSender, ScriptedServices]:
    made, services = session(answers or {})
    return GoogleCheckSender(lambda: client, ApiCaller(made)), services


def done(error: Exception | None = None) -> Future[str]:
    future: Future[str] = Future()
    if error:
        future.set_exception(error)
    else:
        future.set_result("1")
    return future


def test_a_check_is_published_with_its_id() -> None:
    client = Scripted(publish=[lambda *_, **__: done()])
    sender(client)[0].publish("projects/p/topics/t", CHECK)
    ((name, arguments, options),) = client.calls
    assert (name, *arguments) == ("publish", "projects/p/topics/t", CHECK.encode())
    assert options[CHECK_ATTRIBUTE] == CHECK.id


def test_a_check_that_may_not_be_published_is_denied() -> None:
    with pytest.raises(PermissionDenied):
        sender(Scripted(publish=[lambda *_, **__: done(DENIED)]))[0].publish("projects/p/topics/t", CHECK)


def test_a_check_is_posted_to_the_api() -> None:
    found, services = sender(None, {"/check": {}})
    found.post("http://127.0.0.1:8080", CHECK)
    assert services.requests[0].headers[CHECK_ATTRIBUTE] == CHECK.id
    assert json.loads(cast("bytes", services.requests[0].body))["datasets"] == ["p.d"]
    with pytest.raises(PermissionDenied, match="denied"):
        sender(None)[0].post("http://127.0.0.1:8080", CHECK)


# Probes


def probes(**answers: Any) -> GoogleProbes:
    client = Scripted(**answers)
    return GoogleProbes({"plan-export": "projects/p/topics/t"}, sender(client)[0], lambda: client, lambda: client)  # type: ignore[arg-type,return-value]  # scripted


def test_probes_of_what_is_allowed_raise_nothing() -> None:
    probes(get_bucket=[Described()]).describe_bucket("b")
    probes(get_dataset=[object()], get_table=[GONE]).describe_tables("p.d")
    probes(get_dataset=[object()], get_table=[GONE], delete_table=[GONE]).edit_tables("p.d")
    probes(query=[object()], get_job=[GONE]).run_job()
    probes(publish=[lambda *_, **__: done()]).publish("plan-export", CHECK.id)


@pytest.mark.parametrize(
    ("method", "arguments", "answers"),
    [
        ("describe_bucket", ("b",), {"get_bucket": [DENIED]}),
        ("describe_tables", ("p.d",), {"get_dataset": [DENIED]}),
        ("describe_tables", ("p.d",), {"get_dataset": [object()], "get_table": [DENIED]}),
        ("edit_tables", ("p.d",), {"get_dataset": [object()], "get_table": [GONE], "delete_table": [DENIED]}),
        ("run_job", (), {"query": [DENIED]}),
        ("run_job", (), {"query": [object()], "get_job": [DENIED]}),
        ("publish", ("plan-export", CHECK.id), {"publish": [lambda *_, **__: done(DENIED)]}),
    ],
)
def test_a_probe_of_what_is_not_allowed_is_denied(method: str, arguments: Any, answers: dict[str, Any]) -> None:
    with pytest.raises(PermissionDenied):
        getattr(probes(**answers), method)(*arguments)


def test_a_dataset_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFound):
        probes(get_dataset=[GONE]).edit_tables("p.d")

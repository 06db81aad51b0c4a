"""`dicom-export doctor` on the emulators: a healthy installation, then one with each fault."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from google.cloud import storage

from dicom_export.adapters.gcp.probing import GoogleProbes
from dicom_export.diagnosing.needs import NEEDS
from dicom_export.errors import PermissionDenied
from support.clouds_here import CloudHere
from support.command_line import run
from support.doc_pages import code
from support.google_services import ScriptedServices, answering
from support.installations import RUNTIME
from support.installed import APIS, description_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.clouds import Cloud
    from support.emulators.bigquery import BigQuery
    from support.emulators.pubsub import PubSub
    from support.emulators.storage import Storage

STREAMS: dict[str, dict[str, Any]] = {"flat": {"schemaFlattened": {}}}


class Notification:
    """A notification configuration, as the library has it."""

    def __init__(self, topic: str, event_types: list[str]) -> None:
        _, self.topic_project, _, self.topic_name = topic.split("/")
        self.event_types = event_types
        self.payload_format = "JSON_API_V1"
        self.blob_name_prefix = "dicom/"


@pytest.fixture(scope="module")
def cloud(
    tmp_path_factory: pytest.TempPathFactory,
    pubsub_emulator: PubSub,
    storage_emulator: Storage,
    bigquery_emulator: BigQuery,
) -> Iterator[Cloud]:
    """Run an installation with all functions."""
    emulators = (pubsub_emulator, storage_emulator, bigquery_emulator)
    folder = tmp_path_factory.mktemp("doctor")
    with (
        pytest.MonkeyPatch.context() as patch,
        CloudHere(patch, folder, "doctor", emulators, streams=STREAMS, exports=True) as running,
    ):
        lost = pubsub_emulator.create_topic("doctor-lost-letters")
        pubsub_emulator.hold("doctor-lost-letters", lost)
        yield running


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> ScriptedServices:
    """Answer for the services without an emulator: healthy."""
    notification = Notification(cloud.topics["instance-changed"], ["OBJECT_FINALIZE"])
    monkeypatch.setattr(storage.Bucket, "list_notifications", lambda *_, **__: [notification])
    enabled = [{"config": {"name": name}, "state": "ENABLED"} for name in APIS]
    runtime = {"name": RUNTIME, "environment": "GEN_2", "deprecationDate": {"year": 2099, "month": 1, "day": 2}}
    return answering(monkeypatch, {"services:batchGet": {"services": enabled}, "/runtimes": {"runtimes": [runtime]}})


@pytest.fixture
def diagnose(monkeypatch: pytest.MonkeyPatch, cloud: Cloud, services: ScriptedServices) -> Any:  # noqa: ARG001 - they answer
    """Return the exit code and the findings of the command, with changes to what Terraform says."""

    def command(*options: str, **changes: Any) -> tuple[int, list[dict[str, str]]]:
        monkeypatch.setenv("DICOM_EXPORT_INSTALLATION", json.dumps({**description_of(cloud), **changes}))
        result = run("doctor", "--format", "json", *options)
        assert result.stdout, result.stderr
        return result.exit_code, json.loads(result.stdout)

    return command


def faults(findings: list[dict[str, str]]) -> list[dict[str, str]]:
    return [each for each in findings if each["status"] not in ("ok", "notice")]


def test_a_healthy_installation_is_healthy_and_every_function_answered(diagnose: Any) -> None:
    code, findings = diagnose()
    assert faults(findings) == []
    assert code == 0
    assert {each["subject"] for each in findings if each["check"] == "accounts"} == set(NEEDS)


def test_each_fault_is_found_with_what_mends_it(
    diagnose: Any, cloud: Cloud, services: ScriptedServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.answers["services:batchGet"] = {"services": []}
    services.answers["/runtimes"] = {"runtimes": []}
    receivers = {name: dict(each) for name, each in cloud.receivers.items()}
    receivers["plan_export"]["endpoint"] = "https://moved.run.app"
    receivers["start_export"]["deadLetterTopic"] = "projects/my-project/topics/doctor-nowhere"
    receivers["refuse_export"]["subscription"] = "projects/my-project/subscriptions/doctor-nowhere"
    refuse = PermissionDenied("bigquery.tables.delete")
    monkeypatch.setattr(GoogleProbes, "edit_tables", lambda *_: (_ for _ in ()).throw(refuse))
    code, findings = diagnose(
        receivers=receivers,
        ackDeadlineSeconds=61,
        datasets=[{"name": "my-project.doctor_nowhere", "staging": cloud.dataset}],
        notifications=[{"bucket": cloud.bucket, "prefix": "dicom/", "eventTypes": ["OBJECT_DELETE"]}],
        lostLetters="projects/my-project/subscriptions/doctor-nowhere",
    )
    assert code == 1
    found = {(each["check"], each["subject"]): each for each in faults(findings)}
    assert all(each["mend"] for each in found.values())
    assert {subject for check, subject in found if check == "apis"} == set(APIS)
    assert {subject for check, subject in found if check == "datasets"} == {"my-project.doctor_nowhere"}
    assert {("runtime", RUNTIME), ("notifications", f"gs://{cloud.bucket}/dicom/")} <= set(found)
    subscriptions = {each["subscription"] for each in receivers.values()}
    assert {subject for check, subject in found if check == "subscriptions"} == subscriptions | {
        "projects/my-project/subscriptions/doctor-nowhere"
    }
    assert ("topics", "projects/my-project/topics/doctor-nowhere") in found
    editors = {name for name, needs in NEEDS.items() if needs.edits_tables}
    assert {subject for check, subject in found if check == "accounts"} == editors | {"export_api", "start_export"}


def test_without_an_answer_in_time_the_log_is_named_and_the_text_has_the_mend(diagnose: Any, cloud: Cloud) -> None:
    assert diagnose  # the environment
    receivers = cloud.receivers | {
        "export_study": cloud.receivers["export_study"] | {"topic": cloud.topics["dead-letters"]}
    }
    environment = json.dumps(description_of(cloud) | {"receivers": receivers})
    result = run("doctor", "--wait", "0", env={"DICOM_EXPORT_INSTALLATION": environment})
    assert result.exit_code == 1
    assert "WRONG   accounts: export_study: did not answer" in result.stdout
    assert "        Mend: gcloud functions logs read export-study" in result.stdout


@pytest.mark.parametrize("page", ["check-an-installation", "deploy"])
def test_the_commands_of_the_pages_find_a_healthy_installation_healthy(page: str, diagnose: Any, cloud: Cloud) -> None:
    assert diagnose  # the environment
    shown = [line for block in code(f"docs/how-to/{page}.md", "sh") for line in block.splitlines()]
    commands = [line.partition("dicom-export ")[2] for line in shown if "dicom-export doctor" in line]
    assert commands
    for command in commands:
        result = run(*shlex.split(command), env={"DICOM_EXPORT_INSTALLATION": json.dumps(description_of(cloud))})
        assert result.exit_code == 0, result.stdout

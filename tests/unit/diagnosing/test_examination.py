"""The examination as a whole: every resource is read, and a fault in one leaves the findings about the others."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.diagnosing.check_message import Check
from dicom_export.diagnosing.examine import Examination
from dicom_export.diagnosing.facts import BucketFacts
from dicom_export.diagnosing.findings import Finding, Status, is_healthy
from dicom_export.diagnosing.needs import NEEDS
from dicom_export.errors import InvalidArgument, NotFound, PermissionDenied
from dicom_export.state.checks import Checks
from support.installations import TOPICS, AnsweringSender, ScriptedInspection, installation

if TYPE_CHECKING:
    from pathlib import Path

CHECK_ID = "0123456789abcdef"
TODAY = date(2026, 12, 1)


def examine(root: Path, inspection: ScriptedInspection | None = None, **sender: Any) -> list[Finding]:
    checks = Checks(FolderState(root))
    examination = Examination(
        "my-project",
        "state",
        ["images", "images"],
        installation(),
        inspection or ScriptedInspection(),
        AnsweringSender(checks, **sender),
        checks,
    )
    return list(examination.findings(CHECK_ID, today=TODAY, seconds=0))


def wrong(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(each.check, each.subject) for each in findings if not each.is_healthy}


def test_a_healthy_installation_has_no_fault_and_a_finding_for_each_resource(tmp_path: Path) -> None:
    found = examine(tmp_path)
    assert wrong(found) == set()
    assert {each.status for each in found} == {Status.OK}
    assert {each.subject for each in found if each.check == "accounts"} == set(NEEDS)
    assert [each.check for each in found].count("subscriptions") == len(TOPICS) + 1


def test_each_fault_is_found_whatever_else_is_wrong(tmp_path: Path) -> None:
    inspection = ScriptedInspection(apis=PermissionDenied("403"), configurations=NotFound("404"))
    inspection.buckets["images"] = None
    inspection.subscriptions.clear()
    found = examine(tmp_path, inspection, silent=("export_study",), errors={"plan_export": "PermissionDenied: 403"})
    assert {
        ("apis", "my-project"),
        ("buckets", "gs://images"),
        ("notifications", "gs://images/dicom/"),
        ("accounts", "export_study"),
        ("accounts", "plan_export"),
    } <= wrong(found)
    assert len([each for each in wrong(found) if each[0] == "subscriptions"]) == len(TOPICS) + 1


def test_a_notice_is_healthy(tmp_path: Path) -> None:
    inspection = ScriptedInspection()
    inspection.buckets["images"] = BucketFacts("US-CENTRAL1", terminal_class="NEARLINE")
    found = examine(tmp_path, inspection)
    assert Status.NOTICE in {each.status for each in found}
    assert is_healthy(found)


def test_a_check_message_that_cannot_be_sent_is_a_finding_about_the_function(tmp_path: Path) -> None:
    found = examine(tmp_path, failing=PermissionDenied("pubsub.topics.publish"))
    unknown = {each.subject for each in found if each.status is Status.UNKNOWN}
    assert unknown == set(TOPICS)


def test_the_check_names_the_datasets_and_comes_to_every_function(tmp_path: Path) -> None:
    checks = Checks(FolderState(tmp_path))
    sender = AnsweringSender(checks)
    examination = Examination("p", "state", [], installation(), ScriptedInspection(), sender, checks)
    list(examination.findings(CHECK_ID, today=TODAY, seconds=0))
    assert len(sender.sent) == len(NEEDS)
    assert {check for _, check in sender.sent} == {
        Check(CHECK_ID, ("my-project.dicom",), ("my-project.dicom_staging_dicom",))
    }


@pytest.mark.parametrize("is_probe", [True, False])
def test_a_check_survives_its_encoding(is_probe: bool) -> None:  # noqa: FBT001 - both
    check = Check(CHECK_ID, ("my-project.dicom", "example.com:p.d"), ("p.s",), is_probe=is_probe)
    assert Check.decode(CHECK_ID, check.encode()) == check


@pytest.mark.parametrize(
    ("check_id", "data"),
    [
        ("../../etc", Check("x").encode()),
        ("", Check("x").encode()),
        (CHECK_ID, b""),
        (CHECK_ID, b"[]"),
        (CHECK_ID, b'{"datasets": 7, "staging": [], "isProbe": false}'),
        (CHECK_ID, b'{"datasets": ["no dataset"], "staging": [], "isProbe": false}'),
        (CHECK_ID, Check("x", tuple(f"p.d{number}" for number in range(101))).encode()),
        (CHECK_ID, b"\xff"),
        (CHECK_ID, b"[" * 100_000),
    ],
)
def test_a_malformed_check_is_refused(check_id: str, data: bytes) -> None:
    with pytest.raises(InvalidArgument, match="check message"):
        Check.decode(check_id, data)

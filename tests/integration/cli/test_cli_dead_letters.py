"""`dicom-export dead-letters`: what ran out of attempts, listed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.errors import Code
from dicom_export.messages import ExportStudy, PlanExport
from dicom_export.operations.failure import Status
from dicom_export.state.dead_letters import DeadLetter
from dicom_export.state.journal import Journal
from support.command_line import run
from support.factories import make_object, make_operation

if TYPE_CHECKING:
    from pathlib import Path

FOUND = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the data folder of a `serve` that has two operations with dead letters."""
    journal = Journal(FolderState(tmp_path / "state"))
    reason = Status(Code.UNAVAILABLE, "out of attempts")
    for operation in (make_operation("7"), make_operation("8")):
        journal.operations.create(operation)
        journal.dead_letters.keep(DeadLetter(ExportStudy(operation.name, 0, 3, (make_object(),) * 2), reason, FOUND))
    journal.dead_letters.keep(DeadLetter(PlanExport(make_operation("8").name, 4), reason, FOUND))
    return tmp_path


def test_each_is_a_line_with_what_it_was_about_and_why(data: Path) -> None:
    lines = run("dead-letters", "list", "--data", data).stdout.splitlines()
    assert lines == [
        "7  2026-01-02T03:04:05.000000Z  2 objects  UNAVAILABLE: out of attempts",
        "8  2026-01-02T03:04:05.000000Z  2 objects  UNAVAILABLE: out of attempts",
        "8  2026-01-02T03:04:05.000000Z  the plan from page 4 on  UNAVAILABLE: out of attempts",
    ]


def test_those_of_one_operation_are_told_as_json(data: Path) -> None:
    (line,) = run("dead-letters", "list", "7", "--data", data, "--format", "json").stdout.splitlines()
    letter = json.loads(line)
    assert letter["topic"] == "export-study"
    assert letter["message"]["task"] == 3


def test_on_one_machine_a_replay_is_refused_with_what_helps(data: Path) -> None:
    result = run("dead-letters", "replay", "7", "--data", data)
    assert result.exit_code == 2
    assert "write-truncate" in result.stderr


def test_without_an_installation_it_is_asked_whose_they_are() -> None:
    result = run("dead-letters", "list")
    assert result.exit_code == 2
    assert "--from" in result.stderr


def test_a_half_described_installation_on_google_cloud_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOM_EXPORT_PROJECT", "my-project")
    result = run("operations", "list")
    assert result.exit_code == 2
    assert "DICOM_EXPORT_STORES, DICOM_EXPORT_STATE not set" in result.stderr

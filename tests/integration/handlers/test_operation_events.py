"""The log tells of an operation what metrics count and an alert misses: that it began, went on, and ended."""

from __future__ import annotations

import json
import logging
from itertools import starmap
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export import logs
from dicom_export.errors import Unavailable
from dicom_export.handlers.record_result import record_dead_letter, record_result
from dicom_export.messages import ExportStudy, StudyExported, decode
from dicom_export.operations.failure import Status
from support.dicom_files import make_instance
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENT = "Secret^Patient"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a store of three instances and one object that is none."""
    root = tmp_path / "store" / "folder"
    root.mkdir(parents=True)
    for number in range(3):
        (root / f"{number}.dcm").write_bytes(make_instance(SOPInstanceUID=f"1.2.3.{number}", PatientName=PATIENT))
    (root / "3.dcm").write_bytes(b"\0no DICOM")
    return root.parent


@pytest.fixture
def world(tmp_path: Path, store: Path, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    caplog.set_level(logging.INFO, "dicom_export")
    (tmp_path / "root").mkdir()
    world = World(tmp_path / "root", store)
    yield world
    world.close()


def entries(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the entries that are events, as they are written."""
    formatter = logs.JsonFormatter()
    written = [json.loads(formatter.format(record)) for record in caplog.records]
    return [entry for entry in written if "event" in entry]


def instances(events: list[dict[str, Any]]) -> dict[str, int]:
    return {
        outcome: sum(event.get("instances", {}).get(outcome, 0) for event in events)
        for outcome in logs.OUTCOMES
        if any(outcome in event.get("instances", {}) for event in events)
    }


def test_an_operation_is_created_goes_on_and_ends(world: World, caplog: pytest.LogCaptureFixture) -> None:
    operation = world.export()
    world.drain()
    events = entries(caplog)
    names = [event["event"] for event in events]
    assert names[0] == "created"
    assert names[-1] == "ended"
    assert set(names[1:-1]) == {"progressed"}
    assert {event["logging.googleapis.com/labels"]["operation"] for event in events} == {str(operation.name)}


def test_each_instance_is_in_one_event_by_its_outcome(world: World, caplog: pytest.LogCaptureFixture) -> None:
    operation = world.export()
    world.drain()
    assert instances(entries(caplog)) == {"success": 3, "failure": 1}
    counters = world.ended(operation).counters
    assert counters is not None
    assert (counters.success, counters.failure) == (3, 1)


def test_instances_of_a_redelivered_message_are_in_one_event(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.export()
    while world.mailbox.waiting:
        world.deliver(again=True)
        world.deliver()
    assert instances(entries(caplog)) == {"success": 3, "failure": 1}


def test_instances_of_a_cancelled_operation_are_cancelled(world: World, caplog: pytest.LogCaptureFixture) -> None:
    operation = world.export()
    world.deliver()
    world.service.cancel_operation(operation.name)
    world.drain()
    assert instances(entries(caplog)) == {"cancelled": 4}
    assert entries(caplog)[-1]["event"] == "ended"


def test_an_operation_that_two_messages_end_ends_once(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = world.export()
    world.deliver()
    world.service.cancel_operation(operation.name)
    journal = world.ports.journal
    change = type(journal.operations).change

    def change_after_another(self: Any, name: Any, changed: Any) -> Any:
        monkeypatch.setattr(type(journal.operations), "change", change)
        message = StudyExported(name, 0)
        record_result(message, journal=journal, tables=world.ports.tables, publisher=world.ports.publisher)
        return change(self, name, changed)

    while decode(*world.mailbox.waiting[0]).topic != "study-exported":
        world.deliver()
    monkeypatch.setattr(type(journal.operations), "change", change_after_another)
    world.drain()
    assert [each["event"] for each in entries(caplog)].count("ended") == 1
    assert [each["message"] for each in entries(caplog) if each["event"] == "ended"] == [
        "Export cancelled: 0 exported, 0 failed, 0 in the table already"
    ]


def test_a_dead_letter_is_an_event_of_failed_instances(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.export()
    world.deliver()
    message = next(each for each in starmap(decode, world.mailbox.waiting) if isinstance(each, ExportStudy))
    record_dead_letter(
        message,
        Unavailable("The bucket did not answer"),
        journal=world.ports.journal,
        stores=world.ports.stores,
        tables=world.ports.tables,
        publisher=world.ports.publisher,
    )
    assert instances(entries(caplog)) == {"failure": len(message.objects)}


def test_an_operation_that_is_given_up_ends(world: World, caplog: pytest.LogCaptureFixture) -> None:
    operation = world.export()
    world.service.give_up(operation, Status(Unavailable("").code, "Nobody could be told of it"))
    assert [event["event"] for event in entries(caplog)] == ["created", "ended"]


def test_no_event_has_patient_data(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.export()
    world.drain()
    assert "Secret" not in json.dumps(entries(caplog))

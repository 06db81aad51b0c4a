"""What ran out of attempts is kept, listed, and exported after all when it is replayed; once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export import messages
from dicom_export.bootstrap.wiring import dead_letters_on, handlers_on
from dicom_export.errors import Code, FailedPrecondition, NotFound, PermissionDenied, Unavailable
from dicom_export.handlers.export_study import abandoned
from dicom_export.messages import ExportStudy, PlanExport, StudyExported
from dicom_export.operations.failure import Status
from dicom_export.operations.request import WriteDisposition
from support.dicom_files import make_instance
from support.factories import PARENT, make_operation
from support.worlds import LIMITS, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_export.messages import Message
    from dicom_export.operations.operation import Operation

STUDIES = [f"1.2.{study}" for study in range(7)]
INSTANCES = sorted(f"{study}.{number}" for study in STUDIES for number in range(2))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    for study in STUDIES:
        folder = tmp_path / "store" / study / "1.3"
        folder.mkdir(parents=True)
        for number in range(2):
            uid = f"{study}.{number}"
            (folder / f"{uid}.dcm").write_bytes(make_instance(StudyInstanceUID=study, SOPInstanceUID=uid))
    (tmp_path / "root").mkdir()
    world = World(tmp_path / "root", tmp_path / "store")
    yield world
    world.close()


def give_up(world: World, is_lost: Callable[[Message], bool]) -> None:
    """Deliver every message, but those that are lost to the dead letters, twice."""
    bury = dead_letters_on(world.ports)
    while world.mailbox.waiting:
        letter = world.mailbox.waiting[0]
        message = messages.decode(*letter)
        if is_lost(message):
            world.mailbox.waiting.remove(letter)
            for _ in range(2):
                bury(message, Unavailable("out of attempts"))
        else:
            world.deliver()


def export(
    world: World, is_lost: Callable[[Message], bool], disposition: WriteDisposition = WriteDisposition.WRITE_APPEND
) -> Operation:
    operation = world.export(disposition)
    give_up(world, is_lost)
    return world.ended(operation)


def replay(world: World, operation: Operation) -> Operation:
    replayed = world.service.replay(operation.name)
    world.drain()
    return world.ended(replayed)


def is_second_study(message: Message) -> bool:
    return isinstance(message, ExportStudy) and message.task == 1


def is_late_plan(message: Message) -> bool:
    return isinstance(message, PlanExport) and message.page == 1


def test_a_message_that_cost_rows_is_kept_once_with_its_reason(world: World) -> None:
    operation = export(world, is_second_study)
    letters = list(world.service.dead_letters(PARENT, operation.name))
    assert letters == list(world.service.dead_letters(PARENT))
    assert {letter.reason.code for letter in letters} == {Code.UNAVAILABLE}
    lost = [
        stored.name
        for letter in letters
        if isinstance(letter.message, ExportStudy)
        for stored in letter.message.objects
    ]
    assert sorted(lost) == sorted(failure.object for failure in world.service.failures(operation.name))


def test_a_message_whose_work_was_done_is_not_kept(world: World) -> None:
    operation = world.export()
    world.deliver()
    letter = next(letter for letter in world.mailbox.waiting if letter[0] == ExportStudy.topic)
    world.drain()
    dead_letters_on(world.ports)(messages.decode(*letter), Unavailable("out of attempts"))
    assert list(world.service.dead_letters(PARENT, operation.name)) == []


@pytest.mark.parametrize(
    "is_lost",
    [
        is_second_study,
        is_late_plan,
        lambda message: is_second_study(message) or is_late_plan(message),
        lambda message: isinstance(message, ExportStudy),
        lambda message: isinstance(message, PlanExport),
    ],
    ids=["studies", "plan", "both", "all studies", "whole plan"],
)
def test_a_replay_exports_what_was_lost_and_nothing_else(world: World, is_lost: Callable[[Message], bool]) -> None:
    operation = export(world, is_lost)
    before = world.instances()
    assert len(before) < len(INSTANCES)
    replayed = replay(world, operation)
    assert replayed.error is None
    assert world.instances() == INSTANCES
    assert replayed.counters
    assert replayed.counters.success == len(INSTANCES) - len(before)


def test_a_replay_that_is_asked_for_again_does_nothing_more(world: World) -> None:
    operation = export(world, is_second_study)
    first = replay(world, operation)
    assert replay(world, operation) == first
    assert world.instances() == INSTANCES


def test_a_replay_whose_messages_are_lost_goes_on_when_it_is_asked_for_again(world: World) -> None:
    operation = export(world, is_second_study)
    world.service.replay(operation.name)
    world.mailbox.waiting.clear()
    assert replay(world, operation).error is None
    assert world.instances() == INSTANCES


def test_a_replay_can_be_replayed(world: World) -> None:
    operation = export(world, is_second_study)
    second = world.service.replay(operation.name)
    give_up(world, lambda message: isinstance(message, ExportStudy))
    assert world.ended(second).error
    assert replay(world, second).error is None
    assert world.instances() == INSTANCES


def test_a_dead_letter_of_an_operation_that_is_gone_is_done_with(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    gone = make_operation("gone").name
    for message in (PlanExport(gone, 0), ExportStudy(gone, 0, 0, ()), StudyExported(gone, 0)):
        dead_letters_on(world.ports)(message, Unavailable("out of attempts"))
    assert caplog.text.count("operations/gone is gone") == 3


def test_an_overwrite_is_not_replayed_because_it_left_the_old_table(world: World) -> None:
    operation = export(world, is_second_study, WriteDisposition.WRITE_TRUNCATE)
    with pytest.raises(FailedPrecondition, match="request the export again"):
        world.service.replay(operation.name)


def test_what_has_no_dead_letters_or_still_runs_is_not_replayed(world: World) -> None:
    operation = world.export()
    with pytest.raises(FailedPrecondition, match="has not ended"):
        world.service.replay(operation.name)
    world.drain()
    with pytest.raises(NotFound, match="no dead letters"):
        world.service.replay(operation.name)


def test_a_dead_letter_whose_claim_a_late_worker_settled_is_kept(world: World) -> None:
    """The process died between claiming "all failed" and keeping the letter; the worker came next, and then the letter again."""
    operation = world.export()
    world.deliver()
    letter = next(letter for letter in world.mailbox.waiting if letter[0] == ExportStudy.topic)
    message = messages.decode(*letter)
    assert isinstance(message, ExportStudy)
    reason = Status(Code.UNAVAILABLE, "out of attempts")
    world.ports.journal.tasks.create_claim(operation.name, message.page, message.task, abandoned(message, reason))
    world.drain()
    dead_letters_on(world.ports)(message, Unavailable("out of attempts"))
    assert [each.message for each in world.service.dead_letters(PARENT)] == [message]
    assert replay(world, operation).error is None
    assert world.instances() == INSTANCES


def test_a_dead_letter_is_about_what_was_planned_whatever_it_says(world: World) -> None:
    operation = world.export()
    world.deliver()
    letter = next(letter for letter in world.mailbox.waiting if letter[0] == ExportStudy.topic)
    message = messages.decode(*letter)
    assert isinstance(message, ExportStudy)
    bury = dead_letters_on(world.ports)
    bury(replace(message, objects=()), Unavailable("out of attempts"))
    bury(replace(message, task=99), Unavailable("out of attempts"))
    world.drain()
    counters = world.ended(operation).counters
    assert counters
    assert counters.pending == 0
    assert counters.failure == len(message.objects)


class Refusing:
    """A warehouse whose commits are refused."""

    def __init__(self, world: World, error: Exception) -> None:
        self._world = world
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.ports.tables, name)

    def commit(self, *_: object) -> None:
        raise self._error


def test_a_stream_that_can_never_be_committed_is_a_dead_letter_and_replayed(world: World) -> None:
    tables: Any = Refusing(world, NotFound("the stream has expired"))
    good, world.handlers = world.handlers, handlers_on(replace(world.ports, tables=tables), LIMITS)
    operation = world.export()
    world.drain()
    world.handlers = good
    assert world.instances() == []
    assert {failure.stage for failure in world.service.failures(operation.name)} == {"COMMIT"}
    assert replay(world, operation).error is None
    assert world.instances() == INSTANCES


def test_a_commit_that_is_not_allowed_for_a_while_loses_nothing(world: World) -> None:
    tables: Any = Refusing(world, PermissionDenied("not today"))
    refused = handlers_on(replace(world.ports, tables=tables), LIMITS)
    operation = world.export()
    world.deliver()
    for topic, data in list(world.mailbox.waiting):
        if topic == ExportStudy.topic:
            with pytest.raises(Unavailable, match="cannot be committed yet"):
                refused[topic](messages.decode(topic, data))
    world.drain()
    assert world.ended(operation).error is None
    assert world.instances() == INSTANCES


def test_a_commit_that_is_never_allowed_ends_with_its_message(world: World) -> None:
    tables: Any = Refusing(world, PermissionDenied("never"))
    ports = replace(world.ports, tables=tables)
    world.handlers = handlers_on(ports, LIMITS)
    operation = world.export()
    while world.mailbox.waiting:
        letter = world.mailbox.waiting[0]
        world.deliver()
        if letter[0] == ExportStudy.topic:
            assert letter in world.mailbox.waiting
            world.mailbox.waiting.remove(letter)
            dead_letters_on(ports)(messages.decode(*letter), Unavailable("out of attempts"))
    ended = world.ended(operation)
    assert ended.error
    assert ended.counters
    assert ended.counters.failure == len(INSTANCES)

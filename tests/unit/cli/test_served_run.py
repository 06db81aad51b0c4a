"""How a command follows an operation that an installation runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dicom_export.cli.served_run import ServedRun, states
from dicom_export.errors import DicomExportError, NotFound, Unavailable
from dicom_export.operations.request import ExportRequest
from support.exports import CREATED, STORE, TABLE, make_operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.names import DatasetName, OperationName, StoreName
    from dicom_export.operations.estimate import Estimate
    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import FilesRequest
    from dicom_export.rows.layout import SchemaKind

RUNNING = make_operation()
ENDED = make_operation(end_time=CREATED)


class Answers:
    """Gives scripted operations and errors; time passes only while somebody waits."""

    def __init__(self, *answers: Operation | DicomExportError) -> None:
        self.answers = list(answers)
        self.now = 0.0
        self.waits: list[float] = []

    def get_operation(self, name: OperationName) -> Operation:
        assert name == RUNNING.name
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, DicomExportError):
            raise answer
        return answer

    def cancel_operation(self, name: OperationName) -> Operation:
        return self.get_operation(name)

    def create_export(self, request: ExportRequest | FilesRequest) -> Operation:
        assert request.store == STORE
        return RUNNING

    def newest_first(self, parent: DatasetName) -> Iterator[Operation]:
        raise NotImplementedError

    def failures(self, name: OperationName) -> Iterator[Failure]:
        raise NotImplementedError

    def estimate(self, name: StoreName, kind: SchemaKind) -> Estimate:
        raise NotImplementedError

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def states(self) -> list[Operation]:
        return list(states(self, RUNNING.name, "--endpoint URL", clock=lambda: self.now, wait=self.wait))


def test_the_last_state_is_that_after_the_end() -> None:
    assert Answers(RUNNING, RUNNING, ENDED).states() == [RUNNING, RUNNING, ENDED]


def test_pauses_grow_to_five_seconds() -> None:
    answers = Answers(*[RUNNING] * 20, ENDED)
    answers.states()
    assert answers.waits[0] == 0.25
    assert answers.waits == sorted(answers.waits)
    assert answers.waits[-1] == 5


def test_an_installation_that_answers_again_within_minutes_is_followed_on() -> None:
    absent = [Unavailable("not there")] * 40
    answers = Answers(RUNNING, *absent, RUNNING, *absent, ENDED)
    assert answers.states() == [RUNNING, RUNNING, ENDED]
    assert answers.now > 300


def test_after_five_minutes_without_an_answer_it_is_said_how_to_follow_the_export() -> None:
    answers = Answers(RUNNING, Unavailable("not there"))
    with pytest.raises(Unavailable, match=f"not there. The export .* operations wait {RUNNING.name} --endpoint URL$"):
        answers.states()
    assert 300 <= answers.now < 310


def test_what_does_not_pass_ends_the_following_at_once() -> None:
    answers = Answers(NotFound("gone"))
    with pytest.raises(Unavailable, match=r"^gone\. The export was started"):
        answers.states()
    assert answers.waits == []


def make_run(answers: Answers, *, is_interrupted: bool = False) -> ServedRun:
    return ServedRun(answers, ExportRequest(STORE, TABLE), "--endpoint URL", lambda: is_interrupted, sleep=answers.wait)


def test_a_cancellation_that_is_not_answered_is_no_end() -> None:
    run = make_run(Answers(Unavailable("not there")))
    assert "may have been started" in run.stopped()
    run.cancel(run.begin())
    assert f"operations cancel {RUNNING.name} --endpoint URL" in run.stopped()


def test_after_ctrl_c_the_cancellation_does_not_wait_and_what_follows_does() -> None:
    answers = Answers(RUNNING, RUNNING, RUNNING, RUNNING, ENDED)
    run = make_run(answers, is_interrupted=True)
    found = run.states(run.begin())
    next(found)
    next(found)
    assert answers.waits == []
    run.cancel(RUNNING)
    assert list(found)[-1] == ENDED
    assert sum(answers.waits) >= 0.25


def test_an_interrupted_command_does_not_hurry_an_installation_that_is_absent() -> None:
    answers = Answers(*[Unavailable("not there")] * 20, ENDED)
    run = make_run(answers, is_interrupted=True)
    list(run.states(run.begin()))
    assert sum(answers.waits) > 40


def test_without_ctrl_c_each_pause_is_whole() -> None:
    answers = Answers(*[RUNNING] * 20, ENDED)
    run = make_run(answers)
    list(run.states(run.begin()))
    assert 40 < sum(answers.waits) < 100

"""The questions of a smoke test, on a scripted laboratory."""

from __future__ import annotations

from typing import Any

import pytest

from dicom_export.diagnosing.installation import SmokeTestStore
from dicom_export.errors import NotFound, PermissionDenied, Unavailable
from dicom_export.names import TableName
from dicom_export.smoke_testing import experiments
from dicom_export.smoke_testing.asked import QUESTIONS, Question, _answered, answers
from dicom_export.smoke_testing.bench import Bench
from dicom_export.smoke_testing.pipeline import Pipeline
from dicom_export.smoke_testing.results import Outcome
from dicom_export.smoke_testing.run import run
from support.installations import installation
from support.scripted import Scripted

PLACE = SmokeTestStore("projects/p/locations/l/datasets/d/dicomStores/s", "b", "dicom/", "p.d")


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def bench(lab: Any = None, **options: Any) -> Bench:
    clock = Clock()
    return Bench(lab or Scripted(), installation(), PLACE, "p", 7, clock=clock, sleep=clock.sleep, **options)


def answered(question: Question, **answers_of_lab: Any) -> Any:
    made = bench(Scripted(**answers_of_lab))
    return _answered("question-00", question, made, Pipeline(made))


def test_there_are_the_questions_of_the_list_in_order() -> None:
    assert list(QUESTIONS) == list(range(1, 19))


def test_a_question_that_is_not_asked_says_what_it_takes() -> None:
    result = answered(Question("Why?", left="it takes a month"))
    assert (result.outcome, result.text) == (Outcome.NOT_VERIFIED, "Why? Not asked: it takes a month")


@pytest.mark.parametrize("error", [PermissionDenied("403"), Unavailable("503")])
def test_an_error_leaves_a_question_open_and_is_told(error: Exception) -> None:
    def ask(*_: object) -> dict[str, Any]:
        raise error

    result = answered(Question("Why?", ask))
    assert result.outcome is Outcome.NOT_VERIFIED
    assert str(error) in result.text


def test_an_answer_that_lacks_a_field_leaves_a_question_open() -> None:
    empty: dict[str, Any] = {}
    result = answered(Question("Why?", lambda *_: {"a": empty["field"]}))
    assert result.outcome is Outcome.NOT_VERIFIED
    assert "'field'" in result.text


def test_a_part_of_an_answer_is_told_with_what_is_open() -> None:
    result = answered(Question("Why?", lambda *_: {"a": 1}, "b"))
    assert (result.outcome, result.measured) == (Outcome.PARTLY, {"a": 1})
    assert result.text == "Why? Open: b"


def test_every_question_has_a_line_when_nothing_works() -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise PermissionDenied("403")

    names = ("put", "delete", "objects", "api", "publish", "bigquery", "job", "rows", "open_stream", "stream_columns", "append", "finish", "google")  # fmt: skip
    made = bench(Scripted(**{name: [refuse] for name in names}), wait_seconds=1)
    results = list(answers(made, Pipeline(made)))
    assert [each.line for each in results] == [f"question-{number:02d}" for number in QUESTIONS]
    # How a table is refused is what this question is about.
    assert {each.line for each in results if each.outcome is not Outcome.NOT_VERIFIED} == {"question-09", "question-13"}
    found: list[Any] = []
    run(made, found.append)
    assert found[-1].line == "removal"
    assert {each.outcome for each in found if not each.line.startswith("question")} == {Outcome.FAILED}


def test_a_column_is_known_when_stream_and_append_know_it() -> None:
    shown = [frozenset({"c0"}), frozenset({"c0"}), frozenset({"c0", "new0"})]

    class Stream:
        columns = frozenset({"new0"})

    lab = Scripted(
        bigquery=[{}], stream_columns=shown, open_stream=[Stream()], append=["refused", "refused", "refused", ""]
    )
    made = bench(lab, repeats=1, columns=1)
    measured = experiments.seconds_until_a_column_is_known(made, Pipeline(made))
    assert measured["seconds"] == [{"default_stream": 2.0, "new_stream": 0.0, "append": 3.0}]


def test_a_column_that_never_becomes_known_has_no_seconds() -> None:
    class Stream:
        columns = frozenset[str]()

    lab = Scripted(bigquery=[{}], stream_columns=[frozenset()], open_stream=[Stream()], append=["refused"])
    made = bench(lab, repeats=1, columns=1)
    assert experiments.seconds_until_a_column_is_known(made, Pipeline(made))["seconds"] == [{}]


def test_a_job_that_fails_is_an_answer() -> None:
    failed = {"status": {"errorResult": {"reason": "invalid", "message": "changed mode"}}}
    lab = Scripted(bigquery=[{}], rows=[[]], job=[failed, {"status": {}}])
    made = bench(lab)
    measured = experiments.nested_columns_of_an_overwrite(made, Pipeline(made))
    assert measured == {"nullable_for_required": "invalid: changed mode", "another_order": "taken", "rows": []}


@pytest.mark.parametrize(
    ("statistics", "applied"),
    [({}, None), ({"rowLevelSecurityStatistics": {"rowLevelSecurityApplied": True}}, True), ({"rowLevelSecurityStatistics": {}}, None)],
)  # fmt: skip
def test_what_a_dry_run_says_of_policies_is_told(statistics: dict[str, Any], applied: bool | None) -> None:  # noqa: FBT001 - expected
    lab = Scripted(bigquery=[{}], rows=[[]], job=[{"statistics": statistics}])
    made = bench(lab)
    assert experiments.row_security_of_a_dry_run(made, Pipeline(made)) == {"dry_run": applied, "run": applied}


def test_an_overwrite_that_failed_answers_nothing() -> None:
    result = answered(QUESTIONS[1])
    assert result.outcome is Outcome.NOT_VERIFIED


# The bench


def test_waiting_ends_when_it_is_so_and_after_its_time() -> None:
    made = bench(wait_seconds=5)
    tries = iter([False, False, True])
    assert made.until(lambda: next(tries), "never") == 2.0
    with pytest.raises(Unavailable, match="never after 5 s"):
        made.until(lambda: False, "never")


def test_only_tables_of_the_run_are_found_on_all_pages() -> None:
    def page(*names: str, **more: str) -> dict[str, Any]:
        return {"tables": [{"tableReference": {"tableId": name}} for name in names], **more}

    lab = Scripted(bigquery=[page("smoke_7_a", "smoke_70_b", nextPageToken="a b"), page("streamed", "smoke_7_c")])
    made = bench(lab)
    assert list(made.tables()) == [TableName("p", "d", "smoke_7_a"), TableName("p", "d", "smoke_7_c")]
    assert lab.calls[1][1] == ("GET", "/projects/p/datasets/d/tables?pageToken=a%20b")


def test_a_table_that_is_gone_is_dropped() -> None:
    bench(Scripted(bigquery=[NotFound("404")])).drop(TableName("p", "d", "t"))

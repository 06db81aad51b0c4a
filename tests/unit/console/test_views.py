"""Operations, failures and checks as the pages show them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dicom_export.console.views.checks import Destination
from dicom_export.console.views.failures import csv_lines, grouped, matches
from dicom_export.console.views.operation import OperationView, table_address
from dicom_export.console.views.status import FILTERS, status_of
from dicom_export.errors import Code
from dicom_export.operations.counters import Counters, DifferenceCounts
from dicom_export.operations.failure import Failure, FailureStage, Status
from dicom_export.operations.request import ExportRequest, RepairRequest, VerifyRequest, WriteDisposition
from dicom_export.ports import TableInfo
from dicom_export.uids import InstanceUids
from support.factories import STORE, TABLE, make_operation

BEGIN = make_operation()
END = BEGIN.create_time + timedelta(seconds=10)


def ended(error: Status | None = None, **changes: Any) -> OperationView:
    return OperationView(replace(BEGIN, end_time=END, error=error, **{"counters": Counters(), **changes}), END)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"counters": Counters()}, "Planning"),
        ({"counters": Counters(planned=3)}, "Running"),
        ({"counters": Counters(planned=3), "cancel_requested": True}, "Cancelling"),
        ({"end_time": END}, "OK"),
        ({"end_time": END, "differences": DifferenceCounts(missing=1)}, "Differences"),
        ({"end_time": END, "error": Status(Code.CANCELLED, "x")}, "Cancelled"),
        ({"end_time": END, "requested": None, "error": Status(Code.NOT_FOUND, "x")}, "Refused"),
        (
            {"end_time": END, "counters": Counters(4, 3, 1), "error": Status(Code.INVALID_ARGUMENT, "1 of 4")},
            "With failures",
        ),
        ({"end_time": END, "counters": Counters(1, 0, 1), "error": Status(Code.INVALID_ARGUMENT, "1 of 1")}, "Failed"),
        (
            {
                "end_time": END,
                "counters": Counters(4, 3, 1),
                "error": Status(Code.INTERNAL, "1 failed. bq://a.b.c was left as it was."),
            },
            "Failed",
        ),
    ],
)
def test_every_status_has_a_word_a_shape_and_a_choice_in_the_filter(changes: dict[str, Any], word: str) -> None:
    status = status_of(replace(BEGIN, **changes))
    assert status.word == word
    assert status.icon
    assert sum(status in choices for choices in FILTERS.values()) == 1


def test_the_rest_of_an_export_is_estimated_once_its_plan_is_made() -> None:
    running = OperationView(replace(BEGIN, counters=Counters(planned=100, success=20)), END)
    assert running.seconds_left is None
    assert running.progress == "20 of 100 found so far"
    planned = OperationView(replace(running.operation, pages=1), END)
    assert planned.rate == 2
    assert planned.seconds_left == 40
    assert planned.until == END + timedelta(seconds=40)
    assert planned.percent == "20"
    assert planned.announcement == "Running, 0 percent"


def test_a_running_export_is_never_at_100_percent() -> None:
    running = OperationView(replace(BEGIN, counters=Counters(planned=100, success=100), pages=1), END)
    assert running.percent == "99.9"
    assert ended(counters=Counters(planned=100, success=100)).percent == "100"


def test_an_export_of_nothing_can_be_shown() -> None:
    view = ended()
    assert (view.percent, view.rate, view.seconds_left) == ("0", 0, None)
    assert "0 exported" in view.progress


def test_a_repeat_has_the_whole_request() -> None:
    view = ended(requested=ExportRequest(STORE, TABLE, include_source_store=True))
    assert "source_store=on" in view.repeat_href
    assert "disposition=WRITE_EMPTY" in view.repeat_href
    for request in (VerifyRequest(STORE, TABLE, TABLE), RepairRequest(STORE, TABLE, TABLE)):
        assert ended(requested=request).repeat_href == ""
    assert ended(requested=None).repeat_href == ""


@pytest.mark.parametrize(
    "request_of",
    [ExportRequest(STORE, TABLE), VerifyRequest(STORE, TABLE, TABLE), RepairRequest(STORE, TABLE, TABLE), None],
)
def test_every_kind_of_operation_has_a_title_and_facts(request_of: Any) -> None:
    view = ended(requested=request_of)
    assert view.title
    assert view.facts[0].name == "Operation"


def test_a_table_leads_to_its_rows_with_the_readers_own_rights() -> None:
    assert table_address(TABLE, is_local=True) == "data?table=local.main.dicom"
    assert table_address(TABLE, is_local=False).startswith("https://console.cloud.google.com/bigquery?project=local&")


def failure(message: str, name: str = "a.dcm", code: Code = Code.INVALID_ARGUMENT) -> Failure:
    return Failure(name, 1, FailureStage.READ, code, message, InstanceUids("1.2", None, "1.3"))


def test_failures_of_one_problem_are_one_reason() -> None:
    found = [failure(f"Malformed at byte {position:,}: too long") for position in (1, 22, 132_096)]
    reasons = grouped([failure("Missing StudyInstanceUID (0020,000D)"), *found])
    assert [(each.text, each.failures) for each in reasons] == [
        ("Malformed at byte …: too long", 3),
        ("Missing StudyInstanceUID (0020,000D)", 1),
    ]
    assert all(each.advice for each in reasons)


def test_failures_are_found_by_reason_object_and_uid() -> None:
    each = failure("At byte 5: x", "2026/a.dcm")
    assert matches(each, "", "")
    assert matches(each, "At byte …: x", "2026/")
    assert matches(each, "", "1.3")
    assert not matches(each, "another", "")
    assert not matches(each, "", "b.dcm")


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    names = ["=HYPERLINK(1)", "+1", "-1", "@x", 'a,b"c\nd']
    text = b"".join(csv_lines(failure("x", name) for name in names)).decode()
    lines = text.split("\r\n")
    assert lines[0] == "object,generation,study,series,instance,stage,code,reason"
    assert [line[0] for line in lines[1:5]] == ["'"] * 4
    assert '"a,b""c\nd"' in text


def test_a_destination_says_what_each_choice_would_do() -> None:
    known = Destination((), TableInfo((), 412_377))
    assert known.effects["WRITE_EMPTY"]
    assert known.effects["WRITE_EMPTY"].tone == "error"
    assert "412,377 rows would be replaced" in str(known.effects["WRITE_TRUNCATE"])
    assert set(Destination(()).effects.values()) == {None}
    assert all(each and each.tone == "ok" for each in Destination((), is_new=True).effects.values())
    assert all(each and each.tone == "ok" for each in Destination((), TableInfo((), 0)).effects.values())


def test_the_write_dispositions_of_the_form_are_those_of_the_api() -> None:
    assert set(Destination(()).effects) == {each.value for each in WriteDisposition} - {"CREATE_NEW"}

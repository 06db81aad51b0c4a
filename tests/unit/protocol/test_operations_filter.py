from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.errors import InvalidArgument
from dicom_export.protocol.operations_filter import parse_operations_filter
from support.exports import CREATED, make_operation

RUNNING = make_operation(1)
ENDED = make_operation(2, end_time=CREATED + timedelta(hours=1))


def found(text: str) -> list[str]:
    condition = parse_operations_filter(text)
    return [operation.name.operation for operation in (RUNNING, ENDED) if condition(operation)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["o1", "o2"]),
        ("  ", ["o1", "o2"]),
        ("done:true", ["o2"]),
        ("done:false", ["o1"]),
        ("done=true", ["o2"]),
        ('done = "false" AND name:o', ["o1"]),
        (" done : true ", ["o2"]),
        ("name:o1", ["o1"]),
        ('name:"operations/o2"', ["o2"]),
        ("name:'datasets/d/'", ["o1", "o2"]),
        ("name:elsewhere", []),
        ("metadata.createTime=2026-01-02T03:04:06.678901Z", ["o1"]),
        ('metadata.createTime = "2026-01-02T03:04:06.678901Z"', ["o1"]),
        ('metadata.createTime < "2026-01-02T03:04:07Z"', ["o1"]),
        ('metadata.createTime<="2026-01-02T03:04:06.678901Z"', ["o1"]),
        ('metadata.createTime>"2026-01-02T03:04:06.678901Z"', ["o2"]),
        ('metadata.createTime>="2026-01-02T04:04:07.678901+01:00"', ["o2"]),
        ('metadata.createTime>="2026-01-02t03:04:07.678901000z"', ["o2"]),
        ('metadata.endTime>"2026-01-01T00:00:00Z"', ["o2"]),
        ('metadata.endTime<"2027-01-01T00:00:00Z"', ["o2"]),
        ('done:true AND name:o AND metadata.endTime>"2026-01-01T00:00:00Z"', ["o2"]),
        ("done:true AND done:false", []),
    ],
)
def test_a_filter_keeps_what_fulfils_every_condition(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("compare", "expected"), [("=", []), ("<", ["o1"]), ("<=", ["o1"]), (">", ["o2"]), (">=", ["o2"])]
)
@pytest.mark.parametrize("fraction", ["678901001", "6789015", "678901500", "678901000000001"])
def test_a_time_is_compared_to_its_last_digit(compare: str, expected: list[str], fraction: str) -> None:
    assert found(f"metadata.createTime{compare}2026-01-02T03:04:06.{fraction}Z") == expected


@pytest.mark.parametrize("fraction", ["678901", "678901000", "6789010000000"])
def test_zeros_at_the_end_of_a_time_say_nothing(fraction: str) -> None:
    assert found(f"metadata.createTime=2026-01-02T03:04:06.{fraction}Z") == ["o1"]


@pytest.mark.parametrize(
    "text",
    [
        *("done", "done:", "done:maybe", "done:TRUE", "NOT done:true", "(done:true)", "-done:true"),
        *("name:", 'name:""', "name=o1", 'name:"o1', "name:a b"),
        *("metadata.createTime:2026-01-02T03:04:05Z", "metadata.createTime>2026-01-02", "metadata.createTime>now"),
        "metadata.createTime>2026-01-02T03:04:05.678901\u0661Z",
        *("metadata.endTime>2026-02-30T00:00:00Z", "metadata.endTime>20260102T030405Z", "metadata.endTime!=x"),
        *("metadata.endTime>2026-01-02T03:04:05", "metadata.logsUrl:x", "error:x", "x"),
        *("done:true OR done:false", "done:true done:false", "done:true AND", "AND done:true", "done:true and name:o"),
        *('name:"a"AND done:true', "done:trueAND name:o"),
    ],
)
def test_what_is_not_in_the_grammar_is_an_invalid_argument(text: str) -> None:
    with pytest.raises(InvalidArgument, match="expected"):
        parse_operations_filter(text)


@given(st.text() | st.from_regex(r"(done|name|metadata\.(create|end)Time)[:=<>]+[\w\"': .-]*( AND )?"))
def test_any_text_is_either_a_filter_or_an_invalid_argument(text: str) -> None:
    try:
        condition = parse_operations_filter(text)
    except InvalidArgument:
        return
    assert condition(RUNNING) in (True, False)

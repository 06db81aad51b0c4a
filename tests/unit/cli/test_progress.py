from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from dicom_export.cli.progress import ExportProgress, State, log_line, progress_line
from dicom_export.decoding.counted import CountedBatches, DecodedCounts
from dicom_export.decoding.decoded import DecodedBatch, Found, Skipped
from dicom_export.errors import NotDicom
from dicom_export.names import OperationName
from dicom_export.operations.counters import Counters
from dicom_export.operations.operation import Operation
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.rows.schema import Schema
from dicom_export.uids import InstanceUids

STATE = State("Exporting", done=12_345, total=200_000, failures=3, seconds=75, speed=1234)
RUNNING = Operation(
    OperationName.parse("projects/p/locations/l/datasets/d/operations/1"),
    "v1",
    datetime(2026, 1, 1, tzinfo=UTC),
    None,
    pages=1,
    counters=Counters(planned=100),
)


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (79, "Exporting  ───────────────────  12,345/200,000  3 failed  0:01:15  1,234/s  0:02:32 left"),
        (39, "12,345/200,000  3 failed  0:01:15"),
    ],
)
def test_a_line_has_what_fits_its_width(width: int, line: str) -> None:
    shown = progress_line(STATE, width)
    assert len(shown) <= width
    assert shown.split()[-1] == line.rsplit(maxsplit=1)[-1]
    for part in ("12,345/200,000", "3 failed", "0:01:15"):
        assert part in shown


@settings(max_examples=60)
@given(
    st.builds(
        State,
        done=st.integers(0, 10**7),
        total=st.none() | st.integers(1, 10**7),
        failures=st.integers(0, 10**5),
        seconds=st.floats(0, 10**6),
        speed=st.floats(0, 10**5),
    ),
    st.integers(1, 200),
)
def test_a_line_never_exceeds_its_width(state: State, width: int) -> None:
    bounded = replace(state, done=min(state.done, state.total or state.done))
    assert len(progress_line(bounded, width)) <= width


def test_a_log_line_has_the_time_and_the_failures() -> None:
    assert log_line(STATE) == (
        "Exporting: 12,345 of 200,000 instances, 3 failed, 0:01:15 elapsed, 1,234 instances/s, 0:02:32 left"
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_pipe_gets_one_line_per_minute() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = ExportProgress(Console(file=stream, width=40, soft_wrap=True), None, DecodedCounts(), clock=clock)
    with progress:
        for second in range(181):
            clock.now = second
            progress.show(RUNNING)
    lines = stream.getvalue().splitlines()
    assert [line.split(", ")[2] for line in lines] == ["0:01:00 elapsed", "0:02:00 elapsed", "0:03:00 elapsed"]


@pytest.mark.parametrize("environment", [{"TERM": "dumb", "FORCE_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_what_is_not_a_terminal_gets_no_control_characters(environment: dict[str, str]) -> None:
    stream = io.StringIO()
    with ExportProgress(Console(file=stream, _environ=environment), None, DecodedCounts()) as progress:
        progress.show(RUNNING)
    assert stream.getvalue() == ""


def test_quiet_prints_nothing() -> None:
    stream, clock = io.StringIO(), Clock()
    with ExportProgress(Console(file=stream), None, DecodedCounts(), is_shown=False, clock=clock) as progress:
        clock.now = 1000
        progress.show(RUNNING)
    assert stream.getvalue() == ""


def test_progress_moves_with_each_batch_of_a_message() -> None:
    counts, stream, clock = DecodedCounts(), io.StringIO(), Clock()
    found: list[list[Found]] = [
        [*[InstanceUids("1", "2", "3")] * 8, NotDicom("x"), Skipped("text")],
        [*[InstanceUids("1", "2", "4")] * 10],
    ]
    batches = [DecodedBatch(each, Schema(()), (), 0) for each in found]
    progress = ExportProgress(Console(file=stream, soft_wrap=True), None, counts, clock=clock)
    decode = CountedBatches(lambda *_: iter(batches), counts)
    for _ in decode(None, (), RowLayout(SchemaKind.FLATTENED), None):  # type: ignore[arg-type]
        clock.now += 61
        progress.show(RUNNING)
    clock.now += 61
    progress.show(RUNNING)
    counted = [line.partition(" instances")[0] + ", " + line.split(", ")[1] for line in stream.getvalue().splitlines()]
    assert counted == [
        "Exporting: 0 of 100, 0 failed",
        "Exporting: 9 of 99, 1 failed",
        "Exporting: 19 of 99, 1 failed",
    ]

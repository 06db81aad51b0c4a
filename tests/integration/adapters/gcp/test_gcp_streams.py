"""Streams of the Storage Write API under the faults that no emulator has."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud.bigquery import Dataset, Table
from google.cloud.bigquery_storage_v1.types import (
    AppendRowsResponse,
    BatchCommitWriteStreamsResponse,
    FinalizeWriteStreamResponse,
    StorageError,
    TableFieldSchema,
    TableSchema,
    WriteStream,
    WriteStreamView,
)
from google.protobuf.timestamp_pb2 import Timestamp

from dicom_export.errors import (
    ColumnsNotKnown,
    DicomExportError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermanentError,
    PermissionDenied,
    RowsRefused,
    Unavailable,
)
from dicom_export.names import TableName
from dicom_export.pubsub.attempts import attempt
from support.append_calls import FOUND, MISSING, OK, SECRET, Calls, refusal, streams, wrong
from support.scripted import Scripted

TABLE = TableName("p", "d", "t")
STREAM = "projects/p/datasets/d/tables/t/streams/s"
ROWS = pa.record_batch({"PatientID": ["1"]})
NOW = Timestamp(seconds=1)


def committed(*errors: str) -> BatchCommitWriteStreamsResponse:
    if not errors:
        return BatchCommitWriteStreamsResponse(commit_time=NOW)
    return BatchCommitWriteStreamsResponse(stream_errors=[StorageError(code=error, entity=STREAM) for error in errors])


def test_a_stream_costs_four_calls_and_each_has_a_timeout() -> None:
    calls = Calls([OK, OK])
    write = Scripted(
        create_write_stream=[WriteStream(name=STREAM)],
        append_rows=[calls],
        finalize_write_stream=[FinalizeWriteStreamResponse(row_count=2)],
        batch_commit_write_streams=[committed()],
    )
    opened = streams(write)
    assert opened.open(TABLE) == STREAM
    for offset in range(2):
        opened.append(STREAM, offset, ROWS)
    assert opened.finalize(STREAM) == 2
    opened.commit(TABLE, STREAM)
    assert write.names() == [
        "create_write_stream",
        "append_rows",
        "finalize_write_stream",
        "batch_commit_write_streams",
    ]
    assert all(0 < kwargs["timeout"] <= 90 for _, _, kwargs in write.calls)


def test_the_schema_goes_with_the_first_request_of_a_call_only() -> None:
    calls = Calls([OK, OK], [OK])
    opened = streams(Scripted(append_rows=[calls]))
    for offset, rows in enumerate([ROWS, ROWS, pa.record_batch({"Rows": [1]})]):
        opened.append(STREAM, offset, rows)
    has_schema = [
        [bool(request.arrow_rows.writer_schema.serialized_schema) for request in each] for each in calls.requests
    ]
    assert has_schema == [[True, False], [True]]


def test_an_append_whose_answer_was_lost_is_sent_again_and_found_there() -> None:
    calls = Calls(
        [exceptions.ServiceUnavailable("")], [refusal(grpc.StatusCode.ALREADY_EXISTS, "OFFSET_ALREADY_EXISTS")]
    )
    streams(Scripted(append_rows=[calls])).append(STREAM, 7, ROWS)
    assert [[request.offset for request in each] for each in calls.requests] == [[7], [7]]


@pytest.mark.parametrize(
    "passing",
    [
        exceptions.Aborted("closed"),
        exceptions.ResourceExhausted(""),
        exceptions.Cancelled(""),
        refusal(grpc.StatusCode.INTERNAL),
        refusal(grpc.StatusCode.ABORTED),
    ],
)
def test_what_passes_is_tried_again_by_a_new_call(passing: Any) -> None:
    calls = Calls([passing], [], [OK])
    streams(Scripted(append_rows=[calls])).append(STREAM, 0, ROWS)
    assert len(calls.requests) == 3


def test_what_does_not_pass_in_time_is_transient() -> None:
    calls = Calls(*([refusal(grpc.StatusCode.INTERNAL)] for _ in range(9)))
    with pytest.raises(Unavailable, match="row 0: INTERNAL") as raised:
        streams(Scripted(append_rows=[calls]), seconds=0.2).append(STREAM, 0, ROWS)
    assert SECRET not in str(raised.value)


LATE = refusal(
    grpc.StatusCode.INVALID_ARGUMENT, message="Input schema has more fields than BigQuery schema, extra fields: 'x'"
)


@pytest.mark.parametrize("late", [LATE, refusal(grpc.StatusCode.INVALID_ARGUMENT, "SCHEMA_MISMATCH_EXTRA_FIELDS")])
def test_rows_with_columns_that_take_effect_late_are_appended_again_by_new_calls(late: AppendRowsResponse) -> None:
    calls = Calls([late], [late], [OK])
    paused: list[float] = []
    streams(Scripted(append_rows=[calls]), sleep=paused.append).append(STREAM, 0, ROWS)
    assert [len(requests) for requests in calls.requests] == [1, 1, 1]
    assert paused == [1, 2]


@pytest.mark.parametrize("how", ["append", "stream"])
def test_columns_that_stay_unknown_are_transient_before_the_message_comes_again(how: str) -> None:
    paused: list[float] = []
    late = streams(Scripted(append_rows=[Calls(*([LATE] for _ in range(20)))]), sleep=paused.append)
    with pytest.raises(ColumnsNotKnown, match="does not know all columns of its table yet"):
        late.append(STREAM, 0, ROWS) if how == "append" else late.append_at_once(TABLE, ROWS)
    # Whoever streams rows of uploads waits for his turn meanwhile.
    assert sum(paused) == {"append": 45, "stream": 7}[how]


def changed(seconds_ago: float, *columns: str) -> Any:
    """Return a client of a table with these columns that was changed some seconds ago."""
    fields = [{"name": name, "type": "STRING"} for name in columns or ("PatientID",)]
    modified = {"lastModifiedTime": str(int((time.time() - seconds_ago) * 1000))}
    return Scripted(get_table=[Table.from_api_repr({**FOUND.to_api_repr(), "schema": {"fields": fields}, **modified})])


UNEXPLAINED = [
    refusal(grpc.StatusCode.INVALID_ARGUMENT, rows=()),
    refusal(grpc.StatusCode.FAILED_PRECONDITION, rows=()),
    exceptions.InvalidArgument(SECRET),
]


@pytest.mark.parametrize("answer", UNEXPLAINED)
def test_a_refusal_without_row_errors_soon_after_a_change_is_tried_again(answer: Any) -> None:
    calls = Calls([answer], [answer], [OK])
    streams(Scripted(append_rows=[calls]), changed(60)).append(STREAM, 0, ROWS)
    assert len(calls.requests) == 3


@pytest.mark.parametrize("answer", UNEXPLAINED)
def test_a_refusal_without_row_errors_soon_after_a_change_is_transient_in_the_end(answer: Any) -> None:
    write = Scripted(append_rows=[Calls(*([answer] for _ in range(20)))])
    with pytest.raises(ColumnsNotKnown, match=r"may be because bq://p\.d\.t has new columns") as raised:
        streams(write, changed(60)).append(STREAM, 0, ROWS)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("answer", UNEXPLAINED)
def test_a_refusal_without_row_errors_of_an_old_table_is_for_good(answer: Any) -> None:
    with pytest.raises(PermanentError):
        streams(Scripted(append_rows=[Calls([answer])]), changed(3600)).append(STREAM, 0, ROWS)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(grpc.StatusCode.INVALID_ARGUMENT, rows=(0,)),
        AppendRowsResponse(row_errors=wrong(0)),
        refusal(grpc.StatusCode.INVALID_ARGUMENT, rows=(7,)),
        refusal(grpc.StatusCode.INVALID_ARGUMENT, "STREAM_FINALIZED", rows=()),
        exceptions.PermissionDenied(SECRET),
    ],
)
def test_a_refusal_that_says_why_is_for_good_soon_after_a_change_too(answer: Any) -> None:
    with pytest.raises(PermanentError):
        streams(Scripted(append_rows=[Calls([answer])]), changed(1)).append(STREAM, 0, ROWS)


# --- The columns that streams know ---


def full(*columns: str) -> WriteStream:
    """Return a stream that knows these columns; `a.b` is a field of the record `a`."""
    nested = [name.split(".")[1] for name in columns if "." in name]
    fields = [
        TableFieldSchema(
            name=name, fields=[TableFieldSchema(name=each) for each in nested if f"{name}.{each}" in columns]
        )
        for name in columns
        if "." not in name
    ]
    return WriteStream(name=DEFAULT, table_schema=TableSchema(fields=fields))


DEFAULT = "projects/p/datasets/d/tables/t/streams/_default"


def test_the_default_stream_is_asked_until_it_knows_all_columns_and_then_no_more() -> None:
    write = Scripted(get_write_stream=[MISSING, full("PatientID"), full("patientid", "Rows")])
    paused: list[float] = []
    asked = streams(write, changed(1, "PatientID", "Rows"), sleep=paused.append)
    asked.await_columns(TABLE)
    assert paused == [1, 2]
    requests = [kwargs["request"] for kwargs in write.named("get_write_stream")]
    assert {(each.name, each.view) for each in requests} == {(DEFAULT, WriteStreamView.FULL)}
    assert all(kwargs["timeout"] for kwargs in write.named("get_write_stream"))
    asked.await_columns(TABLE)
    assert len(write.names()) == 3


def test_a_nested_field_is_waited_for_too() -> None:
    record = {
        "name": "Item",
        "type": "RECORD",
        "fields": [{"name": "a", "type": "STRING"}, {"name": "b", "type": "STRING"}],
    }
    rest = Scripted(get_table=[Table.from_api_repr({**FOUND.to_api_repr(), "schema": {"fields": [record]}})])
    write = Scripted(get_write_stream=[full("Item", "Item.a"), full("Item", "Item.a", "Item.b")])
    streams(write, rest).await_columns(TABLE)
    assert len(write.names()) == 2


def test_columns_that_stay_unknown_longer_than_a_message_may_take_are_transient_and_named() -> None:
    write = Scripted(get_write_stream=[full("PatientID")])
    paused: list[float] = []
    with attempt(1), pytest.raises(ColumnsNotKnown, match=r"columns of bq://p\.d\.t yet: a, b, c, …"):
        streams(write, changed(1, "PatientID", *"abcd"), sleep=paused.append).await_columns(TABLE)
    assert 300 < sum(paused) <= 360
    assert max(paused) == 15


def test_of_a_message_that_has_taken_long_only_the_rest_is_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    late = streams(Scripted(get_write_stream=[full("x")]), sleep=paused.append)
    with attempt(1):
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 357)
        with pytest.raises(ColumnsNotKnown):
            late.await_columns(TABLE)
    assert paused == [1]


def test_a_service_that_does_not_tell_the_columns_is_not_waited_for() -> None:
    write = Scripted(get_write_stream=[WriteStream(name=DEFAULT)])
    streams(write).await_columns(TABLE)
    assert len(write.names()) == 1


def test_a_table_that_is_gone_is_not_waited_for() -> None:
    write = Scripted(get_write_stream=[MISSING])
    streams(write, Scripted(get_table=[MISSING], get_dataset=[Dataset("p.d")])).await_columns(TABLE)
    assert write.names() == []


def test_columns_that_the_table_has_not_are_no_matter_of_time() -> None:
    extra = refusal(grpc.StatusCode.INVALID_ARGUMENT, "SCHEMA_MISMATCH_EXTRA_FIELDS")
    with pytest.raises(InvalidArgument, match="has no column Rows"):
        streams(Scripted(append_rows=[Calls([extra])])).append(STREAM, 0, pa.record_batch({"Rows": [1]}))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(grpc.StatusCode.INVALID_ARGUMENT), InvalidArgument),
        (exceptions.InvalidArgument(SECRET), InvalidArgument),
        (refusal(grpc.StatusCode.OUT_OF_RANGE, "OFFSET_OUT_OF_RANGE"), Unavailable),
        (refusal(grpc.StatusCode.INVALID_ARGUMENT, "STREAM_FINALIZED"), FailedPrecondition),
        (exceptions.PermissionDenied(SECRET), PermissionDenied),
        (refusal(grpc.StatusCode.FAILED_PRECONDITION, "KMS_SERVICE_ERROR"), Unavailable),
    ],
)
def test_a_refused_append_says_why_and_where_and_quotes_no_value(answer: Any, kind: type[DicomExportError]) -> None:
    with pytest.raises(kind) as raised:
        streams(Scripted(append_rows=[Calls([answer])])).append(STREAM, 0, ROWS)
    assert STREAM in raised.value.message
    assert SECRET not in raised.value.message
    assert raised.value.__suppress_context__


FIVE = pa.record_batch({"PatientID": [*"01234"]})


@pytest.mark.parametrize(
    "answer",
    [
        refusal(grpc.StatusCode.INVALID_ARGUMENT, rows=(4, 0, 4)),
        AppendRowsResponse(row_errors=wrong(0, 4)),
    ],
)
def test_the_rows_that_are_wrong_are_named_by_their_numbers_and_no_value(answer: AppendRowsResponse) -> None:
    with pytest.raises(
        RowsRefused, match=rf"Append to {STREAM} at row 7: INVALID_ARGUMENT, row .: FIELDS_ERROR"
    ) as raised:
        streams(Scripted(append_rows=[Calls([answer])])).append(STREAM, 7, FIVE)
    assert raised.value.indices == (0, 4)
    assert SECRET not in raised.value.message
    assert raised.value.__suppress_context__


def test_many_rows_that_are_wrong_are_all_named_and_three_of_them_in_words() -> None:
    answer = refusal(grpc.StatusCode.INVALID_ARGUMENT, rows=(0, 1, 2, 3))
    with pytest.raises(RowsRefused) as raised:
        streams(Scripted(append_rows=[Calls([answer])])).append(STREAM, 0, FIVE)
    assert raised.value.indices == (0, 1, 2, 3)
    assert raised.value.message.count("FIELDS_ERROR") == 3


def test_the_rows_that_are_left_are_appended_at_the_same_offset_by_a_new_call() -> None:
    calls = Calls([refusal(grpc.StatusCode.INVALID_ARGUMENT, rows=(0,))], [OK])
    opened = streams(Scripted(append_rows=[calls]))
    with pytest.raises(RowsRefused):
        opened.append(STREAM, 7, FIVE)
    opened.append(STREAM, 7, FIVE.slice(1))
    assert [[request.offset for request in each] for each in calls.requests] == [[7], [7]]


def test_rows_that_the_batch_has_not_are_no_refusal_of_rows() -> None:
    with pytest.raises(InvalidArgument, match="INVALID_ARGUMENT, row 3: FIELDS_ERROR"):
        streams(Scripted(append_rows=[Calls([refusal(grpc.StatusCode.INVALID_ARGUMENT)])])).append(STREAM, 0, ROWS)


def test_rows_that_are_named_by_what_passes_are_not_refused() -> None:
    calls = Calls([refusal(grpc.StatusCode.INTERNAL, rows=(0,))], [OK])
    streams(Scripted(append_rows=[calls])).append(STREAM, 0, FIVE)
    assert len(calls.requests) == 2


@pytest.mark.parametrize(("found", "kind"), [(WriteStream(name=STREAM), Unavailable), (MISSING, NotFound)])
def test_a_stream_that_appends_do_not_know_may_be_there(found: Any, kind: type[DicomExportError]) -> None:
    write = Scripted(append_rows=[Calls([exceptions.NotFound(SECRET)])], get_write_stream=[found])
    with pytest.raises(kind):
        streams(write).append(STREAM, 0, ROWS)


@pytest.mark.parametrize(("found", "kind"), [(FOUND, Unavailable), (MISSING, NotFound)])
def test_a_table_that_the_write_api_does_not_know_may_be_there(found: Any, kind: type[DicomExportError]) -> None:
    rest = Scripted(get_table=[found], get_dataset=[Dataset("p.d")])
    with pytest.raises(kind):
        streams(Scripted(create_write_stream=[MISSING]), rest).open(TABLE)


def test_a_burst_of_refusals_for_a_quota_is_waited_out() -> None:
    burst = exceptions.ResourceExhausted("CreateWriteStream requests")
    write = Scripted(create_write_stream=[burst, burst, WriteStream(name=STREAM)])
    assert streams(write).open(TABLE) == STREAM


def test_a_stream_that_is_committed_at_first_sight_is_a_success() -> None:
    streams(Scripted(batch_commit_write_streams=[committed("STREAM_ALREADY_COMMITTED")])).commit(TABLE, STREAM)


def test_a_commit_whose_answer_was_lost_is_a_success_at_the_next_try() -> None:
    write = Scripted(
        batch_commit_write_streams=[exceptions.ServiceUnavailable(""), committed("STREAM_ALREADY_COMMITTED")]
    )
    streams(write).commit(TABLE, STREAM)
    assert len(write.calls) == 2


UNCOMMITTED = [
    (committed("STREAM_NOT_FOUND"), NotFound),
    (committed("INVALID_STREAM_STATE"), FailedPrecondition),
    (committed("TABLE_NOT_FOUND"), Unavailable),
    (committed("KMS_SERVICE_ERROR"), Unavailable),
    (committed("INVALID_STREAM_TYPE"), FailedPrecondition),
    (BatchCommitWriteStreamsResponse(), Unavailable),
    (MISSING, NotFound),
]


@pytest.mark.parametrize(("answer", "kind"), UNCOMMITTED)
def test_a_commit_that_failed_is_an_error(answer: Any, kind: type[DicomExportError]) -> None:
    write = Scripted(batch_commit_write_streams=[answer], get_write_stream=[MISSING])
    with pytest.raises(kind):
        streams(write).commit(TABLE, STREAM)
    assert all(kwargs["timeout"] for _, _, kwargs in write.calls)


@pytest.mark.parametrize("answer", [MISSING, committed("STREAM_NOT_FOUND")])
def test_a_stream_that_commits_do_not_know_and_that_is_there_is_transient(answer: Any) -> None:
    write = Scripted(batch_commit_write_streams=[answer], get_write_stream=[WriteStream(name=STREAM)])
    with pytest.raises(Unavailable, match="exists, and commits do not know it yet"):
        streams(write).commit(TABLE, STREAM)
    assert len(write.named("get_write_stream")) == 1


@pytest.mark.parametrize("found", [WriteStream(name=STREAM), MISSING])
def test_a_commit_that_is_not_allowed_is_no_stream_that_is_gone(found: Any) -> None:
    write = Scripted(batch_commit_write_streams=[exceptions.PermissionDenied("no")], get_write_stream=[found])
    with pytest.raises(PermissionDenied):
        streams(write).commit(TABLE, STREAM)


@pytest.mark.parametrize(("found", "kind"), [(WriteStream(name=STREAM), Unavailable), (MISSING, NotFound)])
def test_a_stream_that_cannot_be_finalized_may_be_there(found: Any, kind: type[DicomExportError]) -> None:
    write = Scripted(finalize_write_stream=[MISSING], get_write_stream=[found])
    with pytest.raises(kind):
        streams(write).finalize(STREAM)


@pytest.mark.parametrize("answer", [answer for answer, _ in UNCOMMITTED])
def test_a_stream_that_has_a_commit_time_is_committed_whatever_the_commit_says(answer: Any) -> None:
    found = WriteStream(name=STREAM, commit_time=NOW)
    streams(Scripted(batch_commit_write_streams=[answer], get_write_stream=[found])).commit(TABLE, STREAM)

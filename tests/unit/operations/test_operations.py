from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dicom_export.errors import Code, Internal
from dicom_export.names import GcsUri, TableName
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Failure, FailureStage, Status
from dicom_export.operations.operation import Operation
from dicom_export.operations.outcome import final_status, replaces_table
from dicom_export.operations.request import ExportRequest, RepairRequest, Request, WriteDisposition
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.partitioning import Partitioning, PartitionType
from dicom_export.state.paths import index_path
from dicom_export.uids import InstanceUids
from support.factories import STORE, TABLE, make_operation

OVERWRITE = make_operation(disposition=WriteDisposition.WRITE_TRUNCATE)
CANCELLED_PLAN = Status(Code.CANCELLED, "Cancelled while the store was being listed.")


def test_a_refused_operation_comes_back_from_its_state_and_has_no_request() -> None:
    refused = replace(make_operation(), requested=None, error=Status(Code.NOT_FOUND, "no such store"))
    assert Operation.decode(refused.encode()) == refused
    with pytest.raises(Internal, match="was refused"):
        _ = refused.request


def test_an_operation_comes_back_from_its_state() -> None:
    uri = GcsUri.parse("gs://bucket/filter.txt")
    request = ExportRequest(STORE, TABLE, WriteDisposition.CREATE_NEW, SchemaKind.JSON, True, uri)  # noqa: FBT003
    operation = replace(
        make_operation(),
        requested=request,
        filter_generation=7,
        cancel_requested=True,
        pages=3,
        plan_error=CANCELLED_PLAN,
        end_time=datetime(2026, 1, 2, tzinfo=UTC),
        counters=Counters(planned=3, success=2, failure=1),
        error=Status(Code.INTERNAL, "why"),
        staging=TableName("p", "d", "t"),
    )
    assert Operation.decode(operation.encode()) == operation
    assert Operation.decode(make_operation().encode()) == make_operation()


@pytest.mark.parametrize(
    "request_",
    [
        ExportRequest(STORE, TABLE, include_source_object=True, views=False),
        ExportRequest(STORE, TABLE, since=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), repeats_rows=True),
        ExportRequest(STORE, TABLE, partitioning=Partitioning(PartitionType.MONTH)),
        ExportRequest(STORE, TABLE, partitioning=Partitioning(PartitionType.DAY, 86_400_000)),
        RepairRequest(STORE, TABLE, TABLE, include_source_object=True),
    ],
)
def test_a_request_comes_back_from_the_state_of_its_operation(request_: Request) -> None:
    operation = replace(make_operation(), requested=request_, compares_objects=True)
    assert Operation.decode(operation.encode()) == operation


def test_a_request_without_partitions_has_the_state_of_earlier_versions() -> None:
    assert "partitioning" not in ExportRequest(STORE, TABLE).to_json()


def test_a_failure_comes_back_from_its_state() -> None:
    failure = Failure("a/b.dcm", 7, FailureStage.READ, Code.DATA_LOSS, "why", InstanceUids("1.2", "1.3", None))
    assert Failure.from_json(failure.to_json()) == failure


def test_pending_is_what_was_found_and_has_no_outcome() -> None:
    counters = Counters(planned=10, success=3, failure=2, skipped=1, cancelled=1)
    assert (counters.found, counters.pending) == (9, 3)


def test_counters_add_up_and_come_back_from_metadata() -> None:
    first, second = Counters(planned=5, success=4, studies=1), Counters(planned=2, failure=2)
    total = Counters.total([first, second])
    assert total == Counters(planned=7, success=4, failure=2, studies=1)
    assert Counters.from_metadata(total.to_metadata()) == total


def test_an_overwrite_writes_to_its_staging_table_and_one_of_an_earlier_version_next_to_its_table() -> None:
    staging = TableName("our-project", "staging", "dicom_export_staging_1")
    assert make_operation().target == TABLE
    assert replace(OVERWRITE, staging=staging).target == staging
    assert OVERWRITE.target == replace(TABLE, table="dicom_export_staging_1")
    state = json.loads(replace(OVERWRITE, staging=staging).encode())
    assert Operation.decode(json.dumps(state).encode()).target == staging
    del state["staging"]
    assert Operation.decode(json.dumps(state).encode()).target == OVERWRITE.target


def test_success_has_no_error() -> None:
    assert final_status(make_operation(), Counters(planned=2, success=2)) is None


@pytest.mark.parametrize(
    ("counters", "plan_error", "code", "replaces"),
    [
        (Counters(), None, None, True),
        (Counters(planned=2, success=1, failure=1), None, Code.INVALID_ARGUMENT, True),
        (Counters(planned=2, failure=2), None, Code.INVALID_ARGUMENT, False),
        (Counters(planned=2, success=1, failure=1, abandoned=1), None, Code.INTERNAL, False),
        (Counters(planned=2, success=1, cancelled=1), None, Code.CANCELLED, False),
        (Counters(planned=2, success=2), CANCELLED_PLAN, Code.CANCELLED, False),
        (Counters(planned=2, success=2), Status(Code.NOT_FOUND, "gone"), Code.NOT_FOUND, False),
    ],
)
def test_an_overwrite_takes_its_place_only_when_it_is_whole(
    counters: Counters,
    plan_error: Status | None,
    code: Code | None,
    replaces: bool,  # noqa: FBT001 - a parameter
) -> None:
    operation = replace(OVERWRITE, plan_error=plan_error)
    status = final_status(operation, counters)
    assert (status.code if status else None) == code
    assert replaces_table(operation, counters) is replaces
    assert (status is not None and "was left as it was" in status.message) is not replaces


def test_a_cancelled_export_says_how_far_it_got() -> None:
    status = final_status(make_operation(), Counters(planned=12, success=5, failure=1, cancelled=6))
    assert status
    assert status.message == (
        "The export was cancelled: of 12 instances found until then, 5 were exported, 1 failed and 6 were skipped."
    )


def test_a_cancellation_that_came_too_late_changes_nothing() -> None:
    assert final_status(replace(make_operation(), cancel_requested=True), Counters(planned=1, success=1)) is None


def test_the_index_is_newest_first() -> None:
    old, new = make_operation("1"), make_operation("2")
    assert index_path(new.name, new.create_time + timedelta(microseconds=1)) < index_path(old.name, old.create_time)

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote

import pytest

from dicom_export.errors import Code
from dicom_export.operations.counters import Counters, DifferenceCounts
from dicom_export.operations.failure import Failure, FailureStage, Status
from dicom_export.operations.operation import Operation
from dicom_export.operations.outcome import final_status
from dicom_export.protocol.operations_json import (
    failure_from_json,
    failure_to_json,
    operation_from_json,
    operation_to_json,
    timestamp,
)
from dicom_export.uids import InstanceUids
from support.exports import CREATED, make_operation

NAME = "projects/p/locations/us-central1/datasets/d/operations/o1"
TYPES = "type.googleapis.com/google.cloud.healthcare"
ENDED = CREATED + timedelta(minutes=1)


def test_a_running_operation_is_not_done_and_has_no_zero_counters() -> None:
    resource = operation_to_json(make_operation(counters=Counters(planned=12, success=2, skipped=3, studies=1)))
    logs_url = resource["metadata"].pop("logsUrl")
    assert logs_url.startswith("https://console.cloud.google.com/logs/query")
    assert resource == {
        "name": NAME,
        "metadata": {
            "@type": f"{TYPES}.v1.OperationMetadata",
            "apiMethodName": "google.cloud.healthcare.v1.dicom.DicomService.ExportDicomData_bq",
            "createTime": "2026-01-02T03:04:06.678901Z",
            "counter": {"pending": "7", "success": "2", "secondarySuccess": "1"},
        },
    }


def test_a_finished_operation_has_a_response_and_nothing_pending() -> None:
    counters = Counters(planned=5, success=5, studies=2)
    resource = operation_to_json(make_operation(end_time=ENDED, counters=counters))
    assert resource["done"] is True
    assert resource["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert "error" not in resource
    assert resource["metadata"]["endTime"] == "2026-01-02T03:05:05.678901Z"
    assert resource["metadata"]["counter"] == {"success": "5", "secondarySuccess": "2"}


def test_a_failed_operation_has_its_error_in_the_place_of_the_response() -> None:
    counters = Counters(planned=5, success=4, failure=1, studies=2)
    status = Status(Code.INVALID_ARGUMENT, "1 of 5 instances failed")
    resource = operation_to_json(make_operation(end_time=ENDED, counters=counters, error=status))
    assert resource["done"] is True
    assert "response" not in resource
    assert resource["error"]["code"] == 3
    assert resource["error"]["message"] == "1 of 5 instances failed"
    assert resource["error"]["details"][0]["links"][0]["url"] == resource["metadata"]["logsUrl"]
    assert resource["metadata"]["counter"] == {"success": "4", "failure": "1", "secondarySuccess": "2"}


def test_what_a_cancelled_operation_left_is_not_pending() -> None:
    counters = Counters(planned=10, success=4, cancelled=6)
    status = Status(Code.CANCELLED, "cancelled")
    resource = operation_to_json(make_operation(end_time=ENDED, counters=counters, error=status, cancel_requested=True))
    assert resource["error"]["code"] == 1
    assert resource["metadata"]["cancelRequested"] is True
    assert resource["metadata"]["counter"] == {"success": "4"}


@pytest.mark.parametrize("read_by", ["v1", "v1beta1"])
@pytest.mark.parametrize("started_by", ["v1", "v1beta1"])
def test_type_names_are_those_of_the_version_that_started_the_operation(started_by: str, read_by: str) -> None:
    metadata = operation_to_json(make_operation(api_version=started_by), read_by)["metadata"]
    assert metadata["@type"] == f"{TYPES}.{started_by}.OperationMetadata"
    assert f"healthcare.{started_by}.dicom" in metadata["apiMethodName"]


def test_an_operation_whose_version_is_not_known_is_of_the_one_that_reads_it() -> None:
    stored = json.loads(make_operation().encode())
    del stored["apiVersion"]
    operation = Operation.decode(json.dumps(stored).encode())
    for version in ("v1", "v1beta1"):
        assert operation_to_json(operation, version)["metadata"]["@type"] == f"{TYPES}.{version}.OperationMetadata"
    assert Operation.decode(operation.encode()) == operation


def test_a_partial_failure_says_how_to_see_the_failures_by_command_and_url() -> None:
    counters = Counters(planned=5, success=4, failure=1, studies=2)
    operation = make_operation(end_time=ENDED, counters=counters)
    operation = replace(operation, error=final_status(operation, counters))
    error = operation_to_json(operation, "v1beta1", "http://127.0.0.1:8080/v1beta1/")["error"]
    assert f"dicom-export operations failures {NAME}" in error["message"]
    url = f"http://127.0.0.1:8080/v1beta1/{NAME}/failures"
    assert error["message"].endswith(f"GET {url}")
    assert url in [link["url"] for link in error["details"][0]["links"]]


def test_an_error_without_failures_names_no_list_of_them() -> None:
    status = Status(Code.CANCELLED, "cancelled")
    operation = make_operation(end_time=ENDED, counters=Counters(planned=1, cancelled=1), error=status)
    assert operation_to_json(operation, "v1", "http://127.0.0.1:8080/v1/")["error"]["message"] == "cancelled"


def test_the_logs_url_asks_for_the_label_that_log_entries_have() -> None:
    url = operation_to_json(make_operation())["metadata"]["logsUrl"]
    assert f'labels.operation="{NAME}"' in unquote(url)
    assert url.endswith("?project=p")


def test_a_timestamp_is_in_utc_with_six_digits() -> None:
    assert timestamp(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00.000000Z"
    assert timestamp(datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-01T23:00:00.000000Z"


COUNTERS = Counters(planned=9, success=3, failure=2, studies=1, unlisted=4, unchanged=5)
OPERATIONS = {
    "running": make_operation(counters=COUNTERS),
    "being cancelled": make_operation(counters=COUNTERS, cancel_requested=True),
    "done": make_operation(end_time=ENDED, counters=Counters(planned=2, success=2)),
    "a failed verification": make_operation(
        end_time=ENDED,
        counters=Counters(),
        differences=DifferenceCounts(1, 2, 3, 1),
        error=Status(Code.NOT_FOUND, "No table"),
        plan_error=Status(Code.NOT_FOUND, "No table"),
        api_version="v1beta1",
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_is_read_as_it_was_written_but_for_its_request(operation: Operation) -> None:
    resource = json.loads(json.dumps(operation_to_json(operation, "v1", "http://x/v1/")))
    found = operation_from_json(resource, ENDED)
    assert operation_to_json(found) == resource
    read = Operation(**{each.name: getattr(found, each.name) for each in fields(Operation)})
    assert read == replace(operation, requested=None)


@pytest.mark.parametrize("failure", [2, 0])
def test_what_only_says_that_instances_failed_is_told_from_other_errors(failure: int) -> None:
    counters = Counters(planned=5, success=5 - failure, failure=failure)
    operation = make_operation(end_time=ENDED, counters=counters)
    error = final_status(operation, counters) or Status(Code.INVALID_ARGUMENT, "Line 1 is malformed")
    found = operation_from_json(operation_to_json(replace(operation, error=error), "v1", "http://x/v1/"), ENDED)
    assert found.error
    assert (found.plan_error is None) == bool(failure)


def test_an_operation_that_was_just_started_has_a_name_only() -> None:
    found = operation_from_json({"name": NAME}, CREATED)
    assert (str(found.name), found.create_time, found.is_done) == (NAME, CREATED, False)
    assert operation_to_json(found) == {"name": NAME}


@pytest.mark.parametrize("uids", [InstanceUids("1", "2", "3"), InstanceUids()])
def test_a_failure_is_read_as_it_was_written(uids: InstanceUids) -> None:
    failure = Failure("a/b.dcm", 1234, FailureStage.COPY, Code.NOT_FOUND, "Gone", uids)
    assert failure_from_json(json.loads(json.dumps(failure_to_json(failure)))) == failure

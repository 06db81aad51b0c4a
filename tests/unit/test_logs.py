from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export import logs
from dicom_export.errors import Code, InvalidArgument, Unavailable
from dicom_export.names import OperationName
from dicom_export.operations.failure import Failure, FailureStage
from dicom_export.uids import InstanceUids
from support.exports import DATASET, STORE
from support.written_logs import written_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OPERATION = OperationName(DATASET, "o1")
NO_UIDS = InstanceUids()
TYPES = "type.googleapis.com/google.cloud.healthcare.logging"


@pytest.fixture(name="entries")
def _entries() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return a function that returns the entries that were written so far."""
    with written_entries() as entries:
        yield entries


def log() -> logging.Logger:
    return logging.getLogger("dicom_export.test")


def make_failure(uids: InstanceUids = NO_UIDS) -> Failure:
    return Failure("a/b.dcm", 7, FailureStage.READ, Code.INVALID_ARGUMENT, "Not DICOM", uids)


def test_an_entry_is_one_line_with_a_severity_and_its_operation_as_a_label(
    entries: Callable[[], list[dict[str, Any]]],
) -> None:
    log().warning("The filter's path %s\nmatches nothing", "/studies/1.2", extra={"operation": str(OPERATION)})
    (entry,) = entries()
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "severity": "WARNING",
        "message": "The filter's path /studies/1.2\nmatches nothing",
        "logging.googleapis.com/labels": {"operation": str(OPERATION)},
    }


def test_entries_of_a_request_have_its_trace(entries: Callable[[], list[dict[str, Any]]]) -> None:
    with logs.traced("105445aa7843bc8bf206b12000100000/1;o=1"):
        log().info("inside")
    with logs.traced(""):
        log().info("without")
    log().info("outside")
    traces = [entry.get("logging.googleapis.com/trace") for entry in entries()]
    assert traces == ["projects/log-project/traces/105445aa7843bc8bf206b12000100000", None, None]


def test_a_failed_instance_is_named_by_its_dicomweb_path(entries: Callable[[], list[dict[str, Any]]]) -> None:
    failure = make_failure(InstanceUids("1.2", "1.2.3", "1.2.3.4"))
    logs.instance_failure(OPERATION, "gs://bucket/a/b.dcm", STORE, failure)
    (entry,) = entries()
    assert entry["severity"] == "ERROR"
    assert entry["@type"] == f"{TYPES}.ExportDicomLogEntry"
    assert entry["resourceName"] == f"{STORE}/dicomWeb/studies/1.2/series/1.2.3/instances/1.2.3.4"
    assert entry["error"] == {"code": 3, "message": "Not DICOM"}
    assert entry["logging.googleapis.com/labels"] == {"operation": str(OPERATION), "store": str(STORE)}


@pytest.mark.parametrize("uids", [NO_UIDS, InstanceUids("1.2", "1.2.3")])
def test_an_instance_whose_uids_are_not_all_known_is_named_by_its_object(
    entries: Callable[[], list[dict[str, Any]]], uids: InstanceUids
) -> None:
    logs.instance_failure(OPERATION, "gs://bucket/a/b.dcm", STORE, make_failure(uids))
    assert entries()[0]["resourceName"] == "gs://bucket/a/b.dcm"


def test_a_foreign_exceptions_message_is_not_logged(entries: Callable[[], list[dict[str, Any]]]) -> None:
    value = f"Doe{chr(94)}Jane"
    try:
        try:
            float(value)
        except ValueError as error:
            raise InvalidArgument("The value of (0010,1030) is no number") from error
    except InvalidArgument:
        log().exception("A message failed")
    (entry,) = entries()
    assert "Doe^Jane" not in json.dumps(entry)
    assert entry["stack_trace"].endswith("InvalidArgument: The value of (0010,1030) is no number")
    assert "ValueError\n\nTraceback" in entry["stack_trace"]
    assert "test_logs.py" in entry["stack_trace"]


def test_a_name_that_is_no_unicode_does_not_break_the_log(entries: Callable[[], list[dict[str, Any]]]) -> None:
    logs.instance_failure(OPERATION, "file:///store/\udcff.dcm", STORE, make_failure())
    assert entries()[0]["resourceName"] == "file:///store/\udcff.dcm"


def test_configured_logs_go_to_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    stream = io.StringIO()
    logs.configure("log-project", stream=stream)
    log().error("no answer", exc_info=Unavailable("The bucket did not answer"))
    entry = json.loads(stream.getvalue())
    assert (entry["severity"], entry["message"]) == ("ERROR", "no answer")
    assert "The bucket did not answer" in entry["stack_trace"]

"""Log entries: one JSON object a line on standard output, as Cloud Logging reads it.

Everything logs with the standard `logging` module. What an entry is about goes with it as `extra`:

    log.warning("The filter's path %s matches nothing", path, extra={"operation": str(name)})

    operation   resource name of the operation: the label that an operation's `logsUrl` filters by
    store       resource name of the DICOM store: a label
    payload     a mapping of further fields of the entry's jsonPayload; in some `event`, an Event that metrics count

An entry of an exception that is not of this system tells its type and where it came from, never its message: those of
parsers quote the value that they stumbled over, which may be a patient's.

Source: https://cloud.google.com/logging/docs/agent/logging/configuration#special-fields
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

from dicom_export.crashes import keep_values_back, stack_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.errors import DicomExportError
    from dicom_export.names import OperationName, StoreName, TableName
    from dicom_export.operations.counters import Counters
    from dicom_export.operations.failure import Failure
    from dicom_export.uids import InstanceUids

OPERATION_LABEL = "operation"
_LABELS = (OPERATION_LABEL, "store")
OUTCOMES = ("success", "failure", "skipped", "cancelled")
"""What can become of an instance, as the entry of an event says it and the counters of an operation do."""

_TYPES = "type.googleapis.com/google.cloud.healthcare.logging"
_FAILED_INSTANCE = f"{_TYPES}.ExportDicomLogEntry"
_FAILED_STREAMING = f"{_TYPES}.DicomStreamLogEntry"

_log = logging.getLogger(__name__)
_trace: ContextVar[str] = ContextVar("trace", default="")


class Event(StrEnum):
    """What an entry says of an operation besides its text: its metrics count these, and an alert misses the next one."""

    CREATED = "created"
    PROGRESSED = "progressed"
    ENDED = "ended"


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON. `project` is where the traces of the requests are kept."""

    def __init__(self, project: str = "") -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "severity": record.levelname,
            "message": record.getMessage(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            **getattr(record, "payload", {}),
        }
        if labels := {name: str(getattr(record, name)) for name in _LABELS if hasattr(record, name)}:
            entry["logging.googleapis.com/labels"] = labels
        if trace := _trace.get():
            entry["logging.googleapis.com/trace"] = (
                f"projects/{self._project}/traces/{trace}" if self._project else trace
            )
        if record.exc_info and record.exc_info[1]:
            entry["stack_trace"] = stack_trace(record.exc_info[1])
        return json.dumps(entry)


def configure(project: str = "", *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Make every logger of the process write JSON lines, to standard output if no stream is given."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(project))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    keep_values_back()


@contextmanager
def traced(header: str) -> Iterator[None]:
    """Log with the trace of a request's `X-Cloud-Trace-Context`: `TRACE_ID/SPAN_ID;o=OPTIONS`."""
    token = _trace.set(header.partition("/")[0])
    try:
        yield
    finally:
        _trace.reset(token)


def instance_failure(operation: OperationName, store_uri: str, store: StoreName, failure: Failure) -> None:
    """Log an instance that an export could not take. `store_uri` is the object's address as `DicomStore.uri` gives it."""
    payload = {
        "@type": _FAILED_INSTANCE,
        "resourceName": _resource_name(store, failure.uids, store_uri),
        "error": {"code": int(failure.code), "message": failure.message},
    }
    extra = {"operation": str(operation), "store": str(store), "payload": payload}
    _log.error("The instance was not exported: %s", failure.message, extra=extra)


def operation_event(operation: OperationName, event: Event) -> dict[str, Any]:
    """Return the `extra` of an entry that is the event of the operation."""
    return {"operation": str(operation), "payload": {"event": event.value}}


def instances_done(operation: OperationName, store: StoreName, counters: Counters) -> None:
    """Log what became of the instances of a message, once a message; an outcome that none of them had is left out."""
    counted = {outcome: getattr(counters, outcome) for outcome in OUTCOMES}
    instances = {outcome: count for outcome, count in counted.items() if count}
    payload = {"event": Event.PROGRESSED.value, "instances": instances}
    extra = {"operation": str(operation), "store": str(store), "payload": payload}
    _log.info(
        "Instances of a message: %s", ", ".join(f"{count} {name}" for name, count in instances.items()), extra=extra
    )


def stream_failure(
    store_uri: str, store: StoreName, destination: TableName, uids: InstanceUids, error: DicomExportError
) -> None:
    """Log an instance whose upload or deletion makes no row in a table. `store_uri` is as for `instance_failure`."""
    payload = {
        "@type": _FAILED_STREAMING,
        "resourceName": _resource_name(store, uids, store_uri),
        "destination": str(destination),
        "error": {"code": int(error.code), "message": error.message},
    }
    extra = {"store": str(store), "payload": payload}
    _log.error("The instance was not streamed: %s", error.message, extra=extra)


def _resource_name(store: StoreName, uids: InstanceUids, store_uri: str) -> str:
    """Return the DICOMweb path of an instance whose UIDs are all known, else the object's address."""
    is_known = uids.study and uids.series and uids.instance
    return f"{store}/dicomWeb{uids}" if is_known else store_uri

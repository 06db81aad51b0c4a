"""Write log entries: one JSON object per line on standard output, as Cloud Logging reads them.

All modules log with the standard `logging` module. `extra` holds the subject of an entry:

    log.warning("The filter's path %s matches nothing", path, extra={"operation": str(name)})

    operation   resource name of the operation: the label that an operation's `logsUrl` filters by
    store       resource name of the DICOM store: a label
    payload     a mapping of further fields of the entry's jsonPayload; some have `event`, an Event
                that metrics count

The entry of another library's exception shows its type and its traceback, never its message:
the messages of parsers quote the value that caused the error, which may be patient data.

Source: https://cloud.google.com/logging/docs/agent/logging/configuration#special-fields
"""

from __future__ import annotations

import json
import logging
import sys
from collections import OrderedDict, deque
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
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
"""The outcomes of an instance, as named in the entry of an event and in an operation's counters."""

_TYPES = "type.googleapis.com/google.cloud.healthcare.logging"
_FAILED_INSTANCE = f"{_TYPES}.ExportDicomLogEntry"
_FAILED_STREAMING = f"{_TYPES}.DicomStreamLogEntry"

_log = logging.getLogger(__name__)
_trace: ContextVar[str] = ContextVar("trace", default="")


class Event(StrEnum):
    """The state of an operation in a log entry.

    Metrics count these events, and an alert opens when an operation logs no next one.
    """

    CREATED = "created"
    PROGRESSED = "progressed"
    ENDED = "ended"


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON. `project` keeps the traces of the requests."""

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
    """Make all loggers of this process write JSON lines to the stream (default: standard output)."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(project))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    keep_values_back()


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log, as people read it."""

    time: datetime
    severity: str
    message: str


class RecentLines(logging.Handler):
    """Keeps the latest lines about each of the latest operations and stores, for the pages on one machine."""

    def __init__(self, subjects: int = 100, lines: int = 500) -> None:
        super().__init__()
        self._subjects = subjects
        self._lines = lines
        self._kept: OrderedDict[str, deque[LogLine]] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line. The handler's lock is held."""
        where = getattr(record, "payload", {}).get("resourceName", "")
        message = record.getMessage()
        line = LogLine(
            datetime.fromtimestamp(record.created, UTC), record.levelname, f"{where}: {message}" if where else message
        )
        for subject in {str(getattr(record, name)) for name in _LABELS if hasattr(record, name)}:
            self._kept.setdefault(subject, deque(maxlen=self._lines)).append(line)
            self._kept.move_to_end(subject)
            if len(self._kept) > self._subjects:
                self._kept.popitem(last=False)

    def of(self, label: str) -> list[LogLine]:
        """Return the kept lines about an operation or a store, given by its resource name, oldest first."""
        self.acquire()
        try:
            return list(self._kept.get(label, ()))
        finally:
            self.release()


@contextmanager
def traced(header: str) -> Iterator[None]:
    """Log with the trace of a request's `X-Cloud-Trace-Context`: `TRACE_ID/SPAN_ID;o=OPTIONS`."""
    token = _trace.set(header.partition("/")[0])
    try:
        yield
    finally:
        _trace.reset(token)


def instance_failure(operation: OperationName, store_uri: str, store: StoreName, failure: Failure) -> None:
    """Log an instance that was not exported.

    `store_uri` is the object's address as `DicomStore.uri` returns it.
    """
    payload = {
        "@type": _FAILED_INSTANCE,
        "resourceName": _resource_name(store, failure.uids, store_uri),
        "error": {"code": int(failure.code), "message": failure.message},
    }
    extra = {"operation": str(operation), "store": str(store), "payload": payload}
    _log.error("The instance was not exported: %s", failure.message, extra=extra)


def operation_event(operation: OperationName, event: Event) -> dict[str, Any]:
    """Return the `extra` of a log entry for an event of the operation."""
    return {"operation": str(operation), "payload": {"event": event.value}}


def instances_done(operation: OperationName, store: StoreName, counters: Counters) -> None:
    """Log the outcomes of the instances of a message, one entry per message.

    Outcomes with a count of zero are left out.
    """
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
    """Log an instance whose upload or deletion did not become a row in a table.

    `store_uri` is as for `instance_failure`.
    """
    payload = {
        "@type": _FAILED_STREAMING,
        "resourceName": _resource_name(store, uids, store_uri),
        "destination": str(destination),
        "error": {"code": int(error.code), "message": error.message},
    }
    extra = {"store": str(store), "payload": payload}
    _log.error("The instance was not streamed: %s", error.message, extra=extra)


def _resource_name(store: StoreName, uids: InstanceUids, store_uri: str) -> str:
    """Return the DICOMweb path of the instance if all its UIDs are known, else `store_uri`."""
    is_known = uids.study and uids.series and uids.instance
    return f"{store}/dicomWeb{uids}" if is_known else store_uri

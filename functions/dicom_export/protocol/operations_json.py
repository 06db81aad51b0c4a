"""An operation in the API, written and read: google.longrunning.Operation with the Healthcare API's metadata.

Source:
https://cloud.google.com/healthcare-api/docs/reference/rest/v1/projects.locations.datasets.operations
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dicom_export.errors import Code
from dicom_export.logs import OPERATION_LABEL
from dicom_export.names import OperationName
from dicom_export.operations.counters import Counters, DifferenceCounts
from dicom_export.operations.failure import Failure, FailureStage, Status
from dicom_export.operations.operation import Operation
from dicom_export.operations.outcome import says_that_instances_failed
from dicom_export.operations.request import FilesRequest, VerifyRequest
from dicom_export.protocol.instants import parse_instant
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_EMPTY = "type.googleapis.com/google.protobuf.Empty"
_TYPE_PREFIX = "type.googleapis.com/google.cloud.healthcare"
_METADATA = re.compile(re.escape(_TYPE_PREFIX) + r"\.(\w+)\.OperationMetadata")


@dataclass(frozen=True, slots=True)
class ServedOperation(Operation):
    """An operation as an API served it, with that resource.

    The API tells neither the request nor which objects were passed over. `plan_error` is how the operation ended, unless this only says
    that instances failed.
    """

    resource: Mapping[str, Any] = field(default_factory=dict)


def operation_to_json(operation: Operation, read_by: str = "v1", root: str = "") -> dict[str, Any]:
    """Return the resource, with the type names of the API version that started the operation.

    If that version is unknown, `read_by` is used. `root` is the address of the API, with version
    and slash, if it is served. The resource of a served operation is returned as it was.
    """
    if isinstance(operation, ServedOperation):
        return dict(operation.resource)
    version = operation.api_version or read_by
    resource = {"name": str(operation.name), "metadata": _metadata(operation, version)}
    if not operation.is_done:
        return resource
    if operation.error:
        return resource | {"done": True, "error": _error(operation, operation.error, root)}
    return resource | {"done": True, "response": {"@type": _EMPTY}}


def _metadata(operation: Operation, version: str) -> dict[str, Any]:
    metadata = {
        "@type": f"{_TYPE_PREFIX}.{version}.OperationMetadata",
        "apiMethodName": _method(operation, version),
        "createTime": timestamp(operation.create_time),
    }
    if operation.end_time:
        metadata["endTime"] = timestamp(operation.end_time)
    return {
        **metadata,
        "logsUrl": logs_url(operation),
        **({"cancelRequested": True} if operation.cancel_requested else {}),
        "counter": _counter(operation.counters, is_done=operation.is_done) if operation.counters else {},
        **({"differences": _differences(operation.differences)} if operation.differences else {}),
        **_counts_of_ours(operation),
    }


def _method(operation: Operation, version: str) -> str:
    if isinstance(operation.requested, VerifyRequest):
        return "dicom_export.Verify"
    kind = "gcs" if isinstance(operation.requested, FilesRequest) else "bq"
    return f"google.cloud.healthcare.{version}.dicom.DicomService.ExportDicomData_{kind}"


def _counter(counters: Counters, *, is_done: bool) -> dict[str, str]:
    units = {
        "pending": 0 if is_done else counters.pending,
        "success": counters.success,
        "failure": counters.failure,
        "secondarySuccess": counters.studies,
    }
    return {name: str(count) for name, count in units.items() if count}


def _differences(differences: DifferenceCounts) -> dict[str, str]:
    """Return the differences that a verification found.

    The operations of the Healthcare API have no such field.
    """
    return {name: str(count) for name, count in asdict(differences).items()}


def _counts_of_ours(operation: Operation) -> dict[str, str]:
    """Return the numbers of folders that could not be listed and of objects that had a row already.

    The operations of the Healthcare API have no such fields.
    """
    if not operation.counters:
        return {}
    counts = {"unlistedFolders": operation.counters.unlisted, "unchangedObjects": operation.counters.unchanged}
    return {name: str(count) for name, count in counts.items() if count}


def _error(operation: Operation, status: Status, root: str) -> dict[str, Any]:
    links = [{"description": "The operation's log entries", "url": logs_url(operation)}]
    message = status.message
    if root and operation.counters and operation.counters.failure:
        url = f"{root}{quote(str(operation.name), safe='/')}/failures"
        links.append({"description": "The failed instances, each with its reason", "url": url})
        message += f" Or: GET {url}"
    help_links = {"@type": "type.googleapis.com/google.rpc.Help", "links": links}
    return {"code": int(status.code), "message": message, "details": [help_links]}


def operation_from_json(resource: Mapping[str, Any], now: datetime) -> ServedOperation:
    """Return the operation of a resource. One that was just started may have a name only: then it was created `now`.

    Raises LookupError, TypeError, ValueError or InvalidArgument for anything else.
    """
    metadata = resource.get("metadata", {})
    created = parse_instant(metadata["createTime"]) if metadata else now
    ended = parse_instant(metadata["endTime"]) if resource.get("done") else None
    version = _METADATA.fullmatch(metadata.get("@type", ""))
    counters = _counters(metadata)
    error = Status(Code(resource["error"]["code"]), str(resource["error"]["message"])) if "error" in resource else None
    is_told = error is None or says_that_instances_failed(error, counters)
    differences = metadata.get("differences")
    return ServedOperation(
        OperationName.parse(resource["name"]),
        version[1] if version else "",
        created,
        None,
        cancel_requested=bool(metadata.get("cancelRequested")),
        plan_error=None if is_told else error,
        end_time=ended,
        counters=counters,
        error=error,
        differences=DifferenceCounts(**{name: int(count) for name, count in differences.items()})
        if differences
        else None,
        resource=resource,
    )


def _counters(metadata: Mapping[str, Any]) -> Counters:
    found = {name: int(count) for name, count in metadata.get("counter", {}).items()}
    success, failure = found.get("success", 0), found.get("failure", 0)
    return Counters(
        planned=success + failure + found.get("pending", 0),
        success=success,
        failure=failure,
        studies=found.get("secondarySuccess", 0),
        unlisted=int(metadata.get("unlistedFolders", 0)),
        unchanged=int(metadata.get("unchangedObjects", 0)),
    )


def failure_to_json(failure: Failure) -> dict[str, Any]:
    """Return a failed instance as the API shows it.

    It has the object, its UIDs as far as they are known, the stage, and a Status.
    """
    uids = {
        "studyInstanceUid": failure.uids.study,
        "seriesInstanceUid": failure.uids.series,
        "sopInstanceUid": failure.uids.instance,
    }
    return {
        "object": failure.object,
        "generation": str(failure.generation),
        **{name: uid for name, uid in uids.items() if uid},
        "stage": failure.stage,
        "error": {"code": int(failure.code), "message": failure.message},
    }


def failure_from_json(data: Mapping[str, Any]) -> Failure:
    """Return the failed instance that `failure_to_json` wrote. Raises LookupError, TypeError or ValueError."""
    return Failure(
        data["object"],
        int(data["generation"]),
        FailureStage(data["stage"]),
        Code(data["error"]["code"]),
        data["error"]["message"],
        InstanceUids(data.get("studyInstanceUid"), data.get("seriesInstanceUid"), data.get("sopInstanceUid")),
    )


def logs_url(operation: Operation) -> str:
    """Return the address of the operation's entries in Cloud Logging, those of past days too."""
    # The query names a time because the Logs Explorer otherwise searches only the last hour.
    query = f'labels.{OPERATION_LABEL}="{operation.name}" AND timestamp>="{timestamp(operation.create_time)}"'
    project = quote(operation.name.parent.project, safe="")
    return f"https://console.cloud.google.com/logs/query;query={quote(query, safe='')}?project={project}"


def timestamp(moment: datetime) -> str:
    """Return the time as a google.protobuf.Timestamp in JSON: `2026-01-02T03:04:05.678901Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

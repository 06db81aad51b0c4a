"""A long-running operation: its request, its progress, its end, and the paths of its state.

State objects of the operation `N`, created and never updated, except `operation.json`:

    N/operation.json              compare-and-set: created, planned, cancel requested, done
    N/filter/index.json, CHUNK.json   the filter's paths, sorted, create-once
    N/plan/PAGE.json              the page's tasks, create-once, before its messages are sent
    N/survey/PART.json            cold and untimely objects, counted before anything is read, create-once
    N/deferred/PAGE               the page waits for workers, create-once
    N/claims/PAGE/TASK.json       names the one stream that may be committed, create-once
    N/results/PAGE/TASK.json      the outcome of the task, create-once, after the commit
    N/heals/PERIOD                the operation was announced again, create-once
    N/rewrites/PAGE/TASK/OBJECT.json  how far the copy of a large object is, compare-and-set
    N/reports/PAGE.json           names the one stream of failure rows to commit, create-once
    N/pages/PAGE.json             the sum of a page with all results, create-once
    D/dead-letters/N-…            a message of N that ran out of attempts, so that its
                                  instances have no rows, create-once
    D/operations-by-time/T-O      an index of the dataset D's operations, newest first
    exclusive/TABLE.json          the export that has a table for itself, compare-and-set

`uploads` and `overwrites` describe the state of the automatic export.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from dicom_export.errors import Internal
from dicom_export.names import GcsFolder, OperationName, TableName
from dicom_export.operations.counters import Counters, DifferenceCounts
from dicom_export.operations.failure import Status
from dicom_export.operations.request import (
    FilesRequest,
    Request,
    VerifyRequest,
    WriteDisposition,
    request_from_json,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """The content of `operation.json`.

    `pages` is None until the plan is sealed. `counters` are set once the operation is done.
    `requested` is None if the request of a batch job was refused: then the operation is done from
    the start. `differences` are those that a verification found. `awaits_report` says that the
    command that began the operation has not printed yet how it ended. `staging` is None if the
    operation has no staging table, or if a version began it that kept the staging table next to the
    destination. `compares_objects` says that the plan tells objects that have a row in the table
    from others.
    """

    name: OperationName
    api_version: str
    create_time: datetime
    requested: Request | None
    filter_generation: int | None = None
    cancel_requested: bool = False
    pages: int | None = None
    plan_error: Status | None = None
    end_time: datetime | None = None
    counters: Counters | None = None
    error: Status | None = None
    differences: DifferenceCounts | None = None
    awaits_report: bool = False
    staging: TableName | None = None
    compares_objects: bool = False

    @property
    def request(self) -> Request:
        """The request. Raises Internal if it was refused."""
        if self.requested is None:
            raise Internal(f"Operation {self.name} has no request, because the request was refused")
        return self.requested

    @property
    def is_done(self) -> bool:
        """Whether the operation has ended."""
        return self.end_time is not None

    @property
    def table(self) -> TableName:
        """The table of the request. Raises Internal if the request is about files."""
        if isinstance(self.request, FilesRequest):
            raise Internal(f"Operation {self.name} copies files, and has no table")
        return self.request.table

    @property
    def destination(self) -> TableName | GcsFolder:
        """The table or the folder of the request."""
        return self.request.folder if isinstance(self.request, FilesRequest) else self.request.table

    @property
    def target(self) -> TableName:
        """The table that rows are committed to.

        It is the destination, the staging table of an overwrite, or the inventory of a
        verification.
        """
        table = self.table
        if self.request.write_disposition is not WriteDisposition.WRITE_TRUNCATE:
            return table
        return self.staging or replace(table, table=staging_name(self.request, self.name))

    @property
    def objects(self) -> TableName:
        """The table with the object versions that have a row, if the operation `compares_objects`."""
        name = f"dicom_export_objects_{self.name.operation}".replace("-", "_")
        return replace(self.table, table=name)

    def encode(self) -> bytes:
        """Return the content of `operation.json`."""
        return json.dumps(
            {
                "name": str(self.name),
                "apiVersion": self.api_version,
                "createTime": self.create_time.isoformat(),
                "request": self.requested.to_json() if self.requested else None,
                "filterGeneration": self.filter_generation,
                "cancelRequested": self.cancel_requested,
                "pages": self.pages,
                "planError": self.plan_error.to_json() if self.plan_error else None,
                "endTime": self.end_time.isoformat() if self.end_time else None,
                "counters": asdict(self.counters) if self.counters else None,
                "error": self.error.to_json() if self.error else None,
                "differences": asdict(self.differences) if self.differences else None,
                "awaitsReport": self.awaits_report,
                "staging": str(self.staging) if self.staging else None,
                "comparesObjects": self.compares_objects,
            },
            indent=1,
        ).encode()

    @classmethod
    def decode(cls, content: bytes) -> Operation:
        """Return the operation from the content that `encode` returned."""
        data = json.loads(content)
        return cls(
            OperationName.parse(data["name"]),
            data.get("apiVersion") or "",
            datetime.fromisoformat(data["createTime"]),
            request_from_json(data["request"]) if data["request"] else None,
            data["filterGeneration"],
            data["cancelRequested"],
            data["pages"],
            Status.from_json(data["planError"]) if data["planError"] else None,
            datetime.fromisoformat(data["endTime"]) if data["endTime"] else None,
            Counters(**data["counters"]) if data["counters"] else None,
            Status.from_json(data["error"]) if data["error"] else None,
            DifferenceCounts(**data["differences"]) if data.get("differences") else None,
            data.get("awaitsReport", False),
            TableName.parse(data["staging"]) if data.get("staging") else None,
            data.get("comparesObjects", False),
        )


def staging_name(request: Request, name: OperationName) -> str:
    """Return the name of the table, in whatever dataset, for rows that will replace others."""
    kind = "inventory" if isinstance(request, VerifyRequest) else "staging"
    return f"dicom_export_{kind}_{name.operation}".replace("-", "_")

"""A long-running operation: what was asked for, how far it is, how it ended; and where its state lies.

State objects of the operation `N` (DESIGN: created and never updated, but for `operation.json`):

    N/operation.json              compare-and-set: created, planned, cancel requested, done
    N/filter/index.json, CHUNK.json   the filter's paths, sorted, create-once
    N/plan/PAGE.json              the page's tasks, create-once, before its messages go out
    N/claims/PAGE/TASK.json       names the one stream that may be committed, create-once
    N/results/PAGE/TASK.json      what became of the task's objects, create-once, after the commit
    N/heals/PERIOD                the operation was told of again, create-once
    N/reports/PAGE.json           names the one stream of failure rows that may be committed, create-once
    N/pages/PAGE.json             the sum of a page whose results are all in, create-once
    D/dead-letters/N-…            a message of N that ran out of attempts, and cost its instances their rows, create-once
    D/operations-by-time/T-O      an index of the dataset D's operations, newest first
    exclusive/TABLE.json          the export that has a table for itself, compare-and-set

What the automatic export keeps is in `stream_journal` and `overwrites`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dicom_export.errors import Code, Internal
from dicom_export.names import DatasetName, GcsUri, InstanceUids, OperationName, StoreName, TableName
from dicom_export.row_layout import RowLayout, SchemaKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class WriteDisposition(StrEnum):
    """What happens to a table that exists: BigQuery's write dispositions, and the API's explicit `force: false`."""

    WRITE_EMPTY = "WRITE_EMPTY"
    WRITE_TRUNCATE = "WRITE_TRUNCATE"
    WRITE_APPEND = "WRITE_APPEND"
    CREATE_NEW = "CREATE_NEW"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table that a store is compared with, and whether what it lacks is exported to it afterwards."""

    table: TableName
    repair: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"table": str(self.table), "repair": self.repair}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        return cls(TableName.parse(data["table"]), data["repair"])


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A valid request: which store, into which table, how, and which part of the store.

    With a `comparison` it is one for a verification: what is exported is an inventory, and `table` becomes the report of what the store
    and the compared table differ in. With `repairs` it exports the instances that a report says are to be exported.
    """

    store: StoreName
    table: TableName
    write_disposition: WriteDisposition = WriteDisposition.WRITE_EMPTY
    schema: SchemaKind = SchemaKind.FLATTENED
    include_source_store: bool = False
    filter_uri: GcsUri | None = None
    comparison: Comparison | None = None
    repairs: TableName | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether it is about a part of the store only."""
        return self.filter_uri is not None or self.repairs is not None

    @property
    def row_layout(self) -> RowLayout:
        """What the rows are like."""
        return RowLayout(self.schema, str(self.store) if self.include_source_store else None)

    def to_json(self) -> dict[str, Any]:
        return {
            "store": str(self.store),
            "table": str(self.table),
            "writeDisposition": self.write_disposition.value,
            "schema": self.schema.value,
            "includeSourceStore": self.include_source_store,
            "filterUri": str(self.filter_uri) if self.filter_uri else None,
            "comparison": self.comparison.to_json() if self.comparison else None,
            "repairs": str(self.repairs) if self.repairs else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ExportRequest:
        return cls(
            StoreName.parse(data["store"]),
            TableName.parse(data["table"]),
            WriteDisposition(data["writeDisposition"]),
            SchemaKind(data["schema"]),
            data["includeSourceStore"],
            GcsUri.parse(data["filterUri"]) if data["filterUri"] else None,
            # Operations of earlier versions have neither.
            Comparison.from_json(data["comparison"]) if data.get("comparison") else None,
            TableName.parse(data["repairs"]) if data.get("repairs") else None,
        )


@dataclass(frozen=True, slots=True)
class Counters:
    """Units are instances; `studies` are those of which an instance was exported.

    `planned` are the objects that the plan found; `skipped` of them were no instances, or none that the filter names;
    `cancelled` were given up; `abandoned` are the failures of messages that ran out of attempts. `unlisted` are the folders
    that could not be listed, known at the end.
    """

    planned: int = 0
    success: int = 0
    failure: int = 0
    skipped: int = 0
    cancelled: int = 0
    abandoned: int = 0
    studies: int = 0
    unlisted: int = 0

    @property
    def found(self) -> int:
        """How many instances there are, as far as is known by now."""
        return self.planned - self.skipped

    @property
    def pending(self) -> int:
        """How many instances have no outcome yet."""
        return self.found - self.success - self.failure - self.cancelled

    def __add__(self, other: Counters) -> Counters:
        return Counters(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def to_metadata(self) -> dict[str, str]:
        """Return the counters that are not zero, as custom metadata of a state object."""
        return {name: str(count) for name, count in asdict(self).items() if count}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Counters:
        return cls(**{each.name: int(metadata.get(each.name, 0)) for each in fields(cls)})

    @classmethod
    def total(cls, counters: Iterable[Counters]) -> Counters:
        """Return the sum."""
        return sum(counters, cls())


@dataclass(frozen=True, slots=True)
class DifferenceCounts:
    """How many instances a verification found to differ, and how.

    `outranked` are objects that are older than a row of theirs that is not right: an export would not mend these.
    """

    missing: int = 0
    stale: int = 0
    orphaned: int = 0
    outranked: int = 0

    @property
    def total(self) -> int:
        """How many instances differ."""
        return self.missing + self.stale + self.orphaned

    @property
    def repairable(self) -> int:
        """How many of them an export makes right."""
        return self.missing + self.stale - self.outranked


@dataclass(frozen=True, slots=True)
class Failure:
    """One object that did not become a row, and why: an entry of the operation's failure report."""

    object: str
    generation: int
    stage: str
    code: Code
    message: str
    uids: InstanceUids = field(default_factory=InstanceUids)

    def to_json(self) -> dict[str, Any]:
        return {
            "object": self.object,
            "generation": str(self.generation),
            "stage": self.stage,
            "code": int(self.code),
            "message": self.message,
            **{name: uid for name, uid in self.uids._asdict().items() if uid},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Failure:
        return cls(
            data["object"],
            int(data["generation"]),
            data["stage"],
            Code(data["code"]),
            data["message"],
            InstanceUids(data.get("study"), data.get("series"), data.get("instance")),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """google.rpc.Status: how an operation ended that did not succeed."""

    code: Code
    message: str

    def to_json(self) -> dict[str, Any]:
        return {"code": int(self.code), "message": self.message}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Status:
        return cls(Code(data["code"]), data["message"])


@dataclass(frozen=True, slots=True)
class Operation:
    """What `operation.json` holds. `pages` is None until the plan is sealed; `counters` stand once it is done.

    `requested` is None if the request of a batch job was refused: then the operation is done from the start. `differences` are what
    a verification found. `awaits_report` says that the command that began it has not printed yet how it ended.
    """

    name: OperationName
    api_version: str
    create_time: datetime
    requested: ExportRequest | None
    filter_generation: int | None = None
    cancel_requested: bool = False
    pages: int | None = None
    plan_error: Status | None = None
    end_time: datetime | None = None
    counters: Counters | None = None
    error: Status | None = None
    differences: DifferenceCounts | None = None
    awaits_report: bool = False

    @property
    def request(self) -> ExportRequest:
        """What was asked for. Raises Internal if that was refused."""
        if self.requested is None:
            raise Internal(f"Operation {self.name} has no request: it was refused")
        return self.requested

    @property
    def is_done(self) -> bool:
        """Whether the operation has ended."""
        return self.end_time is not None

    @property
    def target(self) -> TableName:
        """The table that rows are committed into: the destination, or an overwrite's staging table or a verification's inventory beside it."""
        table = self.request.table
        if self.request.write_disposition is not WriteDisposition.WRITE_TRUNCATE:
            return table
        kind = "inventory" if self.request.comparison else "staging"
        return replace(table, table=f"dicom_export_{kind}_{self.name.operation}".replace("-", "_"))

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
            },
            indent=1,
        ).encode()

    @classmethod
    def decode(cls, content: bytes) -> Operation:
        """Return the operation that `encode` gave."""
        data = json.loads(content)
        return cls(
            OperationName.parse(data["name"]),
            data.get("apiVersion") or "",
            datetime.fromisoformat(data["createTime"]),
            ExportRequest.from_json(data["request"]) if data["request"] else None,
            data["filterGeneration"],
            data["cancelRequested"],
            data["pages"],
            Status.from_json(data["planError"]) if data["planError"] else None,
            datetime.fromisoformat(data["endTime"]) if data["endTime"] else None,
            Counters(**data["counters"]) if data["counters"] else None,
            Status.from_json(data["error"]) if data["error"] else None,
            DifferenceCounts(**data["differences"]) if data.get("differences") else None,
            data.get("awaitsReport", False),
        )


def replaces_table(operation: Operation, counters: Counters) -> bool:
    """Return whether an overwrite with these final counters may take the old table's place.

    Instances that cannot be read are reported and do not hold it up; but where the export was cancelled, its plan or a
    whole message failed, or nothing at all could be read, the old table stays as it was.
    """
    is_whole = not (operation.plan_error or counters.cancelled or counters.abandoned or counters.pending)
    return is_whole and (counters.success > 0 or counters.failure == 0)


def outcome(operation: Operation, counters: Counters) -> Status | None:
    """Return how an operation with these final counters ends: None is success."""
    status = _outcome(operation, counters)
    overwrites = operation.request.write_disposition is WriteDisposition.WRITE_TRUNCATE
    if status and overwrites and not replaces_table(operation, counters):
        return replace(status, message=f"{status.message} {operation.request.table} was left as it was.")
    return status


def _outcome(operation: Operation, counters: Counters) -> Status | None:
    plan_error = operation.plan_error
    if counters.cancelled or (plan_error and plan_error.code is Code.CANCELLED):
        return Status(
            Code.CANCELLED,
            f"The export was cancelled: of {counters.found} instances found until then, {counters.success} were"
            f" exported, {counters.failure} failed and {counters.cancelled} were left.",
        )
    if plan_error:
        return plan_error
    if counters.pending:
        return Status(
            Code.INTERNAL,
            f"{counters.pending} of {counters.found} instances have no outcome, which is a defect; export them again",
        )
    if counters.failure:
        return Status(
            Code.INTERNAL if counters.abandoned else Code.INVALID_ARGUMENT,
            f"{counters.failure} of {counters.found} instances failed. To list each with its reason: dicom-export operations"
            f" failures {operation.name}, with --from FILE.duckdb or, for what serve exported, --data DIR.",
        )
    return None


_LONGEST_IN_PATH = 240
_END_OF_TIME = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)


def operation_path(name: OperationName) -> str:
    """Return where the operation itself lies."""
    return f"{name}/operation.json"


def index_path(name: OperationName, create_time: datetime) -> str:
    """Return the operation's entry in the index, whose order is newest first."""
    age = _END_OF_TIME - int(create_time.timestamp() * 1_000_000)
    return f"{index_prefix(name.parent)}{age:018d}-{name.operation}"


def index_prefix(parent: DatasetName) -> str:
    """Return the prefix of the index of a dataset's operations."""
    return f"{parent}/operations-by-time/"


def plan_path(name: OperationName, page: int) -> str:
    """Return where a page of the plan lies."""
    return f"{name}/plan/{page:06d}.json"


def claims_prefix(name: OperationName) -> str:
    """Return the prefix of the claims of an operation."""
    return f"{name}/claims/"


def claim_path(name: OperationName, page: int, task: int) -> str:
    """Return where the claim of a task lies."""
    return f"{claims_prefix(name)}{page:06d}/{task:03d}.json"


def results_prefix(name: OperationName, page: int | None = None) -> str:
    """Return the prefix of the results of a page, or of all of them."""
    return f"{name}/results/" if page is None else f"{name}/results/{page:06d}/"


def result_path(name: OperationName, page: int, task: int) -> str:
    """Return where the result of a task lies."""
    return f"{results_prefix(name, page)}{task:03d}.json"


def pages_prefix(name: OperationName) -> str:
    """Return the prefix of the pages' sums."""
    return f"{name}/pages/"


def page_path(name: OperationName, page: int) -> str:
    """Return where the sum of a page lies."""
    return f"{pages_prefix(name)}{page:06d}.json"


def plan_prefix(name: OperationName) -> str:
    """Return the prefix of the plan's pages."""
    return f"{name}/plan/"


def filter_index_path(name: OperationName) -> str:
    """Return where the filter's index lies: the first path of each chunk."""
    return f"{name}/filter/index.json"


def filter_path(name: OperationName, chunk: int) -> str:
    """Return where a chunk of the filter's sorted paths lies."""
    return f"{name}/filter/{chunk:06d}.json"


def report_path(name: OperationName, page: int) -> str:
    """Return where the claim of a page's failure rows lies."""
    return f"{name}/reports/{page:06d}.json"


def dead_letters_prefix(parent: DatasetName) -> str:
    """Return the prefix of the dead letters of a dataset's operations."""
    return f"{parent}/dead-letters/"


def dead_letter_path(name: OperationName, letter: str) -> str:
    """Return where a dead letter of the operation lies."""
    return f"{dead_letters_prefix(name.parent)}{name.operation}/{letter}.json"


def exclusive_path(table: TableName) -> str:
    """Return where the name of the export lies that has the table for itself."""
    return f"exclusive/{table_path(table)}.json"


def table_path(table: TableName) -> str:
    """Return the table as a part of a path: a long name as a digest, because no file system takes one of 1,024 bytes."""
    return "/".join(
        name if len(name.encode()) <= _LONGEST_IN_PATH else f"~{sha256(name.encode()).hexdigest()}"
        for name in (table.project, table.dataset, table.table)
    )


def heal_path(name: OperationName, period: int) -> str:
    """Return where it is marked that an operation was told of again in a period."""
    return f"{name}/heals/{period}"

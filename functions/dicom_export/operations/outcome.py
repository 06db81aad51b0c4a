"""How an operation ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dicom_export.errors import Code
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Failure, Status
from dicom_export.operations.request import WriteDisposition

if TYPE_CHECKING:
    from dicom_export.operations.operation import Operation


def replaces_table(operation: Operation, counters: Counters) -> bool:
    """Say whether an overwrite with these final counters may replace the old table.

    Instances that cannot be read are reported and do not prevent it. The old table stays if the
    export was cancelled, if its plan or a whole message failed, or if nothing could be read.
    """
    is_whole = not (operation.plan_error or counters.cancelled or counters.abandoned or counters.pending)
    return is_whole and (counters.success > 0 or counters.failure == 0)


def final_status(operation: Operation, counters: Counters) -> Status | None:
    """Return how an operation with these final counters ends; None means success."""
    status = _outcome(operation, counters)
    overwrites = operation.request.write_disposition is WriteDisposition.WRITE_TRUNCATE
    if status and overwrites and not replaces_table(operation, counters):
        return replace(status, message=f"{status.message} {operation.table} was left as it was.")
    return status


def _outcome(operation: Operation, counters: Counters) -> Status | None:
    plan_error = operation.plan_error
    if counters.cancelled or (plan_error and plan_error.code is Code.CANCELLED):
        return Status(
            Code.CANCELLED,
            f"The export was cancelled: of {counters.found} instances found until then, {counters.success} were"
            f" exported, {counters.failure} failed and {counters.cancelled} were skipped.",
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
            f"{_failures(counters)} To list each with its reason: dicom-export operations failures {operation.name}, with --from"
            " FILE.duckdb, with --endpoint URL or, for what serve exported, with --data DIR.",
        )
    return None


def _failures(counters: Counters) -> str:
    return f"{counters.failure} of {counters.found} instances failed."


def says_that_instances_failed(status: Status, counters: Counters) -> bool:
    """Say whether an operation with these final counters ended so only because some instances failed."""
    return status.code is Code.INVALID_ARGUMENT and status.message.startswith(_failures(counters))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of the objects of a task.

    `skipped` are the positions in the task of objects that are not instances, or are not named by
    the filter. `matched` are the positions in the filter of the paths that name instances of the
    task. `passed_over` are the names of objects that have another known format than DICOM, each
    with that format.
    """

    counters: Counters = field(default_factory=Counters)
    failures: tuple[Failure, ...] = ()
    studies: tuple[str, ...] = ()
    skipped: tuple[int, ...] = ()
    matched: tuple[int, ...] = ()
    passed_over: tuple[tuple[str, str], ...] = ()

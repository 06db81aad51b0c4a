"""End a verification: compare the inventory with the table, and export the missing instances on demand."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.errors import NotFound
from dicom_export.logs import Event, operation_event
from dicom_export.messages import PlanExport
from dicom_export.operations import filters
from dicom_export.operations.operation import Operation
from dicom_export.operations.request import RepairRequest, VerifyRequest
from dicom_export.verifying.reconciliation import layout_like

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.names import OperationName, TableName
    from dicom_export.operations.counters import DifferenceCounts
    from dicom_export.operations.filters import FilterPath
    from dicom_export.ports import Comparisons, Publisher, Warehouse
    from dicom_export.state.journal import Journal

log = logging.getLogger(__name__)


def repair_name(name: OperationName) -> OperationName:
    """Return the name of the operation that exports what a verification found to be missing or stale."""
    return replace(name, operation=f"{name.operation}-repair")


def compare(
    verification: Operation, request: VerifyRequest, journal: Journal, tables: Warehouse, publisher: Publisher
) -> DifferenceCounts:
    """Write the verification's report, once, begin the repair if one was requested, and return the numbers of differences.

    Raises NotFound if the compared table is gone, FailedPrecondition if it is not a table of an export.
    """
    tables.compare(
        request.compared,
        verification.target,
        request.table,
        request.store,
        before=verification.create_time,
        job=verification.name.operation,
    )
    tables.drop(verification.target)
    differences = tables.count_differences(request.table)
    log.info(
        "%s compared with %s: %d missing, %d stale, %d orphaned",
        request.store,
        request.compared,
        differences.missing,
        differences.stale,
        differences.orphaned,
        extra={"operation": str(verification.name)},
    )
    if request.repair and differences.repairable:
        _begin_repair(verification, request, journal, tables)
        publisher.publish([PlanExport(repair_name(verification.name), 0)])
    return differences


def repair_lines(comparisons: Comparisons, report: TableName) -> Iterator[str]:
    """Yield the lines of a filter that names the instances of a report that an export can repair."""
    return (f"{filters.line_of(path)}\n" for path in _repairable(comparisons, report))


def _repairable(comparisons: Comparisons, report: TableName) -> Iterator[FilterPath]:
    return (filters.path_of(each.uids) for each in comparisons.differences(report) if each.is_repairable)


def _begin_repair(verification: Operation, request: VerifyRequest, journal: Journal, tables: Warehouse) -> None:
    """Create the operation of the repair, with its filter, unless an earlier delivery has."""
    name = repair_name(verification.name)
    if journal.operations.find(name):
        return
    journal.filters.create(name, filters.widest(_repairable(tables, request.table)))
    table = tables.describe(request.compared)
    if table is None:
        raise NotFound(f"Table {request.compared} was not found; an export creates it")
    like = layout_like(table.schema)
    repair = RepairRequest(
        request.store,
        request.compared,
        request.table,
        like.schema,
        like.has_source_store,
        allow_cold_reads=request.allow_cold_reads,
        include_source_object=like.has_source_object,
    )
    journal.operations.create(Operation(name, verification.api_version, datetime.now(UTC), repair))
    log.info("Repair of %s created", request.compared, extra=operation_event(name, Event.CREATED))

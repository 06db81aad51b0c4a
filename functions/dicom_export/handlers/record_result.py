"""Counting of results, page by page, and the end of the operation."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from dicom_export.errors import Code, PermanentError
from dicom_export.exporting.listing import warn_unmatched
from dicom_export.exporting.replay import is_replay
from dicom_export.exporting.writing import requested_partitioning
from dicom_export.handlers.export_study import abandoned, settle
from dicom_export.handlers.plan_export import announce, plan_deferred
from dicom_export.logs import Event, operation_event
from dicom_export.messages import ExportStudy, OperationMessage, PlanExport, StudyExported
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Status
from dicom_export.operations.outcome import final_status, replaces_table
from dicom_export.operations.plan_page import PlanPage
from dicom_export.operations.request import FilesRequest, VerifyRequest, WriteDisposition
from dicom_export.state.dead_letters import DeadLetter
from dicom_export.verifying.compare import compare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.errors import DicomExportError
    from dicom_export.exporting.failure_report import FailureReport
    from dicom_export.names import StoreName
    from dicom_export.operations.counters import DifferenceCounts
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import ExportRequest, RepairRequest
    from dicom_export.ports import Publisher, Warehouse
    from dicom_export.state.journal import Journal
    from dicom_export.stores import DeclaredStore

log = logging.getLogger(__name__)

_PUBLISHED_AT_ONCE = 1_000


def record_result(
    message: StudyExported,
    *,
    journal: Journal,
    tables: Warehouse,
    publisher: Publisher,
    report: FailureReport | None = None,
) -> None:
    """Sum the page of the message if it has all results, and end the operation with its last page.

    Until the plan is sealed, a sum makes room for the page whose planning was deferred.

    The counters follow from the existing state objects, so that neither the number nor the order of
    the messages matters.
    """
    operation = journal.operations.load(message.operation)
    if operation.is_done or not _sum_page(operation, message.page, journal, report):
        return
    if operation.pages is None:  # it may have been sealed since
        operation = journal.operations.load(message.operation)
    if operation.pages is None:
        plan_deferred(operation, journal=journal, publisher=publisher)
        return
    sums = journal.pages.sums(operation.name)
    if len(sums) >= operation.pages:
        _finish(operation, _total(operation, sums, journal), journal, tables, publisher)


def _sum_page(operation: Operation, page: int, journal: Journal, report: FailureReport | None) -> bool:
    """Say whether the page has all results; if so, report and sum them first."""
    if journal.pages.has_sum(operation.name, page):
        return True
    results = journal.pages.results(operation.name, page)
    if results is None:
        return False
    if report and results.counters.failure:
        report.write(operation, page, journal.tasks.failures(operation.name, page))
    journal.pages.create_sum(operation.name, page, results)
    return True


def _total(operation: Operation, sums: Mapping[int, Counters], journal: Journal) -> Counters:
    """Return the sum of the pages.

    A study counts once even if several pages share it, and so does an entry that cannot be listed.
    """
    total = replace(Counters.total(sums.values()), unlisted=len(journal.plans.unlisted(operation.name)))
    first_page = journal.plans.page(operation.name, 0)
    if len(sums) == 1 or first_page is None:
        return total
    return replace(total, studies=journal.pages.studies(operation.name, are_in_order=first_page.layout.names_studies))


def _finish(
    operation: Operation, counters: Counters, journal: Journal, tables: Warehouse, publisher: Publisher
) -> None:
    """End the operation, and store how it ended.

    An overwrite first replaces the table, and has all changes that were streamed meanwhile streamed
    again.
    """
    error, differences = _completed(operation, counters, journal, tables, publisher)
    error = error or final_status(operation, counters)
    if not isinstance(operation.request, VerifyRequest | FilesRequest):
        _annotate(operation.request, tables)
    if operation.request.write_disposition is WriteDisposition.WRITE_TRUNCATE:
        _stream_again(operation, journal, publisher)

    _drop_objects(operation, tables)

    has_ended = False

    def ended(current: Operation) -> Operation:
        nonlocal has_ended
        has_ended = current.is_done
        if has_ended:
            return current
        return replace(current, end_time=datetime.now(UTC), counters=counters, error=error, differences=differences)

    journal.operations.change(operation.name, ended)
    if has_ended:
        return  # another message was first: both found the last result
    if not (counters.abandoned or is_replay(operation.name)):
        _warn_of_unmatched_paths(operation, journal)
    log.info(
        "Export %s: %d exported, %d failed, %d in the table already",
        "cancelled" if error and error.code is Code.CANCELLED else "ended",
        counters.success,
        counters.failure,
        counters.unchanged,
        extra=operation_event(operation.name, Event.ENDED),
    )


def _drop_objects(operation: Operation, tables: Warehouse) -> None:
    """Drop the table with which the plan was compared."""
    if not operation.compares_objects:
        return
    try:
        tables.drop(operation.objects)
    except PermanentError as error:
        log.warning("%s was not dropped, and will expire: %s", operation.objects, error.message)


def _completed(
    operation: Operation, counters: Counters, journal: Journal, tables: Warehouse, publisher: Publisher
) -> tuple[Status | None, DifferenceCounts | None]:
    """Complete an overwrite or a verification: replace the old rows, or drop the new ones.

    A verification replaces its report with the differences. Return the status if that failed, and
    the differences that a verification found.
    """
    request = operation.request
    if request.write_disposition is not WriteDisposition.WRITE_TRUNCATE:
        return None, None
    try:
        if not replaces_table(operation, counters):
            tables.drop(operation.target)
        elif isinstance(request, VerifyRequest):
            return None, compare(operation, request, journal, tables, publisher)
        else:
            job = operation.name.operation
            tables.replace(
                operation.table,
                operation.target,
                expected_rows=counters.success,
                job=job,
                partitioning=requested_partitioning(operation),
            )
    except PermanentError as error:
        return Status(error.code, f"{operation.table} was left as it was: {error.message}"), None
    return None, None


def _annotate(request: ExportRequest | RepairRequest, tables: Warehouse) -> None:
    """Describe the columns of the table and define its views. The rows are there even if that fails."""
    try:
        tables.annotate(request.table, views=request.views)
    except PermanentError as error:
        log.warning("The views of %s could not be defined: %s", request.table, error.message)


def _stream_again(operation: Operation, journal: Journal, publisher: Publisher) -> None:
    """Publish every change again that was recorded with the overwrite.

    Its row may have been replaced together with the others.
    """
    changes = journal.overwrites.recorded(operation.name)
    while chunk := list(islice(changes, _PUBLISHED_AT_ONCE)):
        publisher.publish(chunk)


def _warn_of_unmatched_paths(operation: Operation, journal: Journal) -> None:
    """Log the filter paths that matched nothing, if only the workers could tell.

    Otherwise the planner has logged them.
    """
    if operation.compares_objects or operation.request.since:
        return  # the paths of objects that were not read are unknown
    index = journal.filters.index(operation.name) if operation.request.is_filtered else None
    first_page = journal.plans.page(operation.name, 0) if index else None
    if index is None or first_page is None or not first_page.applies_filter:
        return
    matched = journal.pages.matched(operation.name)
    for number in range(len(index.firsts)):
        chunk = journal.filters.chunk(operation.name, number)
        start = number * index.chunk_size
        warn_unmatched(operation, [path for position, path in enumerate(chunk, start) if position not in matched])


def record_dead_letter(
    message: OperationMessage,
    reason: DicomExportError,
    *,
    journal: Journal,
    stores: Mapping[StoreName, DeclaredStore],
    tables: Warehouse,
    publisher: Publisher,
) -> None:
    """Count the instances of a message that is out of attempts as failed, and keep it.

    So its operation ends. This competes with a late worker for the same claim: if the worker was
    first, its stream is committed.
    """
    log.error(
        "A message on %s is out of attempts: %s",
        message.topic,
        reason.message,
        extra={"operation": str(message.operation)},
    )
    if journal.operations.find(message.operation) is None:
        log.error("Operation %s is gone", message.operation)
        return
    status = Status(reason.code, reason.message)
    match message:
        case ExportStudy():
            _give_up_on_study(message, status, journal, stores, tables)
            publisher.publish([StudyExported(message.operation, message.page)])
        case PlanExport():
            _give_up_on_page(message, status, journal, publisher)
        case StudyExported():
            # Without the report of failures, because that table may be the reason for the failed attempts.
            record_result(message, journal=journal, tables=tables, publisher=publisher)


def _give_up_on_page(message: PlanExport, reason: Status, journal: Journal, publisher: Publisher) -> None:
    error = Status(reason.code, f"The store could not be listed: {reason.message}")
    ours = PlanPage(error=error, sender=message.sender)
    page = journal.plans.create_page(message.operation, message.page, ours)
    if page == ours:
        journal.dead_letters.keep(DeadLetter(message, reason, datetime.now(UTC)))
    if not message.is_other_than(page.sender):
        announce(message, page, journal=journal, publisher=publisher)


def _give_up_on_study(
    message: ExportStudy,
    reason: Status,
    journal: Journal,
    stores: Mapping[StoreName, DeclaredStore],
    tables: Warehouse,
) -> None:
    operation = journal.operations.load(message.operation)
    page = journal.plans.page(message.operation, message.page)
    if page is None or message.task >= len(page.tasks):
        log.error("Page %d has no task %d", message.page, message.task, extra={"operation": str(message.operation)})
        return
    planned = replace(message, objects=page.tasks[message.task])
    is_decided = operation.is_done or journal.tasks.result(message.operation, message.page, message.task) is not None
    if is_decided:
        claim = journal.tasks.claim(message.operation, message.page, message.task)
    else:
        ours = abandoned(planned, reason)
        claim = journal.tasks.create_claim(message.operation, message.page, message.task, ours)
    if claim and not claim.stream and claim.outcome.counters.abandoned:
        journal.dead_letters.keep(DeadLetter(planned, reason, datetime.now(UTC)))
    if claim and not is_decided:
        store = stores.get(operation.request.store)
        settle(planned, operation, claim, store.objects if store else None, journal, tables, is_last_attempt=True)

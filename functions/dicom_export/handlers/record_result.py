"""Results are counted, a page at a time; when all is in, the operation ends."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from dicom_export.errors import PermanentError
from dicom_export.exporting.listing import warn_unmatched
from dicom_export.exporting.replay import is_replay
from dicom_export.handlers.export_study import abandoned, settle
from dicom_export.handlers.plan_export import announce
from dicom_export.logs import Event, operation_event
from dicom_export.messages import ExportStudy, OperationMessage, PlanExport, StudyExported
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Status
from dicom_export.operations.outcome import final_status, replaces_table
from dicom_export.operations.plan_page import PlanPage
from dicom_export.operations.request import VerifyRequest, WriteDisposition
from dicom_export.state.dead_letters import DeadLetter
from dicom_export.verifying.compare import compare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.errors import DicomExportError
    from dicom_export.exporting.failure_report import FailureReport
    from dicom_export.names import StoreName
    from dicom_export.operations.counters import DifferenceCounts
    from dicom_export.operations.operation import Operation
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
    """Sum the message's page if all its results are in, and end the operation if all pages are.

    What counts is what exists, so it does not matter how often or in which order the messages come.
    """
    operation = journal.operations.load(message.operation)
    if operation.is_done or not _sum_page(operation, message.page, journal, report):
        return
    if operation.pages is None:  # it may have been sealed since
        operation = journal.operations.load(message.operation)
    sums = journal.pages.sums(operation.name)
    if operation.pages is not None and len(sums) >= operation.pages:
        _finish(operation, _total(operation, sums, journal), journal, tables, publisher)


def _sum_page(operation: Operation, page: int, journal: Journal, report: FailureReport | None) -> bool:
    """Return whether the page's results are all in; then they are reported and summed."""
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
    """Return the sum of the pages; a study that several of them share still counts once, as does what cannot be listed."""
    total = replace(Counters.total(sums.values()), unlisted=len(journal.plans.unlisted(operation.name)))
    first_page = journal.plans.page(operation.name, 0)
    if len(sums) == 1 or first_page is None:
        return total
    return replace(total, studies=journal.pages.studies(operation.name, are_in_order=first_page.layout.names_studies))


def _finish(
    operation: Operation, counters: Counters, journal: Journal, tables: Warehouse, publisher: Publisher
) -> None:
    """Put an overwrite in its place, have streamed again what was streamed meanwhile, and write down how the operation ended."""
    error, differences = _completed(operation, counters, journal, tables, publisher)
    error = error or final_status(operation, counters)
    if operation.request.write_disposition is WriteDisposition.WRITE_TRUNCATE:
        _stream_again(operation, journal, publisher)

    def ended(current: Operation) -> Operation:
        if current.is_done:
            return current
        return replace(current, end_time=datetime.now(UTC), counters=counters, error=error, differences=differences)

    journal.operations.change(operation.name, ended)
    if not (counters.abandoned or is_replay(operation.name)):
        _warn_of_unmatched_paths(operation, journal)
    log.info(
        "Export ended: %d exported, %d failed",
        counters.success,
        counters.failure,
        extra=operation_event(operation.name, Event.ENDED),
    )


def _completed(
    operation: Operation, counters: Counters, journal: Journal, tables: Warehouse, publisher: Publisher
) -> tuple[Status | None, DifferenceCounts | None]:
    """End an overwrite: its rows, or what a verification finds by them, take the old ones' place, or are dropped.

    Return why that was not possible, if so, and what the verification found.
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
            tables.replace(request.table, operation.target, expected_rows=counters.success, job=job)
    except PermanentError as error:
        return Status(error.code, f"{request.table} was left as it was: {error.message}"), None
    return None, None


def _stream_again(operation: Operation, journal: Journal, publisher: Publisher) -> None:
    """Tell of every change again that was recorded with the overwrite: its row may have been replaced with the rest."""
    changes = journal.overwrites.recorded(operation.name)
    while chunk := list(islice(changes, _PUBLISHED_AT_ONCE)):
        publisher.publish(chunk)


def _warn_of_unmatched_paths(operation: Operation, journal: Journal) -> None:
    """Log the filter's paths that matched nothing, where only the workers could tell; else the plan has logged them."""
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
    """Count what a message that is out of attempts was about as failed, so that its operation ends, and keep it.

    It competes with a late worker for the same claim: if that was first, its stream is committed after all.
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
            # Without the report of failures: it may be what there was no getting through to.
            record_result(message, journal=journal, tables=tables, publisher=publisher)


def _give_up_on_page(message: PlanExport, reason: Status, journal: Journal, publisher: Publisher) -> None:
    ours = PlanPage(error=Status(reason.code, f"The store could not be listed: {reason.message}"))
    page = journal.plans.create_page(message.operation, message.page, ours)
    if page == ours:
        journal.dead_letters.keep(DeadLetter(message, reason, datetime.now(UTC)))
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

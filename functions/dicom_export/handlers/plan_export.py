"""Planning of one page: list the store, group it by study, and publish the messages.

The messages go to the workers. The last message plans the next page.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from dicom_export.decoding.batches import BATCH_HEADER_BYTES, size_of
from dicom_export.decoding.budget import NO_MORE_COLUMNS
from dicom_export.decoding.decoded import DecodedInstance
from dicom_export.decoding.many import decode_in_turn
from dicom_export.errors import Code, PermanentError, TooManyColumns
from dicom_export.exporting.create import check_table, hold_table
from dicom_export.exporting.filter_objects import store_filter
from dicom_export.exporting.known import divided
from dicom_export.exporting.listing import first_cursor, listing
from dicom_export.exporting.survey import looked_for, refuse_tasks, survey
from dicom_export.exporting.writing import prepare_target
from dicom_export.logs import Event, operation_event
from dicom_export.messages import ExportStudy, PlanExport, StudyExported
from dicom_export.operations.failure import Status
from dicom_export.operations.plan_page import PlanPage
from dicom_export.operations.planning import Cursor, PlanLimits, cut_page, sample
from dicom_export.operations.request import FilesRequest, WriteDisposition
from dicom_export.rows.fitting import admitted, within_budget
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import columns_of_all, columns_of_layout, merge
from dicom_export.stores import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dicom_export.decoding.budget import ColumnLimits
    from dicom_export.decoding.decoded import Decoded, Row
    from dicom_export.names import OperationName, StoreName
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import TableRequest
    from dicom_export.ports import Decode, DicomStore, Publisher, Tables, Warehouse
    from dicom_export.rows.schema import Schema
    from dicom_export.state.journal import Journal
    from dicom_export.stored_object import StoredObject, Unlisted
    from dicom_export.stores import DeclaredStore

log = logging.getLogger(__name__)


def plan_export(
    message: PlanExport,
    *,
    journal: Journal,
    stores: Mapping[StoreName, DeclaredStore],
    buckets: Callable[[str], DicomStore | None],
    tables: Warehouse,
    publisher: Publisher,
    limits: PlanLimits,
    decode: Decode = decode_in_turn,
) -> None:
    """Plan the page unless it is planned, and publish its messages.

    Then publish the message of the next page, or seal the plan. The chain of create-once pages
    decides what the plan is: the page without a next one is the last, even if the operation is
    cancelled meanwhile. A page that has no room is planned later: `plan_deferred` sees to it.
    """
    operation = journal.operations.load(message.operation)
    if operation.is_done:
        return
    page = journal.plans.page(operation.name, message.page)
    if page is None:
        if not _has_room(operation, message.page, journal, limits):
            return
        previous = journal.plans.page(operation.name, message.page - 1) if message.page else None
        if message.page and (previous is None or previous.next is None):
            return  # the plan ends before this page
        begin = previous.next if previous else None
        planned = _plan_page(operation, message.page, begin, journal, stores, buckets, tables, limits, decode)
        if planned is None:
            publisher.publish([PlanExport.unless_planned(operation.name, message.page)])
            return
        page = journal.plans.create_page(operation.name, message.page, replace(planned, sender=message.sender))
        _warn_of_unlisted(page, operation)
        log.info(
            "Page %d planned: %d messages, %d objects in the table already",
            message.page,
            len(page.tasks),
            page.unchanged,
            extra=operation_event(operation.name, Event.PROGRESSED),
        )
    if not message.is_other_than(page.sender):
        writes_rows = not isinstance(operation.request, FilesRequest)
        if writes_rows and page.tasks and not journal.pages.has_sum(operation.name, message.page):
            # The page is stored, so that the next attempt reads no header again.
            tables.await_columns(operation.target)
        announce(message, page, journal=journal, publisher=publisher)


def _has_room(operation: Operation, page: int, journal: Journal, limits: PlanLimits) -> bool:
    """Say whether the page may be planned now. If not, `plan_deferred` will have it planned.

    The mark comes before the last look: who sums a page after that look finds the mark.
    """
    if page == 0 or operation.cancel_requested or _sees_room(operation, journal, limits):
        return True
    journal.plans.defer(operation.name, page)
    return _sees_room(operation, journal, limits)


def _sees_room(operation: Operation, journal: Journal, limits: PlanLimits) -> bool:
    tasks = journal.plans.tasks(operation.name)
    return limits.has_room(journal.pages.outstanding(operation.name, tasks))


def plan_deferred(operation: Operation, *, journal: Journal, publisher: Publisher) -> None:
    """Have the next page planned if that was deferred. To be called after each sum of a page."""
    following = journal.plans.pages(operation.name)[-1] + 1
    if journal.plans.is_deferred(operation.name, following):
        publisher.publish([PlanExport.unless_planned(operation.name, following)])


def announce(message: PlanExport, page: PlanPage, *, journal: Journal, publisher: Publisher) -> None:
    """Publish the messages of a planned page, and that of the next page, or seal the plan."""
    if not journal.pages.has_sum(message.operation, message.page):
        publisher.publish(_export_messages(message, page))
    if page.next:
        # Once the next page exists, its own message continues: a repeated delivery must not repeat the whole plan.
        if not journal.plans.has_page(message.operation, message.page + 1):
            publisher.publish([PlanExport.unless_planned(message.operation, message.page + 1)])
    else:
        pages, error = message.page + 1, page.error
        journal.operations.change(message.operation, lambda current: replace(current, pages=pages, plan_error=error))
    publisher.publish([StudyExported(message.operation, message.page)])


def _export_messages(message: PlanExport, page: PlanPage) -> list[ExportStudy]:
    return [
        ExportStudy(message.operation, message.page, number, task, page.applies_filter, number in page.known_tasks)
        for number, task in enumerate(page.tasks)
    ]


def _plan_page(
    operation: Operation,
    number: int,
    begin: Cursor | None,
    journal: Journal,
    stores: Mapping[StoreName, DeclaredStore],
    buckets: Callable[[str], DicomStore | None],
    tables: Warehouse,
    limits: PlanLimits,
    decode: Decode,
) -> PlanPage | None:
    """Return the page, or None if the store has to be surveyed further before its first page is planned."""
    if operation.cancel_requested:
        return PlanPage(error=Status(Code.CANCELLED, "Cancelled while the store was being listed."))
    try:
        store = declared(stores, operation.request.store)
        index = store_filter(operation, buckets, journal) if operation.request.is_filtered else None
        cursor = begin or first_cursor(store, index)
        looked = looked_for(store, operation, tables)
        if number == 0 and looked and not survey(store, cursor, operation, index, journal, tables, looked):
            return None
        unlisted: dict[Unlisted, None] = {}
        found = listing(store, cursor, operation, index, journal, unlisted.setdefault)
        tasks, following = cut_page(found, cursor.layout, replace(limits, page_tasks=limits.tasks_of_page))
        request = operation.request
        if number == 0 and not isinstance(request, FilesRequest):
            _check_table_again(operation.name, request, journal, tables)
        unread, known, unchanged = divided(tasks, operation, store.objects, tables, limits)
        refuse_tasks(store, operation, unread, journal, looked)
        if not isinstance(request, FilesRequest):
            # The table has rows already. The one worker adds the columns of its few objects, and each is read once.
            has_one_worker = unchanged > 0 and len(unread) == 1
            objects = [] if has_one_worker else sample(unread, limits.sample)
            planned = sum(map(len, unread))
            _prepare_table(operation, number, objects, planned, store.objects, journal, tables, limits, decode)
    except PermanentError as error:
        log.error("The export cannot be planned: %s", error.message, extra={"operation": str(operation.name)})  # noqa: TRY400 - its message is enough
        return PlanPage(error=Status(error.code, error.message))
    applies_filter = index is not None and not cursor.layout.names_studies
    known_tasks = tuple(range(len(unread), len(unread) + len(known)))
    return PlanPage(
        (*unread, *known),
        following,
        cursor.layout,
        applies_filter,
        unlisted=tuple(unlisted),
        known_tasks=known_tasks,
        unchanged=unchanged,
    )


def _prepare_table(
    operation: Operation,
    number: int,
    objects: Sequence[StoredObject],
    planned: int,
    store: DicomStore,
    journal: Journal,
    tables: Tables,
    limits: PlanLimits,
    decode: Decode,
) -> None:
    """Give the table the columns of a sample of the page. `planned` is the number of all its objects."""
    existing = _existing(operation, number, journal, tables)
    columns = _columns(operation, store, objects, decode, existing, limits.columns, planned=planned)
    # A faster worker may have ended an overwrite meanwhile: its staging table must not be created again.
    if not journal.plans.has_page(operation.name, number):
        _prepare(operation, columns, existing, tables)


def _warn_of_unlisted(page: PlanPage, operation: Operation) -> None:
    for each in page.unlisted:
        log.warning("%r cannot be listed: %s", each.name, each.reason, extra={"operation": str(operation.name)})


def _check_table_again(name: OperationName, request: TableRequest, journal: Journal, tables: Tables) -> None:
    """Check that no other export has begun to fill the table since the request.

    A table that has to be new may exist because of an earlier delivery of this message.
    """
    hold_table(request, name, journal)
    if request.write_disposition is WriteDisposition.WRITE_EMPTY:
        check_table(request, tables.describe(request.table))


def _existing(operation: Operation, number: int, journal: Journal, tables: Tables) -> Schema:
    """Return the columns of the target, before headers are read.

    The staging table of an overwrite is created first, because it may have to begin with the
    columns of the destination. A faster worker may have ended the overwrite meanwhile: then its
    staging table must not be created again.
    """
    table = tables.describe(operation.target)
    overwrites = operation.request.write_disposition is WriteDisposition.WRITE_TRUNCATE
    if table is None and overwrites and not journal.plans.has_page(operation.name, number):
        prepare_target(operation, columns_of_layout(operation.request.row_layout), tables)
        table = tables.describe(operation.target)
    return table.schema if table else ()


def _prepare(operation: Operation, columns: Schema, existing: Schema, tables: Tables) -> None:
    """Add the columns to the table.

    If it takes no further column, add only those that it has and those that every row needs.
    """
    try:
        prepare_target(operation, columns, tables)
    except TooManyColumns:
        prepare_target(operation, admitted(existing, columns, NO_MORE_COLUMNS), tables)


def _columns(
    operation: Operation,
    store: DicomStore,
    objects: Sequence[StoredObject],
    decode: Decode,
    existing: Schema,
    limits: ColumnLimits,
    *,
    planned: int,
) -> Schema:
    """Return the columns of a sample of the planned objects.

    So the workers hardly ever need a column that the table lacks.
    """
    layout = operation.request.row_layout
    common = columns_of_layout(layout)
    if layout.kind is SchemaKind.INVENTORY:
        return common
    columns: Schema = existing if layout.kind is SchemaKind.FLATTENED else ()
    for rows in _few_at_once(decode(store, objects, layout, following=planned)):
        columns = merge(columns, columns_of_all(within_budget(rows, columns, layout.kind, limits), layout.kind))
    return merge(tuple(column for column in columns if column not in existing), common)


def _few_at_once(decoded: Iterable[Decoded]) -> Iterator[list[Row]]:
    """Yield the rows of instances in lists, each of some MiB: a sample may have gigabytes."""
    rows: list[Row] = []
    header_bytes = 0
    for each in decoded:
        if isinstance(each, DecodedInstance):
            rows.append(each.row)
            header_bytes += size_of(each)
        if header_bytes >= BATCH_HEADER_BYTES:
            yield rows
            rows, header_bytes = [], 0
    if rows:
        yield rows

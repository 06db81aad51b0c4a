"""Create the operation of a request, after the checks that need no listing of the store."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, TableHasRows, TableTaken
from dicom_export.exporting.copying import existing_folder
from dicom_export.exporting.filter_objects import filter_generation
from dicom_export.logs import Event, operation_event
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Status
from dicom_export.operations.operation import Operation, staging_name
from dicom_export.operations.request import (
    ExportRequest,
    FilesRequest,
    Request,
    TableRequest,
    VerifyRequest,
    WriteDisposition,
)
from dicom_export.rows.layout import names_objects
from dicom_export.stores import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_export.errors import DicomExportError
    from dicom_export.exporting.copying import CopyFolders
    from dicom_export.names import OperationName, StoreName, TableName
    from dicom_export.ports import DicomStore, TableInfo, Tables
    from dicom_export.state.journal import Journal
    from dicom_export.stores import DeclaredStore

log = logging.getLogger(__name__)


def create_export(
    request: Request,
    name: OperationName,
    *,
    api_version: str,
    journal: Journal,
    stores: Mapping[StoreName, DeclaredStore],
    buckets: Callable[[str], DicomStore | None],
    tables: Tables,
    folders: CopyFolders,
    awaits_report: bool = False,
) -> Operation:
    """Create the operation of this name. Its plan does not begin yet.

    Raises NotFound for a store, a dataset, a filter file or a bucket that does not exist, AlreadyExists or FailedPrecondition
    for a table that the write disposition protects, or that a changeDataCaptureConfig writes to, Unimplemented for partitions that
    the table cannot have, and InvalidArgument for a folder of copies that is a part of the store.
    """
    store = declared(stores, request.store)
    next(store.objects.list(), None)
    if isinstance(request, ExportRequest):
        request = replace(request, views=request.views and store.views)
    compares_objects = False
    if isinstance(request, FilesRequest):
        _check_folder(request, stores, folders)
    else:
        _check_keeps_no_latest(request, stores)
        take_table(request, name, journal)
        table = tables.describe(request.table)
        check_table(request, table)
        if isinstance(request, ExportRequest) and request.partitioning:
            partitioning = tables.possible_partitioning(request.table, request.partitioning)
            request = replace(request, partitioning=partitioning)
        compared = _compared(request, table, tables)
        compares_objects = compared is not None and names_objects({column.name for column in compared.schema})
        if compares_objects and isinstance(request, ExportRequest):
            # Else the same request would add the rows of this one again.
            request = replace(request, include_source_object=True)
    operation = Operation(
        name,
        api_version,
        datetime.now(UTC),
        request,
        filter_generation=filter_generation(request.filter_uri, buckets) if request.filter_uri else None,
        awaits_report=awaits_report,
        staging=_staging(request, name, tables),
        compares_objects=compares_objects,
    )
    if not isinstance(request, FilesRequest) and request.write_disposition is WriteDisposition.WRITE_TRUNCATE:
        # Before anything is listed: from now on, rows that are streamed into the table are recorded with the operation.
        journal.overwrites.begin(request.table, name)
    journal.operations.create(operation)
    log.info(
        "Export of %s to %s created", request.store, operation.destination, extra=operation_event(name, Event.CREATED)
    )
    return operation


def _staging(request: Request, name: OperationName, tables: Tables) -> TableName | None:
    if isinstance(request, FilesRequest) or request.write_disposition is not WriteDisposition.WRITE_TRUNCATE:
        return None
    return tables.staging_table(request.table, staging_name(request, name))


def refuse_export(name: OperationName, error: DicomExportError, *, api_version: str, journal: Journal) -> Operation:
    """Create an operation that has ended with the error, so that the sender of the request can see it."""
    now = datetime.now(UTC)
    status = Status(error.code, error.message)
    operation = Operation(name, api_version, now, None, end_time=now, counters=Counters(), error=status)
    journal.operations.create(operation)
    log.warning("An export was refused: %s", error.message, extra=operation_event(name, Event.ENDED))
    return operation


def _check_folder(request: FilesRequest, stores: Mapping[StoreName, DeclaredStore], folders: CopyFolders) -> None:
    """Raise NotFound if there is no such folder, InvalidArgument if the store has the copies as instances."""
    folder = existing_folder(request.folder, folders)
    folder.check()
    root = declared(stores, request.store).objects.uri("")
    if folder.adds_to(root):
        raise InvalidArgument(
            f"Copies in {request.folder} would be new instances of the store {request.store}, which is {root}; choose a"
            " folder outside of it"
        )


def _check_keeps_no_latest(request: TableRequest, stores: Mapping[StoreName, DeclaredStore]) -> None:
    """Raise FailedPrecondition for a table with change data capture: rows of an export have no version."""
    for name, store in stores.items():
        if any(config.tracks_changes and config.table == request.table for config in store.streams):
            raise FailedPrecondition(
                f"{request.table} has the rows of the changeDataCaptureConfig of {name}; export to another table"
            )


def _compared(request: TableRequest, table: TableInfo | None, tables: Tables) -> TableInfo | None:
    """Return the table whose rows tell what need not be read: that of a verification, or of an export that adds to it.

    Raises NotFound for a verification.
    """
    if not isinstance(request, VerifyRequest):
        return table if _adds_what_is_new(request) else None
    found = tables.describe(request.compared)
    if found is None:
        raise NotFound(f"Table {request.compared} was not found; an export creates it")
    return found


def _adds_what_is_new(request: TableRequest) -> bool:
    """Say whether the export leaves out objects that have a row in its table, if the table tells."""
    is_appended = request.write_disposition is WriteDisposition.WRITE_APPEND
    return is_appended and isinstance(request, ExportRequest) and not request.repeats_rows


def take_table(request: TableRequest, name: OperationName, journal: Journal) -> None:
    """Take the table for an export that needs an empty or a new one, so that no other such export fills it.

    Raises FailedPrecondition if another one has taken it. Exports that append or replace need not take it.
    """
    if wants_table_for_itself(request):
        _require_holder(request, name, journal.tables.take(request.table, name))


def hold_table(request: TableRequest, name: OperationName, journal: Journal) -> None:
    """Raise FailedPrecondition if another operation has taken the table since this one took it."""
    if wants_table_for_itself(request):
        _require_holder(request, name, journal.tables.holder(request.table))


def wants_table_for_itself(request: TableRequest) -> bool:
    """Return whether the export needs an empty or a new table."""
    return request.write_disposition in (WriteDisposition.WRITE_EMPTY, WriteDisposition.CREATE_NEW)


def _require_holder(request: TableRequest, name: OperationName, holder: OperationName | None) -> None:
    if holder != name:
        raise TableTaken(
            f"Operation {holder} is exporting to {request.table}; wait for its end, cancel it, or set writeDisposition to"
            " WRITE_APPEND",
            request.table.table,
            holder.operation if holder else "",
        )


def check_table(request: TableRequest, table: TableInfo | None) -> None:
    """Raise AlreadyExists or FailedPrecondition if the write disposition protects the table."""
    if table is None:
        return
    match request.write_disposition:
        case WriteDisposition.CREATE_NEW:
            raise AlreadyExists(
                f"Table {request.table} exists; name a new one, or set writeDisposition to WRITE_EMPTY,"
                " WRITE_APPEND or WRITE_TRUNCATE"
            )
        case WriteDisposition.WRITE_EMPTY if table.row_count:
            raise TableHasRows(
                f"Table {request.table} has {table.row_count} rows; WRITE_EMPTY takes an empty or a new one,"
                " WRITE_APPEND adds to it, WRITE_TRUNCATE replaces it",
                request.table.table,
                table.row_count,
            )

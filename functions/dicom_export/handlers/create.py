"""A request becomes an operation, once all that can be checked at once was checked."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.errors import AlreadyExists, DicomExportError, FailedPrecondition, NotFound
from dicom_export.messages import PlanExport
from dicom_export.operations import Operation, Status, WriteDisposition
from dicom_export.stores import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_export.journal import Journal
    from dicom_export.names import GcsUri, OperationName, StoreName
    from dicom_export.operations import ExportRequest
    from dicom_export.ports import DicomStore, Publisher, TableInfo, Tables
    from dicom_export.stores import DeclaredStore

log = logging.getLogger(__name__)


def create_export(
    request: ExportRequest,
    name: OperationName,
    *,
    api_version: str,
    journal: Journal,
    stores: Mapping[StoreName, DeclaredStore],
    buckets: Callable[[str], DicomStore | None],
    tables: Tables,
    publisher: Publisher,
) -> Operation:
    """Create the operation of this name, or find it created, and have its first page planned.

    Raises NotFound for a store, a dataset or a filter file that is not there, and AlreadyExists or FailedPrecondition
    for a table that the write disposition protects.
    """
    next(declared(stores, request.store).objects.list(), None)
    check_table(request, tables.describe(request.table))
    operation = Operation(
        name,
        api_version,
        datetime.now(UTC),
        request,
        filter_generation=_filter_generation(request.filter_uri, buckets),
    )
    journal.create(operation)
    log.info("Export of %s to %s created", request.store, request.table, extra={"operation": str(name)})
    try:
        publisher.publish([PlanExport(name, 0)])
    except DicomExportError as error:
        _give_up(journal, name, error)
        raise
    return operation


def check_table(request: ExportRequest, table: TableInfo | None) -> None:
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
            raise FailedPrecondition(
                f"Table {request.table} has {table.row_count} rows; WRITE_EMPTY takes an empty or a new one,"
                " WRITE_APPEND adds to it, WRITE_TRUNCATE replaces it"
            )


def _filter_generation(uri: GcsUri | None, buckets: Callable[[str], DicomStore | None]) -> int | None:
    if uri is None:
        return None
    bucket = buckets(uri.bucket)
    if bucket is None:
        raise NotFound(f"The bucket of the filter {uri} was not found")
    stored = bucket.get(uri.object)
    if stored is None:
        raise NotFound(f"The filter {uri} was not found")
    return stored.generation


def _give_up(journal: Journal, name: OperationName, error: DicomExportError) -> None:
    """End an operation that nobody was told to plan, so that it does not stay pending for ever."""
    status = Status(error.code, f"The export could not be started: {error.message}")
    journal.change(name, lambda operation: replace(operation, end_time=datetime.now(UTC), error=status))

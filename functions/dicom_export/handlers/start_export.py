"""Batch jobs: messages that request an export or a verification, and their operations."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument, PermanentError
from dicom_export.exporting.create import refuse_export
from dicom_export.names import OperationName, StoreName
from dicom_export.operations.request import ExportRequest
from dicom_export.protocol.export_request import parse_export_request
from dicom_export.protocol.tolerant_json import parse_json
from dicom_export.protocol.verify_request import VERIFY, parse_verify_request

if TYPE_CHECKING:
    from dicom_export.errors import DicomExportError
    from dicom_export.exporting.service import ExportService
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import Request

log = logging.getLogger(__name__)

_VERSION = "v1"


def start_batch_export(data: bytes, job: str, service: ExportService) -> None:
    """Start the export of a batch job, once, however often its message is delivered.

    The id of the message is the id of the operation. A request that is malformed or cannot be
    fulfilled becomes an operation that has ended with the error. A request that names no store is
    only logged. Raises TransientError: then the message has to be delivered again.
    """
    body = _body(data, job)
    if body is None:
        return
    operation = _begun(OperationName(body[0].parent, job), *body, service)
    if not operation.is_done:
        service.resume(operation)


def _begun(name: OperationName, store: StoreName, fields: object, service: ExportService) -> Operation:
    """Return the operation of this name; an earlier delivery may have created it."""
    found = service.journal.operations.find(name)
    if found:
        return found
    try:
        return service.create(_request(store, fields), name, api_version=_VERSION)
    except PermanentError as error:
        return refuse_export(name, error, api_version=_VERSION, journal=service.journal)


def give_up_batch_export(data: bytes, job: str, reason: DicomExportError, service: ExportService) -> None:
    """Show a batch job that is out of attempts as an operation that ended with the reason.

    If an attempt has created the operation, that operation is resumed instead.
    """
    body = _body(data, job)
    if body is None:
        return
    store, fields = body
    try:
        request = _request(store, fields)
    except PermanentError:
        request = None
    begun = [each for each in service.unfinished(store.parent) if request and _is_of(each.requested, request)]
    for operation in begun:
        service.resume(operation)
    if not begun:
        refuse_export(OperationName(store.parent, job), reason, api_version=_VERSION, journal=service.journal)


def _is_of(stored: Request | None, request: Request) -> bool:
    """Say whether an operation has this request, apart from what its store and its table changed in it."""
    if isinstance(stored, ExportRequest) and isinstance(request, ExportRequest):
        stored = replace(
            stored,
            views=request.views,
            include_source_object=request.include_source_object,
            partitioning=request.partitioning,
        )
    return stored == request


def _body(data: bytes, job: str) -> tuple[StoreName, object] | None:
    """Return the store that the request names, and the request.

    If it names none, log that and return None.
    """
    try:
        fields = parse_json(data)
        store = _store_of(fields)
        # The ids of Pub/Sub are numbers. An id that is not valid for an operation was forged.
        OperationName.parse(str(OperationName(store.parent, job)))
    except InvalidArgument as error:
        log.error("Batch job %s is not an export request: %s", job[:200], error.message)  # noqa: TRY400 - its message is enough
        return None
    return store, fields


def _store_of(fields: object) -> StoreName:
    """Return the store that a request names.

    Raises InvalidArgument, which quotes nothing: the message may hold any data.
    """
    name = fields.get("name") if isinstance(fields, dict) else None
    try:
        return StoreName.parse(str(name))
    except InvalidArgument as error:
        raise InvalidArgument(
            'The name of the store is missing or malformed; expected "name":'
            ' "projects/P/locations/L/datasets/D/dicomStores/S"'
        ) from error


def _request(store: StoreName, fields: object) -> Request:
    if isinstance(fields, dict) and VERIFY in fields:
        return parse_verify_request(store, fields)
    return parse_export_request(store, fields, api_version=_VERSION)

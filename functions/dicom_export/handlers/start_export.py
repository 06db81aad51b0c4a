"""Batch jobs: a request to export or to verify as a message, and the operation that it becomes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument, PermanentError
from dicom_export.exporting.create import refuse_export
from dicom_export.names import OperationName, StoreName
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
    """Start the export of a batch job, once however often its message is delivered: its id is the operation's.

    A request that cannot be understood or fulfilled becomes an operation that has ended with the error; one that does not say
    of which store it is cannot even be that, and is logged. Raises TransientError: then it has to be delivered again.
    """
    body = _body(data, job)
    if body is None:
        return
    operation = _begun(OperationName(body[0].parent, job), *body, service)
    if not operation.is_done:
        service.resume(operation)


def _begun(name: OperationName, store: StoreName, fields: object, service: ExportService) -> Operation:
    """Return the operation of this name, which an earlier delivery may have created."""
    found = service.journal.operations.find(name)
    if found:
        return found
    try:
        return service.create(_request(store, fields), name, api_version=_VERSION)
    except PermanentError as error:
        return refuse_export(name, error, api_version=_VERSION, journal=service.journal)


def give_up_batch_export(data: bytes, job: str, reason: DicomExportError, service: ExportService) -> None:
    """See to it that a batch job that is out of attempts is seen: as an operation that ended with the reason.

    If an attempt got as far as to create its operation, that one goes on instead.
    """
    body = _body(data, job)
    if body is None:
        return
    store, fields = body
    try:
        request = _request(store, fields)
    except PermanentError:
        request = None
    begun = [each for each in service.unfinished(store.parent) if each.requested == request]
    for operation in begun:
        service.resume(operation)
    if not begun:
        refuse_export(OperationName(store.parent, job), reason, api_version=_VERSION, journal=service.journal)


def _body(data: bytes, job: str) -> tuple[StoreName, object] | None:
    """Return the store that the request names, and the request; None, and a line in the log, if it names none."""
    try:
        fields = parse_json(data)
        store = _store_of(fields)
        # Pub/Sub's ids are numbers; one that cannot be an operation's was forged.
        OperationName.parse(str(OperationName(store.parent, job)))
    except InvalidArgument as error:
        log.error("Batch job %s is not an export request: %s", job[:200], error.message)  # noqa: TRY400 - its message says it all
        return None
    return store, fields


def _store_of(fields: object) -> StoreName:
    """Return the store that a request names. Raises InvalidArgument, which quotes nothing: anything may have been sent here."""
    name = fields.get("name") if isinstance(fields, dict) else None
    try:
        return StoreName.parse(str(name))
    except InvalidArgument as error:
        raise InvalidArgument(
            "It does not say of which store it is; expected the name projects/P/locations/L/datasets/D/dicomStores/S"
        ) from error


def _request(store: StoreName, fields: object) -> Request:
    if isinstance(fields, dict) and VERIFY in fields:
        return parse_verify_request(store, fields)
    return parse_export_request(store, fields, api_version=_VERSION)

"""Exports of an installation, by its HTTP API."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dicom_export.errors import FailedPrecondition, Unavailable
from dicom_export.operations.estimate import Estimate
from dicom_export.protocol.export_request import export_request_to_json
from dicom_export.protocol.operations_json import failure_from_json, operation_from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dicom_export.adapters.http.calls import Api
    from dicom_export.names import DatasetName, OperationName, StoreName
    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import ExportRequest, FilesRequest
    from dicom_export.rows.layout import SchemaKind

_OPERATIONS_PAGE = "50"
_FAILURES_PAGE = "1000"


class HttpExports:
    """The exports of the installation whose API this is. Every method may raise what `Api` raises."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create_export(self, request: ExportRequest | FilesRequest) -> Operation:
        return self._operation(self._api.post(f"{request.store}:export", export_request_to_json(request)))

    def get_operation(self, name: OperationName) -> Operation:
        return self._operation(self._api.get(str(name)))

    def newest_first(self, parent: DatasetName) -> Iterator[Operation]:
        for page in self._pages(f"{parent}/operations", _OPERATIONS_PAGE):
            with self._understood():
                found = [operation_from_json(each, datetime.now(UTC)) for each in page["operations"]]
            yield from found

    def cancel_operation(self, name: OperationName) -> Operation:
        try:
            self._api.post(f"{name}:cancel", {})
        except FailedPrecondition:
            operation = self.get_operation(name)
            if not operation.is_done:
                raise
            return operation
        return self.get_operation(name)

    def failures(self, name: OperationName) -> Iterator[Failure]:
        for page in self._pages(f"{name}/failures", _FAILURES_PAGE):
            with self._understood():
                found = [failure_from_json(each) for each in page["failures"]]
            yield from found

    def estimate(self, name: StoreName, kind: SchemaKind) -> Estimate:
        answer = self._api.get(f"{name}:estimateExport", {"schema": kind.value})
        with self._understood():
            return Estimate.from_json(answer)

    def _operation(self, resource: Mapping[str, Any]) -> Operation:
        with self._understood():
            return operation_from_json(resource, datetime.now(UTC))

    def _pages(self, path: str, size: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = self._api.get(path, {"pageSize": size, **({"pageToken": token} if token else {})})
            yield page
            token = str(page.get("nextPageToken", ""))
            if not token:
                return

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Unavailable(
                f"{self._api.url} answers in a form that this version of dicom-export does not know"
            ) from error

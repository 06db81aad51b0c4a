"""Run one export of a folder to its end, from its beginning or from where an earlier run was interrupted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dicom_export.errors import DicomExportError, Internal
from dicom_export.exporting.filter_objects import filter_generation
from dicom_export.exporting.service import new_name
from dicom_export.names import TableName
from dicom_export.operations.counters import Counters
from dicom_export.operations.request import ExportRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_export.bootstrap.local import LocalDeployment
    from dicom_export.folder_export.ignored import Ignored
    from dicom_export.operations.failure import Status
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import Request

_POLL_SECONDS = 0.25


class Run:
    """Runs a request in a deployment. `tell` is called with a sentence for the user.

    A run that `reports` ends with `set_reported`, after the user was told how the operation ended. Until then the same request
    continues that operation, also one that has ended.
    """

    def __init__(
        self,
        deployment: LocalDeployment,
        request: Request,
        ignored: Ignored,
        tell: Callable[[str], None],
        *,
        reports: bool = False,
    ) -> None:
        self._deployment = deployment
        self._request = request
        self._ignored = ignored
        self._tell = tell
        self._reports = reports

    def begin(self) -> Operation:
        """Return the operation of the same request that was interrupted or not reported, resumed, or else a new one."""
        operation = self._begun_before()
        if operation is None:
            return self._begin()
        if operation.is_done:
            self._tell(
                f"Export {operation.name.operation} had ended before this command could say so. This is its report: run the"
                " command again for a new export."
            )
        else:
            self._deployment.service.resume(operation)
            self._tell(f"Resuming export {operation.name.operation}, which was interrupted.")
        return operation

    def states(self, operation: Operation) -> Iterator[Operation]:
        """Yield the operation several times per second, and last after its end. Raises the error that stopped the workers."""
        while not self._deployment.wait(_POLL_SECONDS):
            yield self._deployment.service.get_operation(operation.name)
        ended = self._deployment.service.get_operation(operation.name)
        if not ended.is_done:
            raise Internal(
                f"Export {operation.name.operation} did not end although nothing is left to do; run the same command again"
            )
        yield ended

    def cancel(self, operation: Operation) -> None:
        """Request the operation's end: batches that are being written are completed, the rest is skipped."""
        self._deployment.service.cancel_operation(operation.name)

    def _begin(self) -> Operation:
        name = new_name(self._request)
        self._ignored.remember_for(name)
        try:
            return self._deployment.service.create_export(self._request, name=name, awaits_report=self._reports)
        except DicomExportError:
            self._ignored.forget(name)
            raise

    def _begun_before(self) -> Operation | None:
        """Return an operation of the same command that is unfinished or not reported; end cancelled ones; mention the others."""
        same: Operation | None = None
        for operation in self._unfinished_or_unreported():
            is_same = same is None and self._is_of_this_command(operation)
            if operation.cancel_requested and not operation.is_done and operation.request.store == self._request.store:
                ended = self._ended(operation)
                if is_same and ended.awaits_report:
                    same = ended
                else:
                    self._tell(f"Export {operation.name.operation}, cancelled earlier, has now ended.")
            elif is_same:
                same = operation
            elif not operation.is_done:
                self._tell(
                    f"Export {operation.name.operation} to {_shown(operation)} is unfinished: the command"
                    " that began it resumes it."
                )
        return same

    def _unfinished_or_unreported(self) -> Iterator[Operation]:
        for _, operation in self._deployment.service.list_operations(self._request.store.parent):
            if not operation.is_done or (operation.awaits_report and operation.requested):
                yield operation

    def _ended(self, operation: Operation) -> Operation:
        """Return a cancelled operation once it has ended."""
        self._deployment.service.resume(operation)
        self._deployment.wait()
        return self._deployment.service.get_operation(operation.name)

    def _is_of_this_command(self, operation: Operation) -> bool:
        request = self._request
        if operation.compares_objects and isinstance(request, ExportRequest):
            # An export to a table that names the objects of its rows names them, too.
            request = replace(request, include_source_object=True)
        is_same = operation.request == request
        return is_same and self._has_same_filter(operation) and self._ignored.are_those_of(operation)

    def _has_same_filter(self, operation: Operation) -> bool:
        uri = self._request.filter_uri
        generation = filter_generation(uri, self._deployment.service.buckets) if uri else None
        return operation.filter_generation == generation


def _shown(operation: Operation) -> str:
    """Return the destination as the user knows it: there is one folder per state."""
    destination = operation.destination
    return f"table {destination.table}" if isinstance(destination, TableName) else "the folder"


def error_besides_failures(operation: Operation) -> Status | None:
    """Return the error that an operation ended with, unless it only says that some instances failed."""
    counters = operation.counters or Counters()
    is_told = counters.failure > 0 and not (operation.plan_error or counters.cancelled or counters.abandoned)
    return None if is_told else operation.error

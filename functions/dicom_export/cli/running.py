"""One export from its begin, or from where an earlier run was interrupted, to its end."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dicom_export.cli.exit_codes import FAILED
from dicom_export.cli.progress import ExportProgress
from dicom_export.errors import DicomExportError, Internal
from dicom_export.handlers.filter_objects import filter_generation
from dicom_export.handlers.service import new_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from rich.console import Console

    from dicom_export.bootstrap.local import LocalHouse
    from dicom_export.cli.ignored import Ignored
    from dicom_export.operations import ExportRequest, Operation

_POLL_SECONDS = 0.25


class Run:
    """A request, and the house that it runs in. `file` is the destination.

    A run that `reports` prints how its operation ended and says so by `set_reported`. Until then the same command goes on with that
    operation, also with one that has ended.
    """

    def __init__(
        self,
        house: LocalHouse,
        request: ExportRequest,
        ignored: Ignored,
        console: Console,
        file: Path,
        *,
        reports: bool = False,
    ) -> None:
        self._house = house
        self._request = request
        self._ignored = ignored
        self._console = console
        self._file = file
        self._reports = reports
        self._interrupts = 0

    def to_its_end(self, folder: Path) -> Operation:
        """Return the operation once it has ended. Raises what stopped the workers, such as a full disk."""
        service = self._house.service
        with self._interruptible():
            operation = self._begun_before()
            if operation is None:
                operation = self._begin()
            elif operation.is_done:
                self._console.print(
                    f"Export {operation.name.operation} had ended before this command could say so. This is its report: run the"
                    " command again for a new export."
                )
                return operation
            else:
                service.resume(operation)
                self._console.print(f"Resuming export {operation.name.operation}, which was interrupted.")
            return self._watch(operation, folder)

    def _begin(self) -> Operation:
        name = new_name(self._request)
        self._ignored.remember_for(name)
        try:
            return self._house.service.create_export(self._request, name=name, awaits_report=self._reports)
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
                    self._console.print(f"Export {operation.name.operation}, cancelled earlier, has now ended.")
            elif is_same:
                same = operation
            elif not operation.is_done:
                self._console.print(
                    f"Export {operation.name.operation} to {operation.request.table.table} is unfinished: the command"
                    " that began it resumes it."
                )
        return same

    def _unfinished_or_unreported(self) -> Iterator[Operation]:
        for _, operation in self._house.service.list_operations(self._request.store.parent):
            if not operation.is_done or (operation.awaits_report and operation.requested):
                yield operation

    def _ended(self, operation: Operation) -> Operation:
        """Return a cancelled operation once it has ended."""
        self._house.service.resume(operation)
        self._house.wait()
        return self._house.service.get_operation(operation.name)

    def _is_of_this_command(self, operation: Operation) -> bool:
        is_same = operation.request == self._request
        return is_same and self._has_same_filter(operation) and self._ignored.are_those_of(operation)

    def _has_same_filter(self, operation: Operation) -> bool:
        uri = self._request.filter_uri
        generation = filter_generation(uri, self._house.service.buckets) if uri else None
        return operation.filter_generation == generation

    def _watch(self, operation: Operation, folder: Path) -> Operation:
        service = self._house.service
        with ExportProgress(self._console, None if self._request.filter_uri else folder) as progress:
            while not self._house.wait(_POLL_SECONDS):
                if self._interrupts and not operation.cancel_requested:
                    self._console.print(
                        "Cancelling; what was read already is still written. Ctrl-C again stops at once."
                    )
                    service.cancel_operation(operation.name)
                operation = service.get_operation(operation.name)
                progress.show(operation)
            operation = service.get_operation(operation.name)
            progress.show(operation)
        if not operation.is_done:
            raise Internal(
                f"Export {operation.name.operation} did not end although nothing is left to do; the same command resumes it"
            )
        return operation

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Take Ctrl-C as the wish to cancel; the second one ends the process as a kill would, which loses nothing."""
        previous = signal.signal(signal.SIGINT, self._interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def _interrupted(self, _signal: int, _frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            self._console.show_cursor()
            os.write(2, b"\nStopped at once; the same command brings the cancelled export to its end.\n")
            os._exit(FAILED)

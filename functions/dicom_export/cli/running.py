"""Run an export that shows its progress, and that Ctrl-C cancels."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dicom_export.cli.interruption import stop_at_once
from dicom_export.cli.progress import ExportProgress
from dicom_export.cli.verbosity import Verbosity
from dicom_export.folder_export import run
from dicom_export.settings import LocalBucket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from rich.console import Console

    from dicom_export.bootstrap.local import LocalDeployment
    from dicom_export.folder_export.ignored import Ignored
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import Request
    from dicom_export.settings import Place


def _ignore(_sentence: str) -> None:
    """Tell nothing."""


class Run:
    """A request and its deployment, which `folder_export.run.Run` runs."""

    def __init__(
        self,
        deployment: LocalDeployment,
        request: Request,
        ignored: Ignored,
        console: Console,
        *,
        reports: bool = False,
        verbosity: Verbosity = Verbosity.NORMAL,
    ) -> None:
        tell = _ignore if verbosity.is_quiet else console.print
        self._run = run.Run(deployment, request, ignored, tell, reports=reports)
        self._decoded = deployment.decoded
        self._is_quiet = verbosity.is_quiet
        self._exports_a_part = request.filter_uri is not None or request.since is not None
        self._console = console
        self._interrupts = 0

    def to_its_end(self, place: Place) -> Operation:
        """Run the operation and return it after its end. Raises the error that stopped the workers, such as a full disk."""
        with self._interruptible():
            operation = self._run.begin()
            return operation if operation.is_done else self._watch(operation, place)

    def _watch(self, operation: Operation, place: Place) -> Operation:
        # A bucket is listed once: each page of a listing is paid for.
        is_whole = not (self._exports_a_part or operation.compares_objects)
        counted = place if is_whole and not isinstance(place, LocalBucket) else None
        with ExportProgress(self._console, counted, self._decoded, is_shown=not self._is_quiet) as progress:
            for current in self._run.states(operation):
                operation = current
                if self._interrupts and not (operation.cancel_requested or operation.is_done):
                    self._console.print(
                        "Cancelling: batches that are being written are completed. Press Ctrl-C again to stop at once."
                    )
                    self._run.cancel(operation)
                progress.show(operation)
        return operation

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Have Ctrl-C cancel the export. A second Ctrl-C ends the process as a kill does, which loses nothing."""
        previous = signal.signal(signal.SIGINT, self._interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def _interrupted(self, _signal: int, _frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            self._console.show_cursor()
            stop_at_once("Stopped at once; the same command brings the cancelled export to its end.")

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
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.console import Console

    from dicom_export.bootstrap.local import LocalDeployment
    from dicom_export.folder_export.ignored import Ignored
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import Request
    from dicom_export.ports import ExportSteps
    from dicom_export.settings import Place


def folder_run(
    deployment: LocalDeployment,
    request: Request,
    ignored: Ignored,
    console: Console,
    place: Place,
    *,
    reports: bool = False,
    verbosity: Verbosity = Verbosity.NORMAL,
) -> Run:
    """Return the run of a request about a folder or bucket in a deployment on this machine."""
    exports_a_part = request.filter_uri is not None or request.since is not None

    def progress(operation: Operation) -> ExportProgress:
        # A bucket is listed once: each page of a listing is paid for.
        is_whole = not (exports_a_part or operation.compares_objects)
        counted = place if is_whole and not isinstance(place, LocalBucket) else None
        return ExportProgress(console, counted, deployment.decoded, is_shown=not verbosity.is_quiet)

    steps = run.Run(deployment, request, ignored, teller(console, verbosity), reports=reports)
    return Run(
        steps,
        progress,
        console,
        "Cancelling: batches that are being written are completed. Press Ctrl-C again to stop at once.",
        lambda: "Stopped at once; the same command brings the cancelled export to its end.",
    )


def teller(console: Console, verbosity: Verbosity) -> Callable[[str], None]:
    """Return a function that prints a sentence, unless the command is quiet."""
    return _ignore if verbosity.is_quiet else console.print


def _ignore(_sentence: str) -> None:
    """Tell nothing."""


class Run:
    """An export that shows its progress, and that Ctrl-C cancels.

    `cancelling` is printed at the first Ctrl-C, and what `stopped` returns at the second.
    """

    def __init__(
        self,
        steps: ExportSteps,
        progress: Callable[[Operation], ExportProgress],
        console: Console,
        cancelling: str,
        stopped: Callable[[], str],
    ) -> None:
        self._steps = steps
        self._progress = progress
        self._console = console
        self._cancelling = cancelling
        self._stopped = stopped
        self._interrupts = 0
        self._is_told = False

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._interrupts > 0

    def to_its_end(self) -> Operation:
        """Run the operation and return it after its end. Raises the error that stopped it, such as a full disk."""
        with self._interruptible():
            operation = self._steps.begin()
            return operation if operation.is_done else self._watch(operation)

    def _watch(self, operation: Operation) -> Operation:
        with self._progress(operation) as progress:
            for current in self._steps.states(operation):
                operation = current
                if self.is_interrupted and not (operation.cancel_requested or operation.is_done):
                    self._cancel(operation)
                progress.show(operation)
        return operation

    def _cancel(self, operation: Operation) -> None:
        if not self._is_told:
            self._console.print(self._cancelling)
            self._is_told = True
        self._steps.cancel(operation)

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
            stop_at_once(self._stopped())

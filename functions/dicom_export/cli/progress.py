"""Show the progress of an export: the instances that are done, all instances, the speed, and the time left."""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from rich.console import Console
    from rich.progress import Task

    from dicom_export.operations.operation import Operation


class _Rate(ProgressColumn):
    """The recent speed, in instances per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} instances/s")


class ExportProgress:
    """A progress bar on standard error, if that is a terminal.

    The plan of a large store is made while the export runs. Until it is complete, a thread counts the files of `folder`,
    if there is one, so that the time left is known early.
    """

    def __init__(self, console: Console, folder: Path | None) -> None:
        self._folder = folder
        self._files = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("Exporting", total=None)

    def __enter__(self) -> Self:
        if self._folder and not self._progress.disable:
            Thread(target=self._count_files, args=(self._folder,), daemon=True).start()
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, operation: Operation) -> None:
        """Show the progress of the operation."""
        counters = operation.counters
        if counters is None:
            return
        expected = (
            counters.found if operation.pages is not None else max(counters.found, self._files - counters.skipped)
        )
        self._progress.update(
            self._task,
            completed=counters.success + counters.failure,
            total=expected or None,
            description=_activity(operation),
        )

    def _count_files(self, folder: Path) -> None:
        files, folders = 0, [str(folder)]
        while folders:  # as os.walk does, which fails in very deep folders
            with suppress(OSError), os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        files += 1
        self._files = files


def _activity(operation: Operation) -> str:
    if not operation.cancel_requested:
        return "Exporting"
    return "Cancelled" if operation.is_done else "Cancelling"

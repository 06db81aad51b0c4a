"""Show the progress of an export: the instances that are done, failures, the time taken, the speed, and the time left."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from rich.console import Console

    from dicom_export.decoding.counted import DecodedCounts
    from dicom_export.operations.counters import Counters
    from dicom_export.operations.operation import Operation

LINE_SECONDS = 60.0
"""How often a line is printed if standard error is not a terminal."""

_SPEED_SECONDS = 30.0
_LONGEST_SECONDS = 100 * 86_400
_SHORTEST_BAR = 8
_LONGEST_BAR = 40
_GAP = 2


@dataclass(frozen=True, slots=True)
class State:
    """The progress at one moment. `total` is None while the number of instances is unknown, `speed` is per second."""

    activity: str = "Exporting"
    done: int = 0
    total: int | None = None
    failures: int = 0
    seconds: float = 0.0
    speed: float = 0.0

    @property
    def left(self) -> str:
        """The estimated time left, or nothing if it is unknown or too long to be of use."""
        if not self.total or not self.speed:
            return ""
        seconds = (self.total - self.done) / self.speed
        return f"{_time(seconds)} left" if seconds < _LONGEST_SECONDS else ""

    @property
    def counted(self) -> str:
        """The number of instances that are done, of all that are known."""
        return f"{self.done:,}/{self.total:,}" if self.total else f"{self.done:,}"


def progress_line(state: State, width: int) -> str:
    """Return a line of at most `width` cells, with as much as fits. The count, failures and the time taken come first."""
    parts = {2: state.counted, 3: f"{state.failures:,} failed", 4: _time(state.seconds)}
    others = {0: state.activity, 6: state.left, 5: f"{state.speed:,.0f}/s"}
    for place, part in others.items():
        if part and _length(parts) + _GAP + len(part) <= width:
            parts[place] = part
    room = width - _length(parts) - _GAP
    if state.total and room >= _SHORTEST_BAR:
        parts[1] = _bar(state.done / state.total, min(room, _LONGEST_BAR))
    return (" " * _GAP).join(parts[place] for place in sorted(parts))[:width]


def log_line(state: State) -> str:
    """Return the progress as a sentence, for a log."""
    of = f" of {state.total:,}" if state.total else ""
    parts = [
        f"{state.activity}: {state.done:,}{of} instances",
        f"{state.failures:,} failed",
        f"{_time(state.seconds)} elapsed",
        f"{state.speed:,.0f} instances/s",
        state.left,
    ]
    return ", ".join(filter(None, parts))


class ExportProgress:
    """One line that changes, if standard error is a terminal that can do so; elsewhere one line per minute.

    The plan of a large store is made while the export runs. Until it is complete, a thread counts the files of `folder`,
    if there is one, so that the time left is known early. `decoded` moves with each batch, the operation with each message.
    """

    def __init__(
        self,
        console: Console,
        folder: Path | None,
        decoded: DecodedCounts,
        *,
        is_shown: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._folder = folder
        self._files = 0
        self._decoded = decoded
        self._clock = clock
        self._is_shown = is_shown
        self._begun = self._printed = clock()
        self._state = State()
        self._before: Counters | None = None
        self._samples: deque[tuple[float, int]] = deque()
        moves = is_shown and console.file.isatty() and console.is_terminal and not console.is_dumb_terminal
        self._live = Live(get_renderable=self._render, console=console, transient=True) if moves else None

    def __enter__(self) -> Self:
        if self._folder and self._is_shown:
            Thread(target=self._count_files, args=(self._folder,), daemon=True).start()
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, operation: Operation) -> None:
        """Show the progress of the operation."""
        if operation.counters is None:
            return
        now = self._clock()
        self._state = self._at(now, operation, operation.counters)
        if self._live is None and self._is_shown and now - self._printed >= LINE_SECONDS:
            self._printed = now
            self._console.print(log_line(self._state))

    def _at(self, now: float, operation: Operation, counters: Counters) -> State:
        if self._before is None:
            self._before = counters
        before, decoded = self._before, self._decoded
        skipped = max(counters.skipped, before.skipped + decoded.skipped)
        failures = max(counters.failure, before.failure + decoded.failures)
        done = max(
            counters.success + counters.failure,
            before.success + before.failure + decoded.instances + decoded.failures,
        )
        planned = counters.planned if operation.pages is not None else max(counters.planned, self._files)
        total = max(planned - skipped, counters.found if operation.is_done else 0)
        if operation.is_done:
            done, failures = counters.success + counters.failure, counters.failure
        return State(
            _activity(operation),
            min(done, total) if total else done,
            total or None,
            failures,
            now - self._begun,
            self._speed(now, done),
        )

    def _speed(self, now: float, done: int) -> float:
        self._samples.append((now, done))
        while now - self._samples[0][0] > _SPEED_SECONDS:
            self._samples.popleft()
        then, so_far = self._samples[0]
        return max(done - so_far, 0) / (now - then) if now > then else 0.0

    def _render(self) -> Text:
        state = replace(self._state, seconds=self._clock() - self._begun)
        return Text(progress_line(state, self._console.width - 1), no_wrap=True, overflow="crop")

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


def _length(parts: dict[int, str]) -> int:
    return sum(map(len, parts.values())) + _GAP * (len(parts) - 1)


def _bar(share: float, cells: int) -> str:
    full = int(share * cells)
    return "━" * full + "─" * (cells - full)


def _time(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds)))


def _activity(operation: Operation) -> str:
    if not operation.cancel_requested:
        return "Exporting"
    return "Cancelled" if operation.is_done else "Cancelling"

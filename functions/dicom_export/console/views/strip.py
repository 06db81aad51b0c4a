"""The film strip of an operation: one frame per page of its plan, or per task of a small plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.operations.counters import Counters
from dicom_export.state.progress import FEW_TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.state.progress import PageProgress

_HEIGHT = 8.0
_GAP = 0.0018
_WIDEST_GAP = 0.12
_MOST_FRAMES = FEW_TASKS


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: its position, the part that is filled, and how. `has_failures` puts a notch below it."""

    x: str
    y: str
    height: str
    kind: str
    has_failures: bool


@dataclass(frozen=True, slots=True)
class Strip:
    """All frames. `width` is the number of frames; a frame stands for up to `objects` objects."""

    frames: tuple[Frame, ...]
    objects: int

    @property
    def width(self) -> int:
        """The number of frames."""
        return len(self.frames)

    @property
    def frame_width(self) -> str:
        """The width of a frame."""
        return f"{1 - 2 * _gap(self.width):.3f}"

    @property
    def kinds(self) -> set[str]:
        """The kinds of frames that there are, for the legend."""
        return {frame.kind for frame in self.frames} | {"notch" for frame in self.frames if frame.has_failures}


@dataclass(frozen=True, slots=True)
class _Part:
    """Planned objects and the outcomes so far."""

    planned: int
    done: Counters

    @property
    def share(self) -> float:
        """The part that has an outcome, from 0 to 1."""
        finished = self.done.success + self.done.failure + self.done.skipped + self.done.cancelled
        return min(finished / self.planned, 1.0) if self.planned else 1.0


def film_strip(pages: Sequence[PageProgress]) -> Strip:
    """Return the frames of the planned pages, in the order of the plan, which is that of the names of objects."""
    parts = list(_tasks(pages) if sum(page.tasks for page in pages) <= _MOST_FRAMES else _pages(pages))
    size = -(-len(parts) // _MOST_FRAMES) or 1
    groups = [parts[start : start + size] for start in range(0, len(parts), size)]
    merged = [
        _Part(sum(part.planned for part in group), Counters.total(part.done for part in group)) for group in groups
    ]
    frames = tuple(_frame(position + _gap(len(merged)), part) for position, part in enumerate(merged))
    return Strip(frames, max((part.planned for part in merged), default=0))


def _pages(pages: Sequence[PageProgress]) -> Iterator[_Part]:
    return (_Part(page.planned, page.done) for page in pages if page.tasks)


def _tasks(pages: Sequence[PageProgress]) -> Iterator[_Part]:
    """Yield a part per task. The state does not list the sizes of tasks without a result: the rest is shared evenly."""
    for page in pages:
        finished = {task: _objects(done) for task, done in page.results.items()}
        waiting = page.tasks - len(finished)
        rest = max(page.planned - sum(finished.values()), 0) // waiting if waiting else 0
        for task in range(page.tasks):
            done = page.results.get(task)
            yield _Part(finished[task], done) if done else _Part(max(rest, 1), Counters())


def _objects(done: Counters) -> int:
    return done.success + done.failure + done.skipped + done.cancelled


def _gap(frames: int) -> float:
    """Return the gap on each side of a frame: about the same on the screen for any number of frames."""
    return min(_GAP * frames, _WIDEST_GAP)


def _frame(x: float, part: _Part) -> Frame:
    height = _HEIGHT * part.share
    is_stopped = part.done.cancelled > 0
    kind = "stopped" if is_stopped else "done" if part.share >= 1 else "working" if height else "waiting"
    return Frame(f"{x:.3f}", f"{_HEIGHT - height:.2f}", f"{height:.2f}", kind, has_failures=part.done.failure > 0)

"""How a store's listing becomes tasks: whole studies, bundled if small, split if large.

The tasks are cut into pages. The code is pure: it takes the listing as an iterator, in order, and
holds only one page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import translate
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING

from dicom_export.decoding.budget import DEFAULT_COLUMN_LIMITS, DEFAULT_LIMITS, ColumnLimits, Limits
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dicom_export.stored_object import StoredObject

Task = tuple["StoredObject", ...]


MAX_PAGE_TASKS = 100
MAX_SPLIT = 5_000
"""A message names its instances: with more of them it exceeds the limit of Pub/Sub."""
MAX_PAGE_OBJECTS = 20_000
MESSAGES_PER_SLOT = 2
"""How many messages of an operation may be outstanding for each message that the workers handle at once.

Busy workers refuse further messages, and each refusal is an attempt and a wait of up to ten minutes.
So more outstanding messages make an export slower, not faster: see tests/support/push_model.py.
"""


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """The size of messages and pages.

    `page_tasks` counts messages, `page_paths` searches, and the others instances. `bundle` and
    `split` keep a message to minutes of work and CreateWriteStream under its quota. `page_tasks`
    lets one list call sum a page. `page_objects` bounds the planner's memory, and `page_paths` its
    time: a search is a folder that a filter names, whether or not it has objects, or a hundred
    names that were passed over. `outstanding` counts the
    messages of the pages of one operation that are not summed. `objects` and `columns` are the limits of an object and of a table.
    """

    bundle: int = 1_000
    split: int = MAX_SPLIT
    page_tasks: int = MAX_PAGE_TASKS
    page_objects: int = MAX_PAGE_OBJECTS
    page_paths: int = 2_000
    sample: int = 200
    outstanding: int = 10 * MESSAGES_PER_SLOT
    objects: Limits = DEFAULT_LIMITS
    columns: ColumnLimits = DEFAULT_COLUMN_LIMITS

    @property
    def tasks_of_page(self) -> int:
        """The most messages of a page. Two pages fit, so that the workers need not wait for the planner."""
        return min(self.page_tasks, max(1, self.outstanding // 2))

    def has_room(self, outstanding: int) -> bool:
        """Say whether another page may be planned while so many messages are outstanding."""
        return outstanding + self.tasks_of_page <= self.outstanding


class Layout(StrEnum):
    """How the names of objects contain UIDs."""

    UIDS = "STUDY/SERIES/INSTANCE"
    DICOMWEB = "studies/STUDY/series/SERIES/instances/INSTANCE"
    FOLDERS = "any"

    @property
    def names_studies(self) -> bool:
        """Whether the name alone tells the study."""
        return self is not Layout.FOLDERS


# PS3.5 §9.1, with at least two components, so that a folder `2024` does not match.
_UID = r"[0-2](?:\.[0-9]+)+"
_NAMES = {
    Layout.UIDS: re.compile(rf"({_UID})/({_UID})/[^/]+"),
    Layout.DICOMWEB: re.compile(rf"studies/({_UID})/series/({_UID})/instances/[^/]+"),
}
_LAYOUT_SAMPLE = 1_000


def detect_layout(names: Iterable[str]) -> Layout:
    """Return the layout that all of the first thousand names have."""
    sample = list(islice(names, _LAYOUT_SAMPLE))
    for layout, pattern in _NAMES.items():
        if sample and all(pattern.fullmatch(name) for name in sample):
            return layout
    return Layout.FOLDERS


def prefix_of(layout: Layout, path: Sequence[str]) -> str:
    """Return the common prefix of the object names of a study or series.

    `path` has one or two UIDs.
    """
    kinds = ("studies/", "series/") if layout is Layout.DICOMWEB else ("", "")
    return "".join(f"{kind}{uid}/" for kind, uid in zip(kinds, path, strict=False))


def named_instance(name: str) -> str | None:
    """Return the SOP Instance UID at the start of the file name, or None.

    An extension or a suffix may follow. `1.2.3.dcm` and `1.2.3-copy.dcm` are 1.2.3; `1.2.34.dcm`
    and `1.2.3.4` are not.
    """
    match = _LEADING_UID.match(name.rpartition("/")[2])
    return match[0] if match else None


_LEADING_UID = re.compile(_UID)


def named_uids(name: str) -> InstanceUids | None:
    """Return the UIDs in the object's name, or None if its layout has none.

    The instance may have other UIDs.
    """
    instance = named_instance(name)
    match = next((found for found in (pattern.fullmatch(name) for pattern in _NAMES.values()) if found), None)
    return InstanceUids(match[1], match[2], instance) if match and instance else None


def is_planned(stored: StoredObject, ignore: Sequence[str]) -> bool:
    """Say whether the object may be an instance.

    It must not be a folder marker, or have a name that the store ignores.
    """
    is_folder_marker = stored.size == 0 and stored.name.endswith("/")
    return not is_folder_marker and not is_ignored(stored.name, ignore)


def is_ignored(name: str, patterns: Sequence[str]) -> bool:
    """Say whether a pattern (`fnmatch`) matches the name, or a folder that the object is in."""
    return bool(patterns) and bool(_matcher(_with_contents(tuple(patterns))).match(name))


def is_ignored_folder(folder: str, patterns: Sequence[str]) -> bool:
    """Say whether everything in the folder is ignored, whatever its name is.

    The name of the folder ends in `/`.
    """
    endless = tuple(pattern for pattern in _with_contents(tuple(patterns)) if pattern.endswith("*"))
    return bool(endless) and bool(_matcher(endless).match(folder))


@lru_cache(maxsize=64)
def _with_contents(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns, and for each a pattern for the contents of matching folders."""
    return tuple(each for pattern in patterns for each in (pattern, f"{pattern.rstrip('/')}/*"))


@lru_cache(maxsize=64)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


def unit_of(name: str, layout: Layout) -> str:
    """Return the unit that is kept together: the study, or the folder if names do not tell it."""
    pattern = _NAMES.get(layout)
    match = pattern.fullmatch(name) if pattern else None
    return match[1] if match else name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Cursor:
    """The start of a page of the plan: a position in the filter's sorted paths, and a name.

    Objects after the name belong to the page.
    """

    layout: Layout
    path: int = 0
    start_after: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One step through the store: an object, and where to continue after it.

    The object is None for a search that found nothing more. `study` is the study if it is known
    from a source other than the name.
    """

    stored: StoredObject | None
    cursor: Cursor
    study: str = ""


def cut_page(listing: Iterable[Listed], layout: Layout, limits: PlanLimits) -> tuple[list[Task], Cursor | None]:
    """Return the tasks of a page, and where the next one begins, or None after the last.

    A page ends at the first boundary after one of its limits is reached. A boundary is between two
    studies. It is between two tasks if the names do not tell the study, or if no message is left
    for the rest of a study. It is within a study that alone takes more searches than a page has. So
    a page may have no tasks, and an empty page may follow the last tasks.
    """
    page = _Page(limits)
    for _, unit in groupby(_with_units(listing, layout), key=itemgetter(0)):
        if page.is_full():
            return page.finished(), page.cursor
        begun = page.searches
        steps = (step for _, step in unit)
        for chunk in _chunks(steps, limits.split if layout.names_studies else limits.bundle, limits.page_paths):
            if page.has_no_message_left() or (page.is_full() and not layout.names_studies):
                return page.finished(), page.cursor
            page.add(chunk)
            if page.searches - begun >= limits.page_paths:
                return page.finished(), page.cursor
    return page.finished(), None


class _Page:
    """A page of the plan while it is being filled."""

    def __init__(self, limits: PlanLimits) -> None:
        self.cursor: Cursor | None = None
        self.searches = 0
        self._limits = limits
        self._tasks: list[Task] = []
        self._bundle: list[StoredObject] = []
        self._objects = 0

    def has_no_message_left(self) -> bool:
        return len(self._tasks) + bool(self._bundle) >= self._limits.page_tasks

    def is_full(self) -> bool:
        return (
            self.has_no_message_left()
            or self._objects >= self._limits.page_objects
            or self.searches >= self._limits.page_paths
        )

    def add(self, chunk: list[Listed]) -> None:
        found = [step.stored for step in chunk if step.stored]
        if len(self._bundle) + len(found) > self._limits.bundle:
            self._flush()
        self._bundle += found
        if len(self._bundle) >= self._limits.bundle:
            self._flush()
        self._objects += len(found)
        self.searches += len(chunk) - len(found)
        self.cursor = chunk[-1].cursor

    def finished(self) -> list[Task]:
        self._flush()
        return self._tasks

    def _flush(self) -> None:
        if self._bundle:
            self._tasks.append(tuple(self._bundle))
            self._bundle = []


def bundled(tasks: Iterable[Task], size: int) -> list[Task]:
    """Return the tasks without empty ones, neighbours joined as long as they have at most `size` objects together."""
    joined: list[Task] = []
    waiting: list[StoredObject] = []
    for task in tasks:
        if waiting and len(waiting) + len(task) > size:
            joined.append(tuple(waiting))
            waiting = []
        waiting += task
    return [*joined, tuple(waiting)] if waiting else joined


def _with_units(listing: Iterable[Listed], layout: Layout) -> Iterator[tuple[str, Listed]]:
    """Yield each step with its unit.

    Names that were passed over belong to the object before them.
    """
    unit = ""
    for step in listing:
        if step.study:
            unit = step.study
        elif step.stored:
            unit = unit_of(step.stored.name, layout)
        yield unit, step


def _chunks(steps: Iterable[Listed], size: int, searches: int) -> Iterator[list[Listed]]:
    """Yield the steps in chunks.

    A chunk ends with the step that completes `size` objects, or with the last of `searches`
    searches.
    """
    chunk: list[Listed] = []
    objects = searched = 0
    for step in steps:
        chunk.append(step)
        objects += step.stored is not None
        searched += step.stored is None
        if objects == size or searched == searches:
            yield chunk
            chunk, objects = [], 0
    if chunk:
        yield chunk


def sample(tasks: Sequence[Task], size: int) -> list[StoredObject]:
    """Return at most `size` objects, spread over the folders and within each.

    The columns of the table are guessed from them.
    """
    folders: dict[str, list[StoredObject]] = {}
    for task in tasks:
        for stored in task:
            folders.setdefault(stored.name.rpartition("/")[0], []).append(stored)
    chosen = [stored for objects in folders.values() for stored in _spread(objects, 1 + len(objects) // 10)]
    return _spread(chosen, size)


def _spread(objects: list[StoredObject], count: int) -> list[StoredObject]:
    if len(objects) <= count:
        return objects
    return [objects[index * len(objects) // count] for index in range(count)]

"""How a store's listing becomes tasks: whole studies, bundled when small, split when large, cut into pages.

Pure: what is listed comes in as an iterator, in order, and nothing but the page is held.
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
"""A message names its instances: more, and it is longer than Pub/Sub takes."""
MAX_PAGE_OBJECTS = 20_000


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """How large messages and pages get, in instances, but `page_tasks` in messages and `page_paths` in searches.

    `bundle` and `split` keep a message to minutes of work and CreateWriteStream under its quota; `page_tasks` lets one
    list call sum a page; `page_objects` bounds the planner's memory, and `page_paths` its time: a search is a folder that a
    filter names, whatever was found in it, or a hundred names that were passed over. `objects` and `columns` are the limits of what an
    object and a table may take.
    """

    bundle: int = 1_000
    split: int = MAX_SPLIT
    page_tasks: int = MAX_PAGE_TASKS
    page_objects: int = MAX_PAGE_OBJECTS
    page_paths: int = 2_000
    sample: int = 200
    objects: Limits = DEFAULT_LIMITS
    columns: ColumnLimits = DEFAULT_COLUMN_LIMITS


class Layout(StrEnum):
    """What an object's name says of its instance."""

    UIDS = "STUDY/SERIES/INSTANCE"
    DICOMWEB = "studies/STUDY/series/SERIES/instances/INSTANCE"
    FOLDERS = "any"

    @property
    def names_studies(self) -> bool:
        """Whether a study is known from the name alone."""
        return self is not Layout.FOLDERS


# PS3.5 §9.1, with at least two components, so that a folder `2024` is none.
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
    """Return what the names of a study's, or a series', objects begin with. `path` has one or two UIDs."""
    kinds = ("studies/", "series/") if layout is Layout.DICOMWEB else ("", "")
    return "".join(f"{kind}{uid}/" for kind, uid in zip(kinds, path, strict=False))


def named_instance(name: str) -> str | None:
    """Return the SOP Instance UID that the object's name is, with or without an extension or a suffix, or None.

    `1.2.3.dcm` and `1.2.3-copy.dcm` are 1.2.3; `1.2.34.dcm` and `1.2.3.4` are not.
    """
    match = _LEADING_UID.match(name.rpartition("/")[2])
    return match[0] if match else None


_LEADING_UID = re.compile(_UID)


def named_uids(name: str) -> InstanceUids | None:
    """Return the UIDs that the object's name is made of in the layouts that have them, or None; the instance may have others."""
    instance = named_instance(name)
    match = next((found for found in (pattern.fullmatch(name) for pattern in _NAMES.values()) if found), None)
    return InstanceUids(match[1], match[2], instance) if match and instance else None


def is_planned(stored: StoredObject, ignore: Sequence[str]) -> bool:
    """Return whether the object may be an instance: no folder marker, and no name that the store ignores."""
    is_folder_marker = stored.size == 0 and stored.name.endswith("/")
    return not is_folder_marker and not is_ignored(stored.name, ignore)


def is_ignored(name: str, patterns: Sequence[str]) -> bool:
    """Return whether one of the patterns (`fnmatch`) says that the object of this name, or a folder that it is in, is ignored."""
    return bool(patterns) and bool(_matcher(_with_contents(tuple(patterns))).match(name))


def is_ignored_folder(folder: str, patterns: Sequence[str]) -> bool:
    """Return whether everything in the folder is ignored, whatever it is called. The folder's name ends in `/`."""
    endless = tuple(pattern for pattern in _with_contents(tuple(patterns)) if pattern.endswith("*"))
    return bool(endless) and bool(_matcher(endless).match(folder))


@lru_cache(maxsize=64)
def _with_contents(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns, and for each the one of what is in a folder that it matches."""
    return tuple(each for pattern in patterns for each in (pattern, f"{pattern.rstrip('/')}/*"))


@lru_cache(maxsize=64)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


def unit_of(name: str, layout: Layout) -> str:
    """Return what is kept together: the study, or the folder in a store whose names do not tell the study."""
    pattern = _NAMES.get(layout)
    match = pattern.fullmatch(name) if pattern else None
    return match[1] if match else name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Cursor:
    """The start of a page of the plan: in the filter's sorted paths, and after a name."""

    layout: Layout
    path: int = 0
    start_after: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One step through the store: an object, or None for a search that found nothing more, and where to continue after it.

    `study` is the study if it is known from elsewhere than the object's name.
    """

    stored: StoredObject | None
    cursor: Cursor
    study: str = ""


def cut_page(listing: Iterable[Listed], layout: Layout, limits: PlanLimits) -> tuple[list[Task], Cursor | None]:
    """Return the tasks of a page, and where the next one begins or None after the last.

    A page ends at the first boundary after one of its limits: between two studies; or, where the names do not tell the
    study or no message is left for the rest of one, between two tasks; or within a study that alone takes more searches
    than a page has. So it may have no tasks, and may be the last but for an empty one.
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


def _with_units(listing: Iterable[Listed], layout: Layout) -> Iterator[tuple[str, Listed]]:
    """Yield each step with its unit: names that were passed over belong to what was found before them."""
    unit = ""
    for step in listing:
        if step.study:
            unit = step.study
        elif step.stored:
            unit = unit_of(step.stored.name, layout)
        yield unit, step


def _chunks(steps: Iterable[Listed], size: int, searches: int) -> Iterator[list[Listed]]:
    """Yield the steps up to each that completes `size` objects, or that is the last of so many searches."""
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
    """Return at most `size` objects, spread over the folders and within each: what the table's columns are guessed from."""
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

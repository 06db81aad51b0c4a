"""List the objects of an export after a cursor: the whole store, or the objects that its filter names."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING

from dicom_export.operations import filters
from dicom_export.operations.planning import (
    Cursor,
    Layout,
    Listed,
    detect_layout,
    is_planned,
    named_instance,
    prefix_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from dicom_export.operations.filters import FilterPath
    from dicom_export.operations.operation import Operation
    from dicom_export.state.filters import FilterIndex
    from dicom_export.state.journal import Journal
    from dicom_export.stored_object import StoredObject, Unlisted
    from dicom_export.stores import DeclaredStore

log = logging.getLogger(__name__)

_LAYOUT_NAMES = 50_000
_PASSED_OVER = 100


def first_cursor(store: DeclaredStore, index: FilterIndex | None = None) -> Cursor:
    """Return the cursor of a plan's start, with the layout of the names among the store's first 50,000 that are not ignored.

    With a filter that names a malformed UID, every header is read: only the digest of such a UID is stored, and no
    name can be found by a digest.
    """
    if index and index.has_malformed:
        return Cursor(Layout.FOLDERS)
    names = islice(store.objects.list(), _LAYOUT_NAMES)
    return Cursor(detect_layout(each.name for each in names if is_planned(each, store.ignore)))


def listing(
    store: DeclaredStore,
    cursor: Cursor,
    operation: Operation,
    index: FilterIndex | None,
    journal: Journal,
    unlisted: Callable[[Unlisted], None],
    *,
    warns: bool = True,
) -> Iterator[Listed]:
    """Yield the store's objects after the cursor. If names have UIDs in them, only those that the filter names.

    A step without an object follows each folder of the filter, and each hundred objects that the filter does not name.
    `unlisted` is called for each entry that cannot be listed. With `warns`, paths of the
    filter that match nothing are logged.
    """
    if index is None or cursor.layout is Layout.FOLDERS:
        found = store.objects.list(start_after=cursor.start_after, unlisted=unlisted)
        since = operation.request.since
        yield from _steps(found, lambda stored: is_planned(stored, store.ignore) and is_after(stored, since), cursor)
        return
    begun = cursor
    for folder, paths in groupby(_paths(operation, index, journal, cursor.path), key=lambda path: path[:2]):
        named = list(paths)
        yield from _folder(store, folder, named, begun, operation if warns else None, unlisted, operation.request.since)
        begun = Cursor(cursor.layout, begun.path + len(named))
        yield Listed(None, begun, folder[0])


def is_after(stored: StoredObject, since: datetime | None) -> bool:
    """Say whether the generation was written after the time; with None, each was."""
    return since is None or stored.updated > since


def _steps(
    found: Iterable[StoredObject], is_wanted: Callable[[StoredObject], bool], begun: Cursor, study: str = ""
) -> Iterator[Listed]:
    """Yield the wanted objects, and a step without an object after each hundred others."""
    passed_over = 0
    for stored in found:
        if is_wanted(stored):
            yield Listed(stored, replace(begun, start_after=stored.name), study)
            continue
        passed_over += 1
        if passed_over % _PASSED_OVER == 0:
            yield Listed(None, replace(begun, start_after=stored.name), study)


def _paths(operation: Operation, index: FilterIndex, journal: Journal, start: int) -> Iterator[FilterPath]:
    for chunk in range(start // index.chunk_size, len(index.firsts)):
        skipped = start - chunk * index.chunk_size
        yield from journal.filters.chunk(operation.name, chunk)[max(skipped, 0) :]


def _folder(
    store: DeclaredStore,
    folder: FilterPath,
    named: list[FilterPath],
    begun: Cursor,
    warned: Operation | None,
    unlisted: Callable[[Unlisted], None],
    since: datetime | None,
) -> Iterator[Listed]:
    """Yield the objects that paths name in one study or series, with one listing for all of these paths."""
    matched: set[FilterPath] = set()
    path_of = _paths_by_name(named)

    def is_wanted(stored: StoredObject) -> bool:
        path = path_of(stored.name)
        if path is None or not is_planned(stored, store.ignore):
            return False
        matched.add(path)
        return is_after(stored, since)

    prefix = prefix_of(begun.layout, folder)
    found = store.objects.list(prefix=prefix, start_after=begun.start_after, unlisted=unlisted)
    yield from _steps(found, is_wanted, begun, folder[0])
    if warned and not begun.start_after:
        warn_unmatched(warned, [path for path in named if path not in matched])


def _paths_by_name(named: list[FilterPath]) -> Callable[[str], FilterPath | None]:
    """Return a function that finds the path that names an object of a folder: that of the folder, or of its instance."""
    widest = named[0]
    if len(widest) < 3:  # noqa: PLR2004 - study, series, instance
        return lambda _: widest
    by_instance = {path[2]: path for path in named}
    return lambda name: by_instance.get(named_instance(name) or "")


def warn_unmatched(operation: Operation, paths: Sequence[FilterPath]) -> None:
    """Log the filter's paths that match nothing in the store."""
    for path in paths:
        log.warning(
            "The filter's path %s matched nothing",
            filters.display(path),
            extra={"operation": str(operation.name)},
        )

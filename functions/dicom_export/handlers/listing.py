"""The objects that an export is about, from a cursor on: the whole store, or what its filter names."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from dicom_export import filters
from dicom_export.errors import FailedPrecondition, NotFound
from dicom_export.planning import Cursor, Layout, Listed, detect_layout, is_planned, named_instance, prefix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_export.filters import FilterPath
    from dicom_export.journal import FilterIndex, Journal
    from dicom_export.operations import Operation
    from dicom_export.ports import DicomStore
    from dicom_export.stores import DeclaredStore

log = logging.getLogger(__name__)

_READ_BYTES = 1 << 20


def first_cursor(store: DeclaredStore) -> Cursor:
    """Return where a plan begins, with the layout that the store's first names have."""
    return Cursor(detect_layout(each.name for each in store.objects.list() if is_planned(each, store.ignore)))


def store_filter(operation: Operation, buckets: Callable[[str], DicomStore | None], journal: Journal) -> FilterIndex:
    """Read the operation's filter file into its state, once, and return its index.

    Raises InvalidArgument for a malformed line, FailedPrecondition if the file was replaced since the request, NotFound
    if it was deleted.
    """
    index = journal.filter_index(operation.name)
    if index is None:
        paths = filters.parse(filters.lines(_read_filter(operation, buckets)))
        index = journal.create_filter(operation.name, paths)
    return index


def _read_filter(operation: Operation, buckets: Callable[[str], DicomStore | None]) -> Iterator[bytes]:
    uri = operation.request.filter_uri
    bucket = buckets(uri.bucket) if uri else None
    stored = bucket.get(uri.object) if bucket and uri else None
    if bucket is None or stored is None:
        raise NotFound(f"The filter {uri} was there when the export was requested and is no more")
    if stored.generation != operation.filter_generation:
        raise FailedPrecondition(f"The filter {uri} was replaced after the export had been requested; request it again")
    for start in range(0, stored.size, _READ_BYTES):
        yield bucket.read(stored, start, _READ_BYTES)


def listing(
    store: DeclaredStore, cursor: Cursor, operation: Operation, index: FilterIndex | None, journal: Journal
) -> Iterator[Listed]:
    """Yield the store's objects behind the cursor, those that the filter names if their names tell."""
    if index is None or cursor.layout is Layout.FOLDERS:
        for stored in store.objects.list(start_after=cursor.start_after):
            if is_planned(stored, store.ignore):
                yield Listed(stored, Cursor(cursor.layout, start_after=stored.name))
        return
    begun = cursor
    for _, study in groupby(_paths(operation, index, journal, cursor.path), key=lambda path: path[0]):
        for folder, paths in groupby(study, key=lambda path: path[:2]):
            named = list(paths)
            yield from _folder(store, folder, named, begun, operation)
            begun = Cursor(cursor.layout, begun.path + len(named))
        yield Listed(None, begun)


def _paths(operation: Operation, index: FilterIndex, journal: Journal, start: int) -> Iterator[FilterPath]:
    for chunk in range(start // index.chunk_size, len(index.firsts)):
        skipped = start - chunk * index.chunk_size
        yield from journal.filter_chunk(operation.name, chunk)[max(skipped, 0) :]


def _folder(
    store: DeclaredStore, folder: FilterPath, named: list[FilterPath], begun: Cursor, operation: Operation
) -> Iterator[Listed]:
    """Yield what paths name in one study or series: one listing, however many of its instances they name."""
    matched: set[FilterPath] = set()
    path_of = _paths_by_name(named)
    for stored in store.objects.list(prefix=prefix_of(begun.layout, folder), start_after=begun.start_after):
        path = path_of(stored.name)
        if path and is_planned(stored, store.ignore):
            matched.add(path)
            yield Listed(stored, replace(begun, start_after=stored.name))
    if not begun.start_after:
        warn_unmatched(operation, [path for path in named if path not in matched])


def _paths_by_name(named: list[FilterPath]) -> Callable[[str], FilterPath | None]:
    """Return what tells which of a folder's paths names an object: the folder itself, or its instance."""
    widest = named[0]
    if len(widest) < 3:  # noqa: PLR2004 - study, series, instance
        return lambda _: widest
    by_instance = {path[2]: path for path in named}
    return lambda name: by_instance.get(named_instance(name) or "")


def warn_unmatched(operation: Operation, paths: Sequence[FilterPath]) -> None:
    """Log the filter's paths that nothing in the store matched."""
    for path in paths:
        log.warning(
            "The filter's path %s matched nothing in %s",
            filters.display(path),
            operation.request.store,
            extra={"operation": str(operation.name)},
        )

"""Keep a table in sync with a folder: look at files that may have changed, and scan all of them.

Events of a file system may be missing or out of order. So a look compares the files with the last look, and a scan finds changes
without an event.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from heapq import merge
from itertools import groupby, islice
from typing import TYPE_CHECKING, TypeVar

from dicom_export.ahead import Ahead
from dicom_export.decoding.decoded import DecodedInstance
from dicom_export.errors import InstanceGone, NotFound, PermanentError, PermissionDenied
from dicom_export.operations.planning import is_ignored, is_planned
from dicom_export.stored_object import StoredObject, Unlisted
from dicom_export.watching.rows import Look, WatchedFile, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from dicom_export.decoding.decoded import Decoded
    from dicom_export.ports import Decode, Mounts, WatchedRows
    from dicom_export.rows.layout import RowLayout
    from dicom_export.stores import DeclaredStore
    from dicom_export.watching.touched import Touched

    T = TypeVar("T")

REST_SECONDS = 1.0
"""How long a file must be without events before it is looked at: until then it may still be written."""

PATIENCE_SECONDS = 60.0
"""How long to retry a file that cannot be exported, because it may not be complete yet."""

_AT_ONCE = 500


class NoMounts:
    """A folder in which nothing is ever mounted."""

    def present(self) -> set[str]:
        return set()

    def missing(self, known: Collection[str]) -> set[str]:  # noqa: ARG002 - as above
        return set()


@dataclass(frozen=True, slots=True)
class Looked:
    """The result of a look: the rows that were added, and the files that could not be exported, each with the reason.

    `unlisted` has the folders that can no longer be listed. The rows of their files are left as they are.
    """

    created: int = 0
    deleted: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    unlisted: tuple[Unlisted, ...] = ()

    def __add__(self, other: Looked) -> Looked:
        return Looked(
            self.created + other.created,
            self.deleted + other.deleted,
            (*self.failures, *other.failures),
            (*self.unlisted, *other.unlisted),
        )

    def __bool__(self) -> bool:
        return bool(self.created or self.deleted or self.failures or self.unlisted)


@dataclass(frozen=True, slots=True)
class FolderWatch:
    """Looks at the files of a store. A file that fails is looked at again, in `touched`, until it has been at rest for `patience` seconds.

    `unlisted` has the entries that could not be listed or seen so far, by name, with the reason, so that each is reported once.
    Their files are not reported as gone, because nothing is known of them. If the store is slow, `ahead` looks for several files at
    once.
    """

    store: DeclaredStore
    rows: WatchedRows
    decode: Decode
    layout: RowLayout
    touched: Touched
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    patience: float = PATIENCE_SECONDS
    unlisted: dict[str, str] = field(default_factory=dict)
    mounts: Mounts = field(default_factory=NoMounts)
    ahead: Ahead = field(default_factory=lambda: Ahead(1))

    def look_at(self, names: Iterable[str]) -> Iterator[Looked]:
        """Bring the rows of these files up to date. Existing files come first, so that a renamed file is not taken for a deleted one."""
        seen = self._seen(names)
        for batch in _batches(sorted(seen, key=lambda name: seen[name] is None)):
            yield self._look(batch)

    def scan(self) -> Iterator[Looked]:
        """Bring the rows of all files up to date. Raises NotFound if the folder does not exist."""
        found = dict.fromkeys(self._unmounted())
        known = self.rows.mounts()
        if known != (mounts := self.mounts.present() | {each.name for each in found}):
            self.rows.remember_mounts(mounts)
        for batch in _batches(self._new_or_changed(found)):
            yield self._look(batch)
        for batch in _batches(self._absent(found)):
            yield self._look(batch)
        new = tuple(each for each in found if self.unlisted.get(each.name) != each.reason)
        self.unlisted.clear()
        self.unlisted.update(found)
        if new:
            yield Looked(unlisted=new)

    def _look(self, names: Sequence[str]) -> Looked:
        known = self.rows.known(names)
        there = self._seen(names)
        changed = [stored for stored in there.values() if stored and not _is_known(stored, known)]
        gone = [known[name] for name, stored in there.items() if stored is None and name in known]
        if gone:
            next(self.store.objects.list(), None)  # raises where it is the folder that is gone
            unmounted = self._unmounted()
            gone = [file for file in gone if not _is_within(file.name, unmounted)]
        written = [replace(each, before=known.get(each.stored.name)) for each in self._written(changed)]
        replaced = [
            known[each.stored.name]
            for each in written
            if each.stored.name in known and known[each.stored.name].uids != each.uids
        ]
        result = self.rows.write(Look(tuple(written), (*gone, *replaced)))
        for name in result.again:
            self.touched.touch(name, self.clock())
        failures = tuple((each.stored.name, each.failure) for each in written if each.failure)
        return Looked(len(result.created), len(result.deleted), failures)

    def _unmounted(self) -> list[Unlisted]:
        """Return the places at which a disk was mounted and is not. Raises NotFound if the whole folder is one."""
        missing = self.mounts.missing(self.rows.mounts())
        if "" in missing:
            raise NotFound(
                "The folder is empty, and its disk is no longer mounted: mount it, or put any file into the folder"
            )
        return [Unlisted(name, "The disk of this folder is no longer mounted") for name in sorted(missing)]

    def _seen(self, names: Iterable[str]) -> dict[str, StoredObject | None]:
        """Return the object of each name, or None for one that does not exist; without names for which this is unknown."""
        seen: dict[str, StoredObject | None] = {}
        for name, found in self.ahead.over(names, self._found):
            with suppress(PermissionDenied):
                seen[name] = found() if found else self.ahead.alone(self._found, name)
        return seen

    def _found(self, name: str) -> StoredObject | None:
        stored = None if is_ignored(name, self.store.ignore) else self.store.objects.get(name)
        return stored if stored and is_planned(stored, self.store.ignore) else None

    def _written(self, changed: Sequence[StoredObject]) -> Iterator[Written]:
        for stored, decoded in zip(changed, self.decode(self.store.objects, changed, self.layout), strict=True):
            if isinstance(decoded, InstanceGone) or (
                isinstance(decoded, PermanentError) and self._may_be_unfinished(stored)
            ):
                self.touched.touch(stored.name, self.clock() + max(REST_SECONDS, self._age(stored)))
            else:
                yield _written(stored, decoded)

    def _may_be_unfinished(self, stored: StoredObject) -> bool:
        return 0 <= self._age(stored) < self.patience

    def _age(self, stored: StoredObject) -> float:
        return self.now() - stored.updated.timestamp()

    def _new_or_changed(self, unlisted: dict[Unlisted, None]) -> Iterator[str]:
        """Yield the names of new and changed files. Files that may still be written are left for later."""
        for stored, file in self._side_by_side(unlisted):
            if stored is None or (file and file.is_still(stored)):
                continue
            if self.patience and 0 <= self._age(stored) < REST_SECONDS:
                self.touched.touch(stored.name, self.clock() + REST_SECONDS)
            else:
                yield stored.name

    def _absent(self, unlisted: dict[Unlisted, None]) -> Iterator[str]:
        """Yield the names of known files that do not exist, except those in folders that cannot be listed."""
        for stored, file in self._side_by_side(unlisted):
            if file and stored is None and not _is_within(file.name, unlisted):
                yield file.name

    def _side_by_side(self, unlisted: dict[Unlisted, None]) -> Iterator[tuple[StoredObject | None, WatchedFile | None]]:
        """Yield each file as it is now, and as it is known. Add the entries that cannot be listed to `unlisted`."""
        listed = self.store.objects.list(unlisted=unlisted.setdefault)
        there = (stored for stored in listed if is_planned(stored, self.store.ignore))
        both: Iterator[StoredObject | WatchedFile] = merge(there, self.rows.files(), key=_in_order)
        for _, found in groupby(both, key=_in_order):
            pair = list(found)
            file = pair[-1] if isinstance(pair[-1], WatchedFile) else None
            yield (pair[0] if isinstance(pair[0], StoredObject) else None), file


def _is_within(name: str, unlisted: Iterable[Unlisted]) -> bool:
    return any(name.startswith(each.name) for each in unlisted if each.name.endswith("/"))


def _written(stored: StoredObject, decoded: Decoded) -> Written:
    if isinstance(decoded, DecodedInstance):
        return Written(stored, decoded.uids, decoded.row)
    if isinstance(decoded, PermanentError):
        return Written(stored, failure=decoded.message)
    return Written(stored)


def _is_known(stored: StoredObject, known: dict[str, WatchedFile]) -> bool:
    return stored.name in known and known[stored.name].is_still(stored)


def _in_order(each: StoredObject | WatchedFile) -> bytes:
    return each.name.encode("utf-8", "surrogatepass")


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield batch

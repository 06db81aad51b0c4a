"""Work out the rows that a look at some files of a watched folder adds to a table.

`LastUpdated` orders the rows of an instance. A file's modification time alone does not: a file that is renamed, or moved out of the
folder and back, keeps it. So a row that has to count gets a time after the newest row of its instance.

Several files may hold one instance. A file that has a row adds none, as long as the newest row of its instance is that of a file
in the folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dicom_export.rows.deletion import deletion_row
from dicom_export.stored_object import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from dicom_export.decoding.decoded import Row
    from dicom_export.uids import InstanceUids

_LEAST = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class WatchedFile:
    """A file as of the last look at it. Without `uids` it is not an instance; `failure` says why, if it should be one."""

    name: str
    generation: int
    size: int
    uids: InstanceUids | None = None
    failure: str = ""

    def is_still(self, stored: StoredObject) -> bool:
        """Return whether the object, of the same name, is unchanged."""
        return self.has_content_of(stored.generation, stored.size)

    def has_content_of(self, generation: int, size: int) -> bool:
        """Return whether a file of this generation and size has, as far as can be known, the same content."""
        return (self.generation, self.size) == (generation, size)


@dataclass(frozen=True, slots=True)
class Written:
    """A new or changed file, with its row if it is an instance. `before` is its record of an earlier look."""

    stored: StoredObject
    uids: InstanceUids | None = None
    row: Row | None = None
    failure: str = ""
    before: WatchedFile | None = None

    @property
    def file(self) -> WatchedFile:
        """The record of the file."""
        return WatchedFile(self.stored.name, self.stored.generation, self.stored.size, self.uids, self.failure)


@dataclass(frozen=True, slots=True)
class Look:
    """The result of looking at some files. `gone` are those that are gone, or now hold another instance."""

    written: tuple[Written, ...] = ()
    gone: tuple[WatchedFile, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of the files, each once."""
        return list(dict.fromkeys([each.stored.name for each in self.written] + [file.name for file in self.gone]))

    @property
    def instances(self) -> list[str]:
        """The SOP Instance UIDs of the files."""
        found = [each.uids for each in self.written] + [file.uids for file in self.gone]
        return list({uids.instance: None for uids in found if uids and uids.instance})


@dataclass(frozen=True, slots=True)
class LatestRow:
    """The newest row that the table has of an instance. `source` is its object and generation, if the row has them.

    `times` and `generations` are those of all rows of the instance except deletions.
    """

    updated: datetime
    is_deletion: bool = False
    source: tuple[str, int] | None = None
    times: frozenset[datetime] = frozenset()
    generations: frozenset[int] = frozenset()

    def has(self, stored: StoredObject) -> bool:
        """Return whether a row is of this version of a file, under this name or another."""
        return stored.generation in self.generations or stored.updated in self.times

    def is_of(self, stored: StoredObject) -> bool:
        """Return whether the newest row is of this version of a file."""
        if self.is_deletion:
            return False
        return self.updated == stored.updated or (self.source is not None and self.source[1] == stored.generation)


def _without_source(_stored: StoredObject) -> Row:
    return {}


def _is_there(_source: tuple[str, int]) -> bool:
    return True


@dataclass(slots=True)
class Reconciliation:
    """Collects what a look adds to a table. `latest` has the newest row of each instance of the look, by SOP Instance UID.

    `present` has the files in the folder that hold each instance, and `lost` the instances of which a known version is gone.
    `is_there` returns whether the folder still has the version of a file that a row is of.
    """

    latest: dict[str, LatestRow]
    source_of: Callable[[StoredObject], Row] = _without_source
    is_there: Callable[[tuple[str, int]], bool] = _is_there
    present: Mapping[str, Sequence[WatchedFile]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    created: list[Row] = field(default_factory=list)
    deleted: list[Row] = field(default_factory=list)

    def write(self, written: Written, *, is_recorded: bool) -> None:
        """Add the row of an instance, unless it has one already: exported before, or under another name.

        `is_recorded` says that an earlier look found this version, so that there is a row of it.
        """
        if written.row is None or written.uids is None:
            return
        stored, instance = written.stored, str(written.uids.instance)
        newest = self.latest.get(instance)
        if newest and not newest.is_deletion:
            has_row = is_recorded or newest.has(stored)
            if newest.is_of(stored) or (has_row and self.is_current(instance)):
                return
        updated = max(stored.updated, newest.updated + _LEAST) if newest else stored.updated
        self.created.append({**written.row, "LastUpdated": updated})
        source = self.source_of(stored)
        self.latest[instance] = LatestRow(
            updated,
            source=(source["SourceObject"], stored.generation) if "SourceObject" in source else None,
            times=(newest.times if newest else frozenset()) | {updated},
            generations=(newest.generations if newest else frozenset()) | ({stored.generation} if source else set()),
        )
        self.lost.discard(instance)

    def is_current(self, instance: str) -> bool:
        """Return whether the instance's newest row is, as far as can be known, of a file that is in the folder."""
        newest = self.latest.get(instance)
        if newest is None or newest.is_deletion:
            return False
        if newest.source and any(file.generation == newest.source[1] for file in self.present.get(instance, ())):
            return True
        return instance not in self.lost and (newest.source is None or self.is_there(newest.source))

    def remove(self, gone: WatchedFile) -> None:
        """Add the row that says that an instance is gone, if the table does not say so already."""
        newest = self.latest.get(str(gone.uids.instance)) if gone.uids else None
        if newest is None or newest.is_deletion or gone.uids is None:
            return
        deleted = StoredObject(gone.name, gone.generation, gone.size, newest.updated)
        row = deletion_row(gone.uids, deleted, self.source_of(deleted))
        self.deleted.append(row)
        self.latest[str(gone.uids.instance)] = LatestRow(row["LastUpdated"], is_deletion=True)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The rows that a look adds to the table, and the names of files that have to be read again."""

    created: tuple[Row, ...] = ()
    deleted: tuple[Row, ...] = ()
    again: tuple[str, ...] = ()


def reconcile(
    look: Look,
    latest: Mapping[str, LatestRow],
    others: Mapping[str, Sequence[WatchedFile]],
    source_of: Callable[[StoredObject], Row] = _without_source,
    is_there: Callable[[tuple[str, int]], bool] = _is_there,
) -> Reconciled:
    """Return the result of a look, given the newest row of each of its instances, and the other files that hold them.

    An instance that another file also holds is not gone. If that file has other content, its row has to be the newest.
    `source_of` returns the columns of a row that tell which file it is about.
    """
    present = {instance: [*files] for instance, files in others.items()}
    for written in look.written:
        if written.uids and written.uids.instance:
            present.setdefault(written.uids.instance, []).append(written.file)
    before = [*look.gone, *(each.before for each in look.written if each.before and each.before.uids == each.uids)]
    lost = {
        file.uids.instance
        for file in before
        if file.uids and file.uids.instance and not _has_content(present.get(file.uids.instance, ()), file)
    }
    result = Reconciliation(dict(latest), source_of, is_there, present, lost)
    for written in look.written:
        result.write(written, is_recorded=_is_recorded(written, look, others))
    held = {written.uids.instance for written in look.written if written.uids}
    again: dict[str, None] = {}
    for file in look.gone:
        instance = file.uids.instance if file.uids else None
        remaining = others.get(instance or "", ())
        if instance in held or _has_content(remaining, file):
            continue
        if not remaining:
            result.remove(file)
        elif not result.is_current(instance or ""):
            again[remaining[0].name] = None
    return Reconciled(tuple(result.created), tuple(result.deleted), tuple(again))


def _has_content(files: Iterable[WatchedFile], of: WatchedFile) -> bool:
    return any(file.has_content_of(of.generation, of.size) for file in files)


def _is_recorded(written: Written, look: Look, others: Mapping[str, Sequence[WatchedFile]]) -> bool:
    """Return whether a look found the same content of the same instance before, under any name."""
    if written.uids is None:
        return False
    known = [*look.gone, *others.get(written.uids.instance or "", ())]
    return _has_content([file for file in known if file.uids == written.uids], written.file)


def as_unread(file: WatchedFile) -> WatchedFile:
    """Return the file as one whose content is not known, so that the next look reads it."""
    return replace(file, generation=-1, size=-1)

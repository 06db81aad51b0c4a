"""Work out the rows that a look at some files of a watched folder adds to a table.

`LastUpdated` orders the rows of an instance. A file's modification time alone does not: a file that is renamed, or moved out of the
folder and back, keeps it. So a row that has to count gets a time after the newest row of its instance.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dicom_export.rows.deletion import deletion_row
from dicom_export.stored_object import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
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
    """A new or changed file, with its row if it is an instance."""

    stored: StoredObject
    uids: InstanceUids | None = None
    row: Row | None = None
    failure: str = ""

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
    """The newest row that the table has of an instance."""

    updated: datetime
    is_deletion: bool = False


def _without_source(_stored: StoredObject) -> Row:
    return {}


@dataclass(slots=True)
class Reconciliation:
    """Collects what a look adds to a table. `latest` has the newest row of each instance of the look, by SOP Instance UID."""

    latest: dict[str, LatestRow]
    source_of: Callable[[StoredObject], Row] = _without_source
    created: list[Row] = field(default_factory=list)
    deleted: list[Row] = field(default_factory=list)

    def write(self, written: Written) -> None:
        """Add the row of an instance, unless it is the table's newest already: exported before, or under another name."""
        if written.row is None or written.uids is None:
            return
        instance = str(written.uids.instance)
        newest = self.latest.get(instance)
        updated = written.stored.updated
        if newest == LatestRow(updated):
            return
        if newest:
            updated = max(updated, newest.updated + _LEAST)
        self.created.append({**written.row, "LastUpdated": updated})
        self.latest[instance] = LatestRow(updated)

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
) -> Reconciled:
    """Return the result of a look, given the newest row of each of its instances, and the other files that hold them.

    An instance that another file also holds is not gone. If that file has other content, its row has to be the newest.
    `source_of` returns the columns of a row that tell which file it is about.
    """
    result = Reconciliation(dict(latest), source_of)
    for written in look.written:
        result.write(written)
    held = {written.uids.instance for written in look.written if written.uids}
    again: dict[str, None] = {}
    for file in look.gone:
        instance = file.uids.instance if file.uids else None
        remaining = others.get(instance or "", ())
        if instance in held or any(other.has_content_of(file.generation, file.size) for other in remaining):
            continue
        if remaining:
            again[remaining[0].name] = None
        else:
            result.remove(file)
    return Reconciled(tuple(result.created), tuple(result.deleted), tuple(again))


def as_unread(file: WatchedFile) -> WatchedFile:
    """Return the file as one whose content is not known, so that the next look reads it."""
    return replace(file, generation=-1, size=-1)

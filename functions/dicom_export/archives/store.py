"""A store whose archives are folders: their members are listed and read as objects."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from heapq import heappop, heappush
from threading import Lock
from typing import TYPE_CHECKING, Any

from dicom_export.archives.names import archives_before, archives_in, is_archive, member_name, sort_key
from dicom_export.archives.opening import open_archive
from dicom_export.errors import InstanceError, InstanceGone, PermanentError
from dicom_export.operations.planning import is_ignored
from dicom_export.stores import WrappedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_export.archives.members import Archive, Member
    from dicom_export.ports import DicomStore
    from dicom_export.stored_object import StoredObject, Unlisted

_MOST_OPEN = 4

_Waiting = list[tuple[bytes, "StoredObject"]]


class ArchiveStore(WrappedStore):
    """The objects of another store, with the members of archives in place of archives.

    An archive is recognised by its name and its content. A member has the generation and the time
    of its archive. An archive that cannot be read is listed as an object that cannot be read. So is a
    truncated one; the members before that point are listed too. Archives whose names match a pattern of
    `ignore` are not opened.
    """

    def __init__(self, store: DicomStore, ignore: Sequence[str] = ()) -> None:
        super().__init__(store)
        self._ignore = tuple(ignore)
        self._known: OrderedDict[tuple[str, int], _Opened] = OrderedDict()
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the open archives: another process opens its own."""
        return {"store": self._store, "ignore": self._ignore}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["store"], state["ignore"])  # type: ignore[misc]

    def uri(self, name: str) -> str:
        for archive, member in archives_in(name):
            return member_name(self._store.uri(archive), member)
        return self._store.uri(name)

    def copy_source(self, name: str) -> str:
        is_like_member = any(self._is_opened(archive) for archive, _ in archives_in(name))
        if is_like_member and self._store.get(name) is None:
            raise InstanceError("A member of an archive cannot be copied; unpack the archive first")
        return self._store.copy_source(name)

    def list(
        self, *, prefix: str = "", start_after: str = "", unlisted: Callable[[Unlisted], None] = lambda _: None
    ) -> Iterator[StoredObject]:
        after = sort_key(start_after)
        waiting: _Waiting = []

        def add(stored: StoredObject) -> None:
            for each in self._entries(stored):
                if each.name.startswith(prefix) and (key := sort_key(each.name)) > after:
                    heappush(waiting, (key, each))

        for stored in self._archives_of_other_names(prefix, start_after):
            add(stored)
        for stored in self._store.list(prefix=prefix, start_after=start_after, unlisted=unlisted):
            key = sort_key(stored.name)
            while waiting and waiting[0][0] < key:
                yield heappop(waiting)[1]
            if self._is_opened(stored.name):
                add(stored)
            else:
                yield stored
        while waiting:
            yield heappop(waiting)[1]

    def get(self, name: str) -> StoredObject | None:
        for archive, member in archives_in(name):
            stored = self._store.get(archive) if self._is_opened(archive) else None
            opened = self._open(stored) if stored else None
            if stored and opened and member in opened.members:
                return _stored_member(stored, opened.members[member])
        return self._store.get(name)

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        for name, member in archives_in(stored.name):
            archive = self._archive_of(stored, name) if self._is_opened(name) else None
            if archive and member in archive.members:
                return _read(archive, archive.members[member], start, length)
        if self._is_opened(stored.name) and (archive := self._open(stored)):
            raise InstanceError(archive.damage or "The object is an archive; its members are objects of their own")
        return self._store.read(stored, start, length)

    def _archive_of(self, member: StoredObject, name: str) -> Archive | None:
        """Return the archive of the generation that the member was listed in. Raises InstanceGone if that is gone."""
        known = self._known.get((name, member.generation))
        if known:
            return known.archive()
        archive = self._store.get(name)
        if archive and archive.generation != member.generation:
            raise InstanceGone(f"{name!r} was replaced: generation {member.generation} is gone")
        return self._open(archive) if archive else None

    def _archives_of_other_names(self, prefix: str, start_after: str) -> Iterator[StoredObject]:
        """Yield the archives that the listing of the other store leaves out although their members belong to it."""
        names = {name for name, _ in archives_in(prefix)} | set(archives_before(start_after))
        for name in names:
            is_listed = name.startswith(prefix) and name > start_after
            stored = None if is_listed or not self._is_opened(name) else self._store.get(name)
            if stored:
                yield stored

    def _entries(self, stored: StoredObject) -> tuple[StoredObject, ...]:
        """Return the members of the archive, or the object itself if it is not one, or not a whole one."""
        try:
            archive = self._open(stored)
        except PermanentError:  # it is raised again when the object is read, and is that object's failure then
            return (stored,)
        if archive is None:
            return (stored,)
        members = tuple(_stored_member(stored, member) for member in archive.members.values())
        return (stored, *members) if archive.damage else members

    def _is_opened(self, name: str) -> bool:
        return is_archive(name) and not is_ignored(name, self._ignore)

    def _open(self, stored: StoredObject) -> Archive | None:
        """Return the archive, or None if the object is not one. Raises BrokenArchive and the errors of reading."""
        key = stored.name, stored.generation
        with self._lock:
            if key not in self._known:
                self._known[key] = _opened(self._store, stored)
                if len(self._known) > _MOST_OPEN:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key].archive()


@dataclass(frozen=True)
class _Opened:
    """What opening an object came to."""

    found: Archive | None = None
    error: PermanentError | None = None

    def archive(self) -> Archive | None:
        if self.error:
            raise self.error
        return self.found


def _opened(store: DicomStore, stored: StoredObject) -> _Opened:
    try:
        return _Opened(open_archive(store, stored))
    except PermanentError as error:
        return _Opened(error=error)


def _read(archive: Archive, member: Member, start: int, length: int) -> bytes:
    if member.obstacle:
        raise InstanceError(member.obstacle)
    return archive.read(member, start, length)


def _stored_member(archive: StoredObject, member: Member) -> StoredObject:
    return archive._replace(name=member_name(archive.name, member.name), size=member.size)

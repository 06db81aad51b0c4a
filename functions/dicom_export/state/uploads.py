"""The state of the automatic export: the instances of objects whose names do not tell.

    S/streamed/OBJECT/GENERATION.json   of the store S: the UIDs of the instance, or that it was
                                        deleted before they were known, create-once

OBJECT is a digest of the name of the object, which may be too long for a path.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from dicom_export.state.paths import number_of
from dicom_export.state.records import Records, encode
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from dicom_export.messages import InstanceChanged

_UNKNOWN = InstanceUids()


class Uploads(Records):
    """The state of the automatic export.

    An upload and a deletion each create their note before they read the notes of the other
    generations of the object. So at least one of the two sees the other.
    """

    def note_instance(self, message: InstanceChanged, uids: InstanceUids) -> bool:
        """Record which instance the object is.

        Return False if a deletion of this or a later generation came first: then no event ever
        reports the deletion of the instance.
        """
        if self._note(message, uids.shown) == _UNKNOWN:
            return False
        later = (path for generation, path in self._notes(message) if generation > message.stored.generation)
        return all(self._uids_at(path) != _UNKNOWN for path in later)

    def deleted_instance(self, message: InstanceChanged) -> InstanceUids | None:
        """Return the recorded instance of the object, or None."""
        found = self._noted(message)
        return None if found in (None, _UNKNOWN) else found

    def note_deletion(self, message: InstanceChanged) -> InstanceUids | None:
        """Record that the object was deleted before its instance was known.

        Return the instance if another process recorded it first. If no process read this
        generation, return the instance of the newest generation that one read.
        """
        noted = self._note(message, _UNKNOWN)
        if noted != _UNKNOWN:
            return noted
        earlier = [note for note in self._notes(message) if note[0] < message.stored.generation]
        known = (self._uids_at(path) for _, path in sorted(earlier, reverse=True))
        return next((uids for uids in known if uids not in (None, _UNKNOWN)), None)

    def _note(self, message: InstanceChanged, uids: InstanceUids) -> InstanceUids:
        """Return the stored UIDs: ours, or those that another process wrote."""
        note = {"object": message.stored.name, **uids._asdict()}
        if self._store.create(_path(message), encode(note)):
            return uids
        return self._noted(message) or uids

    def _noted(self, message: InstanceChanged) -> InstanceUids | None:
        return self._uids_at(_path(message))

    def _notes(self, message: InstanceChanged) -> list[tuple[int, str]]:
        """Return the generation and the path of each note of the object."""
        entries = self._store.list(_prefix(message))
        return [(number_of(entry.path), entry.path) for entry in entries]

    def _uids_at(self, path: str) -> InstanceUids | None:
        data = self._read(path)
        return InstanceUids(data["study"], data["series"], data["instance"]) if data else None


def object_digest(name: str) -> str:
    """Return the digest that replaces the name of an object in a path."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _prefix(message: InstanceChanged) -> str:
    return f"{message.store}/streamed/{object_digest(message.stored.name)}/"


def _path(message: InstanceChanged) -> str:
    return f"{_prefix(message)}{message.stored.generation}.json"

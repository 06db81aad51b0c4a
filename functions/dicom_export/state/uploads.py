"""The state of the automatic export: which instance an object is, where its name does not tell.

    S/streamed/OBJECT/GENERATION.json   of the store S: the instance's UIDs, or that it was deleted before they were known, create-once

OBJECT is a digest of the object's name, which may be longer than what is left of a path.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from dicom_export.messages import InstanceChanged
    from dicom_export.ports import OperationStore

_UNKNOWN = InstanceUids()


class Uploads:
    """The state of the automatic export.

    An upload and a deletion each create their note before they look at those of the object's other generations: so of the
    two at least one sees the other.
    """

    def __init__(self, store: OperationStore) -> None:
        self._store = store

    def note_instance(self, message: InstanceChanged, uids: InstanceUids) -> bool:
        """Note which instance the object is.

        Return False if the deletion of this or a later generation came first: then nobody ever says that it is deleted.
        """
        if self._note(message, uids.shown) == _UNKNOWN:
            return False
        later = (path for generation, path in self._notes(message) if generation > message.stored.generation)
        return all(self._read(path) != _UNKNOWN for path in later)

    def deleted_instance(self, message: InstanceChanged) -> InstanceUids | None:
        """Return which instance the object was, as far as it was noted."""
        found = self._noted(message)
        return None if found in (None, _UNKNOWN) else found

    def note_deletion(self, message: InstanceChanged) -> InstanceUids | None:
        """Note that the object was deleted before anybody knew which instance it was; or return which, if somebody was faster.

        Where nobody read this generation, the instance is that of the newest one that somebody did.
        """
        noted = self._note(message, _UNKNOWN)
        if noted != _UNKNOWN:
            return noted
        earlier = [note for note in self._notes(message) if note[0] < message.stored.generation]
        known = (self._read(path) for _, path in sorted(earlier, reverse=True))
        return next((uids for uids in known if uids not in (None, _UNKNOWN)), None)

    def _note(self, message: InstanceChanged, uids: InstanceUids) -> InstanceUids:
        """Return what stands there: ours, or what somebody else wrote."""
        content = json.dumps({"object": message.stored.name, **uids._asdict()}).encode()
        if self._store.create(_path(message), content):
            return uids
        return self._noted(message) or uids

    def _noted(self, message: InstanceChanged) -> InstanceUids | None:
        return self._read(_path(message))

    def _notes(self, message: InstanceChanged) -> list[tuple[int, str]]:
        """Return the notes of all generations of the object, each generation with the path of its note."""
        entries = self._store.list(_prefix(message))
        return [(int(entry.path.rpartition("/")[2].removesuffix(".json")), entry.path) for entry in entries]

    def _read(self, path: str) -> InstanceUids | None:
        state = self._store.read(path)
        if state is None:
            return None
        data = json.loads(state.content)
        return InstanceUids(data["study"], data["series"], data["instance"])


def object_digest(name: str) -> str:
    """Return what stands for an object's name in a path."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _prefix(message: InstanceChanged) -> str:
    return f"{message.store}/streamed/{object_digest(message.stored.name)}/"


def _path(message: InstanceChanged) -> str:
    return f"{_prefix(message)}{message.stored.generation}.json"

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
    """The state of the automatic export."""

    def __init__(self, store: OperationStore) -> None:
        self._store = store

    def note_instance(self, message: InstanceChanged, uids: InstanceUids) -> bool:
        """Note which instance the object is. Return False if its deletion came first: then nobody ever says that it is deleted."""
        return self._note(message, uids.shown) != _UNKNOWN

    def deleted_instance(self, message: InstanceChanged) -> InstanceUids | None:
        """Return which instance the object was, as far as it was noted."""
        found = self._noted(message)
        return None if found in (None, _UNKNOWN) else found

    def note_deletion(self, message: InstanceChanged) -> InstanceUids | None:
        """Note that the object was deleted before anybody knew which instance it was; or return which, if somebody was faster."""
        noted = self._note(message, _UNKNOWN)
        return None if noted == _UNKNOWN else noted

    def _note(self, message: InstanceChanged, uids: InstanceUids) -> InstanceUids:
        """Return what stands there: ours, or what somebody else wrote."""
        content = json.dumps({"object": message.stored.name, **uids._asdict()}).encode()
        if self._store.create(_path(message), content):
            return uids
        return self._noted(message) or uids

    def _noted(self, message: InstanceChanged) -> InstanceUids | None:
        state = self._store.read(_path(message))
        if state is None:
            return None
        data = json.loads(state.content)
        return InstanceUids(data["study"], data["series"], data["instance"])


def object_digest(name: str) -> str:
    """Return what stands for an object's name in a path."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _path(message: InstanceChanged) -> str:
    return f"{message.store}/streamed/{object_digest(message.stored.name)}/{message.stored.generation}.json"

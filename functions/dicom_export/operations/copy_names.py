"""The names of the copies of an instance: `STUDY_UID/SERIES_UID/INSTANCE_UID.dcm`."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from dicom_export.errors import InstanceError
from dicom_export.uids import shown

if TYPE_CHECKING:
    from dicom_export.stored_object import StoredObject
    from dicom_export.uids import InstanceUids

# Begins with a digit, so that it cannot be `..`; twice as long as a UID may be (PS3.5 §9.1).
_PART = re.compile(r"[0-9][0-9.]{0,127}", re.ASCII)
_KINDS = ("Study Instance UID", "Series Instance UID", "SOP Instance UID")
_SUFFIX = ".dcm"


def copy_names(uids: InstanceUids, stored: StoredObject) -> tuple[str, ...]:
    """Return the names that the copy of the object may have, the preferred name first.

    The other names are for objects with the same UIDs and another content. Raises InstanceError if
    a UID cannot be a part of a name.
    """
    for kind, uid in zip(_KINDS, uids, strict=True):
        if not uid or not _PART.fullmatch(uid):
            raise InstanceError(
                f"The {kind} {shown(uid or '')} cannot be a part of the name of a copy; expected digits and dots,"
                " beginning with a digit, at most 128 characters",
                uids,
            )
    name = "/".join(map(str, uids))
    # Two files on one machine may have the same modification time, which is the generation.
    digest = sha256(stored.name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    suffixes = ("", f"-{stored.generation}", f"-{stored.generation}-{digest}")
    return tuple(f"{name}{suffix}{_SUFFIX}" for suffix in suffixes)

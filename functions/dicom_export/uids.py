"""UIDs as rows, counters, filters, `verify`, `watch` and log entries all read them."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

MALFORMED = "[malformed UID]"
"""Replaces a UID that is not made of digits and dots, outside of the exported table.

An element with a wrong length can make a UID include the text that follows it, such as the
patient's name.
"""

# A no-break space in Latin-1, and the first byte of one in UTF-8.
PADDING = " \0\xa0\xc2"
_WELL_FORMED = re.compile(r"[0-9.]+", re.ASCII)


def uid_of(value: bytes | None) -> str | None:
    """Return the UID in the value of an element, without padding, or None if it is empty.

    Of several values the first counts.
    """
    return value.partition(b"\\")[0].decode("latin-1").strip(PADDING) or None if value else None


def is_well_formed(uid: str) -> bool:
    """Say whether the UID is made of digits and dots (PS3.5 §9.1)."""
    return _WELL_FORMED.fullmatch(uid) is not None


def key_of(uid: str) -> str:
    """Return a key by which equal UIDs are found again.

    It is a digest where the UID is malformed, so that the key never shows its text.
    """
    return uid if is_well_formed(uid) else f"~{sha256(uid.encode()).hexdigest()}"


def shown(uid: str) -> str:
    """Return the UID as logs, errors and state may show it."""
    return uid if is_well_formed(uid) else MALFORMED


class InstanceUids(NamedTuple):
    """Study, Series and SOP Instance UID, as far as known.

    Printed as `/studies/S[/series/S[/instances/I]]`.
    """

    study: str | None = None
    series: str | None = None
    instance: str | None = None

    def __str__(self) -> str:
        parts = (("studies", self.study), ("series", self.series), ("instances", self.instance))
        return "".join(f"/{kind}/{shown(uid)}" for kind, uid in parts if uid)

    @property
    def shown(self) -> InstanceUids:
        """The UIDs as logs, errors and state may show them."""
        return InstanceUids(*(uid and shown(uid) for uid in self))

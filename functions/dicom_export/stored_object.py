"""Objects of a store, and what a listing of them leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class StoredObject(NamedTuple):
    """One generation of an object in a store.

    `name` is relative to the store's root, with `/` between its parts; `size` is in bytes; `updated` is when
    this generation was written, with its time zone: not when its metadata or storage class changed; `storage_class` is `STANDARD`, `NEARLINE`, `COLDLINE` or `ARCHIVE`.
    """

    name: str
    generation: int
    size: int
    updated: datetime
    storage_class: str = "STANDARD"


class Unlisted(NamedTuple):
    """What a listing had to leave out, and why: a folder, whose name ends in `/`, or a single object."""

    name: str
    reason: str

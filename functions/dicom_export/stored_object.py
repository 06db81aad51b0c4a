"""Objects of a store, and entries that a listing leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


FIRST_RANGE = 64 * 1024
"""Bytes of the first range that is read of an object. Most headers are shorter."""


class StoredObject(NamedTuple):
    """One generation of an object in a store.

    `name` is relative to the root of the store, with `/` between its parts. `size` is in bytes.
    `updated` is the time at which this generation was written, with its time zone; a change of its
    metadata or storage class does not move it. `storage_class` is `STANDARD`, `NEARLINE`,
    `COLDLINE` or `ARCHIVE`. `content_encoding` is how the content is encoded as a whole, such as
    `gzip`; empty if it is not.
    """

    name: str
    generation: int
    size: int
    updated: datetime
    storage_class: str = "STANDARD"
    content_encoding: str = ""


class ObjectVersion(NamedTuple):
    """One generation of an object, as a row names it: by the object's URI.

    The size tells files apart that were replaced within one tick of the file system's clock.
    """

    uri: str
    generation: int
    size: int


class Unlisted(NamedTuple):
    """A folder, whose name ends in `/`, or an object that a listing had to leave out, and why."""

    name: str
    reason: str

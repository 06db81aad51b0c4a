"""Use a bucket, or the objects below a prefix in it, as a DICOM store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS
from dicom_export.adapters.gcp.storage.bucket_objects import BucketObjects
from dicom_export.adapters.gcp.storage.client import called, shared_client
from dicom_export.adapters.gcp.storage.ranges import ranges_of
from dicom_export.errors import InstanceGone, NotFound, PermissionDenied
from dicom_export.stored_object import StoredObject
from dicom_export.stores import content_encoding, storage_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.cloud.storage import Blob, Client  # type: ignore[import-untyped]  # it has no types

    from dicom_export.stored_object import Unlisted

# Not `updated`, which also moves when a lifecycle rule changes the class: https://cloud.google.com/storage/docs/json_api/v1/objects
_FIELDS = "name,generation,size,timeCreated,storageClass,contentEncoding"
# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class BucketStore(BucketObjects):
    """The instances in a bucket.

    Reads return the stored bytes: for an object with `Content-Encoding: gzip` the compressed ones,
    to which its size and its ranges refer.
    """

    def list(
        self,
        *,
        prefix: str = "",
        start_after: str = "",
        unlisted: Callable[[Unlisted], None] = lambda _: None,  # noqa: ARG002 - a bucket is listed as a whole
    ) -> Iterator[StoredObject]:
        for name, blob in self.listed(_FIELDS, prefix=prefix, start_after=start_after):
            yield _stored_object(name, blob)

    def copy_source(self, name: str) -> str:
        return self.uri(name)

    def get(self, name: str) -> StoredObject | None:
        if not self.can_have(name):
            return None
        blob = called(f"Looking for {self.uri(name)}", partial(self._get, name))
        return _stored_object(name, blob) if blob else None

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        if not self.can_have(stored.name):
            raise InstanceGone(f"{stored.name!r} is not in the store")
        if length <= 0:
            return b""
        try:
            return called(f"Reading {self.uri(stored.name)}", partial(self._range, stored, start, length))
        except NotFound as error:
            raise self._gone(stored) from error

    def _get(self, name: str) -> Blob | None:
        return self.its_bucket().get_blob(self.prefix + name, timeout=TIMEOUT_SECONDS, retry=None)

    def _range(self, stored: StoredObject, start: int, length: int) -> bytes:
        ranges = ranges_of(self.client())
        name = self.prefix + stored.name
        return ranges.read(self.bucket, name, stored.generation, start, length, self.user_project)

    def has_autoclass(self) -> bool | None:
        """Say whether Cloud Storage changes the classes of the bucket by access; None if the bucket may not be seen."""
        look = partial(self.client().get_bucket, self.its_bucket(), timeout=TIMEOUT_SECONDS, retry=None)
        try:
            return bool(called(f"Looking at bucket {self.bucket}", look).autoclass_enabled)
        except PermissionDenied:
            return None

    def _gone(self, stored: StoredObject) -> InstanceGone:
        if self.get(stored.name) is None:
            return InstanceGone(f"{stored.name!r} was deleted")
        return InstanceGone(f"{stored.name!r} was replaced: generation {stored.generation} is gone")


def existing_bucket(
    name: str, client: Callable[[], Client] = shared_client, user_project: str | None = None
) -> BucketStore | None:
    """Return the whole bucket as a store, or None if there is no bucket of this name."""
    if not _BUCKET_NAME.fullmatch(name):
        return None
    try:
        next(BucketStore(name, page_size=1, user_project=user_project, client=client).listed("name"), None)
    except NotFound:
        return None
    except PermissionDenied:
        pass  # An account that may not list the bucket may still read an object in it.
    return BucketStore(name, user_project=user_project, client=client)


def _stored_object(name: str, blob: Blob) -> StoredObject:
    return StoredObject(
        name,
        blob.generation,
        blob.size,
        blob.time_created,
        storage_class(blob.storage_class),
        content_encoding(blob.content_encoding),
    )

"""Keep the state of operations as objects in a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from google.api_core import exceptions
from google.api_core.retry import if_exception_type

from dicom_export.adapters.gcp.calls import RETRY, TIMEOUT_SECONDS
from dicom_export.adapters.gcp.storage.bucket_objects import BucketObjects
from dicom_export.adapters.gcp.storage.client import called
from dicom_export.errors import FailedPrecondition, InvalidArgument, NotFound
from dicom_export.ports import StateEntry, StateObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from google.cloud.storage import Blob  # type: ignore[import-untyped]  # it says nothing of its types

_FIELDS = "name,metadata"
_NOT_THERE = 0
# Only this answer says for sure that nothing was written. An object takes one write per second.
# https://cloud.google.com/storage/quotas#objects
_IF_REFUSED = RETRY.with_predicate(if_exception_type(exceptions.TooManyRequests))


@dataclass(frozen=True, slots=True)
class BucketState(BucketObjects):
    """The state of operations in a bucket; an object's version is its generation.

    `create` is retried like a read: it returns False if the object exists, whether its own earlier attempt or another
    worker wrote it. `replace` is retried only after an answer that says that nothing was replaced.
    """

    def create(self, path: str, content: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        upload = partial(self._upload, self._name(path), content, metadata or {}, _NOT_THERE)
        try:
            called(f"Creating {self.uri(path)}", upload)
        except FailedPrecondition:
            return False
        return True

    def read(self, path: str) -> StateObject | None:
        try:
            return called(f"Reading {self.uri(path)}", partial(self._download, self._name(path)))
        except NotFound:
            return None

    def replace(self, path: str, content: bytes, version: str) -> bool:
        generation = int(version)
        found = called(f"Looking for {self.uri(path)}", partial(self._get, self._name(path), generation))
        if found is None:
            return False
        # An upload makes a new object, without the metadata of the object that it replaces.
        upload = partial(self._upload, self._name(path), content, found.metadata or {}, generation)
        try:
            called(f"Replacing {self.uri(path)}", upload, retry=_IF_REFUSED)
        except FailedPrecondition:
            return False
        return True

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StateEntry]:
        for path, blob in self.listed(_FIELDS, prefix=prefix, start_after=start_after):
            yield StateEntry(path, blob.metadata or {})

    def _download(self, name: str) -> StateObject:
        """Return content and generation from one answer."""
        blob = self.client().bucket(self.bucket).blob(name)
        content = blob.download_as_bytes(checksum=None, timeout=TIMEOUT_SECONDS, retry=None)
        return StateObject(content, str(blob.generation))

    def _get(self, name: str, generation: int) -> Blob | None:
        bucket = self.client().bucket(self.bucket)
        return bucket.get_blob(name, generation=generation, timeout=TIMEOUT_SECONDS, retry=None)

    def _upload(self, name: str, content: bytes, metadata: Mapping[str, str], generation: int) -> None:
        """Write the object if it has this generation. Up to 8 MB, the library sends one request."""
        blob = self.client().bucket(self.bucket).blob(name)
        if metadata:
            blob.metadata = dict(metadata)
        blob.upload_from_string(
            content,
            content_type="application/json",
            if_generation_match=generation,
            timeout=TIMEOUT_SECONDS,
            retry=None,
        )

    def _name(self, path: str) -> str:
        if not self.can_have(path):
            raise InvalidArgument(
                f"{path!r} is not the path of an object: it is empty, too long, or has a forbidden character"
            )
        return self.prefix + path

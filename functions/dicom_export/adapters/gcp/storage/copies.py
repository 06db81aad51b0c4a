"""Copy objects to a bucket: Cloud Storage copies, and no content passes through this process.

Source: https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from google.api_core import exceptions

from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS
from dicom_export.adapters.gcp.storage.bucket_objects import BucketObjects
from dicom_export.adapters.gcp.storage.client import called
from dicom_export.adapters.gcp.storage.store import existing_bucket
from dicom_export.errors import FailedPrecondition, InstanceGone, InvalidArgument, NotFound
from dicom_export.names import GcsUri, adds_to
from dicom_export.ports import CopyResult, UnfinishedCopy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.cloud.storage import Blob  # type: ignore[import-untyped]  # it has no types

    from dicom_export.stored_object import StoredObject

# Cloud Storage returns from a call after 30 seconds or more.
_REWRITE_TIMEOUT_SECONDS = 120.0
_CONTENT_TYPE = "application/dicom"
_NOT_THERE = 0
# A token is valid for a week.
_TOKEN_REFUSED = {HTTPStatus.GONE, HTTPStatus.BAD_REQUEST}


@dataclass(frozen=True, slots=True)
class BucketCopies(BucketObjects):
    """Copies in a bucket, below a prefix.

    `payers` are the projects that pay for the requests to buckets whose requester pays.
    """

    payers: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def copies_at_once(self) -> int:
        return 16

    def check(self) -> None:
        if existing_bucket(self.bucket, self.client, self.payers.get(self.bucket)) is None:
            raise NotFound(f"Bucket {self.bucket!r} was not found; create it first")

    def adds_to(self, root: str) -> bool:
        return adds_to(self.uri(""), root)

    def copy(self, source: str, stored: StoredObject, name: str, token: str = "") -> CopyResult | UnfinishedCopy:
        if not self.can_have(name):
            raise InvalidArgument(f"{self.uri(name)} is not the name of an object: expected at most 1,024 bytes")
        return self._compared(source, stored, name) or self._rewritten(source, stored, name, token)

    def flush(self, names: Iterable[str]) -> None:
        """Do nothing: Cloud Storage has stored a copy when it says so."""

    def _compared(self, source: str, stored: StoredObject, name: str) -> CopyResult | None:
        """Compare what has the name with the object; return None if nothing has it."""
        found = called(f"Looking for {self.uri(name)}", partial(self._get, self.bucket, self.prefix + name))
        if found is None:
            return None
        if found.size != stored.size:
            return CopyResult.NAME_TAKEN
        # A composite object has no MD5.
        is_same = found.crc32c == self._source(source, stored).crc32c
        return CopyResult.PRESENT if is_same else CopyResult.NAME_TAKEN

    def _rewritten(self, source: str, stored: StoredObject, name: str, token: str) -> CopyResult | UnfinishedCopy:
        rewrite = partial(self._rewrite, GcsUri.parse(source), stored.generation, name, token)
        try:
            following = called(f"Copying {source} to {self.uri(name)}", rewrite)
        except FailedPrecondition:  # another worker was first, or an earlier attempt whose answer was lost
            return self._compared(source, stored, name) or UnfinishedCopy("")
        except NotFound:
            self._source(source, stored)
            raise
        return UnfinishedCopy(following) if following else CopyResult.MADE

    def _rewrite(self, source: GcsUri, generation: int, name: str, token: str) -> str:
        """Return the token of the next call, or an empty text if the copy is complete."""
        # A request has one paying project: the library takes that of the target.
        payer = self.payers.get(source.bucket) or self.payers.get(self.bucket)
        copy = self.client().bucket(self.bucket, user_project=payer).blob(self.prefix + name)
        copy.content_type = _CONTENT_TYPE
        original = self.client().bucket(source.bucket).blob(source.object, generation=generation)
        try:
            following, _, _ = copy.rewrite(
                original,
                token=token or None,
                if_generation_match=_NOT_THERE,
                timeout=_REWRITE_TIMEOUT_SECONDS,
                retry=None,
            )
        except exceptions.GoogleAPICallError as error:
            if token and error.code in _TOKEN_REFUSED:
                return self._rewrite(source, generation, name, "")
            raise
        return following or ""

    def _source(self, source: str, stored: StoredObject) -> Blob:
        """Return the properties of the generation. Raises InstanceGone."""
        uri = GcsUri.parse(source)
        found = called(f"Looking for {source}", partial(self._get, uri.bucket, uri.object, stored.generation))
        if found is None:
            raise InstanceGone(f"{stored.name!r} was deleted or replaced: generation {stored.generation} is gone")
        return found

    def _get(self, bucket: str, name: str, generation: int | None = None) -> Blob | None:
        named = self.client().bucket(bucket, user_project=self.payers.get(bucket))
        return named.get_blob(name, generation=generation, timeout=TIMEOUT_SECONDS, retry=None)

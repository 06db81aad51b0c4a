"""Use an S3 bucket, or the objects below a prefix in it, as a DICOM store.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html and API_GetObject.html.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore import exceptions

from dicom_export.adapters.aws.calls import ATTEMPTS, Connection, aws_errors, code_of, shared_client
from dicom_export.errors import FailedPrecondition, InstanceGone, NotFound
from dicom_export.stored_object import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dicom_export.stored_object import Unlisted

_MAX_KEY_BYTES = 1024
_ETAG_BITS = 31
# By what a read costs and how long an object has to stay: https://aws.amazon.com/s3/storage-classes/
_CLASSES = {
    "STANDARD_IA": "NEARLINE",
    "ONEZONE_IA": "NEARLINE",
    "GLACIER_IR": "COLDLINE",
    "GLACIER": "ARCHIVE",
    "DEEP_ARCHIVE": "ARCHIVE",
}
_INCOMPLETE = (
    exceptions.IncompleteReadError,
    exceptions.ReadTimeoutError,
    exceptions.ResponseStreamingError,
    exceptions.ConnectionClosedError,
)


@dataclass(frozen=True, slots=True)
class S3Store:
    """The instances in an S3 bucket whose keys begin with `prefix`. Names are without the prefix.

    S3 has no number for the content of an object. Its generation is made of what a listing and a read both say: the second
    of LastModified, and 31 bits of the ETag. So a later generation is a larger number. An object that is replaced within one
    second by another content with the same 31 bits is taken for the old one.

    The listing does not say how the content is encoded: `content_encoding` is empty, and a read returns the stored bytes.
    `page_size` is the number of objects that one request lists; the default is the server's own, 1,000.
    """

    bucket: str
    prefix: str = ""
    connection: Connection = field(default_factory=Connection)
    page_size: int | None = None

    def uri(self, name: str) -> str:
        """Return the object's address, `s3://BUCKET/KEY`."""
        return f"s3://{self.bucket}/{self.prefix}{name}"

    def copy_source(self, name: str) -> str:
        return self.uri(name)

    def list(
        self,
        *,
        prefix: str = "",
        start_after: str = "",
        unlisted: Callable[[Unlisted], None] = lambda _: None,  # noqa: ARG002 - a bucket is listed as a whole
    ) -> Iterator[StoredObject]:
        """Yield the objects. Raises FailedPrecondition if the server does not list in the order of the keys' bytes."""
        before = b""
        for entry in self._entries(prefix, start_after):
            key: str = entry["Key"]
            encoded = key.encode()
            if encoded <= before:
                raise FailedPrecondition(
                    f"{self.uri(prefix)} cannot be exported: the server does not list objects in the order of their"
                    " names, as directory buckets (S3 Express One Zone) do not"
                )
            before = encoded
            name = key.removeprefix(self.prefix)
            # The first is named like the prefix: a marker that consoles create for a folder.
            if name != start_after:
                size, updated = entry["Size"], entry["LastModified"]
                yield _stored_object(name, size, updated, entry["ETag"], entry.get("StorageClass", ""))

    def get(self, name: str) -> StoredObject | None:
        if not self._can_have(name):
            return None
        try:
            with aws_errors(f"Looking for {self.uri(name)}"):
                found = self._client.head_object(Bucket=self.bucket, Key=self.prefix + name)
        except NotFound:
            return None
        size, updated = found["ContentLength"], found["LastModified"]
        return _stored_object(name, size, updated, found["ETag"], found.get("StorageClass", ""))

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        if not self._can_have(stored.name):
            raise InstanceGone(f"{stored.name!r} is not in the store")
        end = min(start + length, stored.size)
        if end <= start:
            return b""
        try:
            with aws_errors(f"Reading {self.uri(stored.name)}"):
                found, content = self._range(stored, start, end)
        except NotFound as error:
            raise InstanceGone(f"{stored.name!r} was deleted") from error
        # Content and headers of an answer are of one generation: nothing has to be asked before.
        if found is None or _generation(found["LastModified"], found["ETag"]) != stored.generation:
            raise InstanceGone(f"{stored.name!r} was replaced: generation {stored.generation} is gone")
        return content if "ContentRange" in found else content[start:end]

    @property
    def _client(self) -> Any:  # noqa: ANN401 - botocore has no types
        return shared_client(self.connection)

    def _can_have(self, name: str) -> bool:
        """Return whether an object can have the name."""
        try:
            return bool(name) and "\0" not in name and len((self.prefix + name).encode()) <= _MAX_KEY_BYTES
        except UnicodeEncodeError:
            return False

    def _entries(self, prefix: str, start_after: str) -> Iterator[dict[str, Any]]:
        """Yield the entries of the listing; one page is in memory. Raises NotFound without the bucket."""
        asked: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.prefix + prefix}
        if self.prefix + start_after:
            asked["StartAfter"] = self.prefix + start_after
        if self.page_size:
            asked["MaxKeys"] = self.page_size
        while True:
            try:
                with aws_errors(f"Listing {self.uri(prefix)}"):
                    page = self._client.list_objects_v2(**asked)
            except NotFound as error:
                raise NotFound(f"Bucket {self.bucket!r} was not found") from error
            yield from page.get("Contents", ())
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _range(
        self, stored: StoredObject, start: int, end: int, attempts: int = ATTEMPTS
    ) -> tuple[Mapping[str, Any] | None, bytes]:
        """Return the answer and its content, or None if the object has become shorter than the range's start."""
        key, part = self.prefix + stored.name, f"bytes={start}-{end - 1}"
        try:
            found = self._client.get_object(Bucket=self.bucket, Key=key, Range=part)
            return found, found["Body"].read()
        except exceptions.ClientError as error:
            if code_of(error)[0] == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None, b""
            raise
        except _INCOMPLETE:  # the library repeats a request, but not one whose answer has begun
            if attempts == 1:
                raise
            return self._range(stored, start, end, attempts - 1)


def _stored_object(name: str, size: int, modified: datetime, etag: str, storage_class: str) -> StoredObject:
    # A listing of some servers has milliseconds, which a read does not say.
    updated = modified.astimezone(UTC).replace(microsecond=0)
    return StoredObject(name, _generation(modified, etag), size, updated, _CLASSES.get(storage_class, "STANDARD"))


def _generation(modified: datetime, etag: str) -> int:
    """Return a positive number of 63 bits."""
    digest = int.from_bytes(sha256(etag.strip('"').encode()).digest()[:4])
    return int(modified.timestamp()) << _ETAG_BITS | digest >> 1

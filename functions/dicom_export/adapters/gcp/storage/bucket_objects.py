"""List the objects of a bucket below a prefix: those of a store, or of the state of operations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dicom_export.adapters.gcp.calls import RETRY, TIMEOUT_SECONDS
from dicom_export.adapters.gcp.storage.client import called, shared_client
from dicom_export.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.api_core.retry import Retry
    from google.cloud.storage import Blob, Bucket, Client  # type: ignore[import-untyped]  # it has no types

_MAX_NAME_BYTES = 1024
_NOT_IN_NAMES = frozenset("\0\r\n")


@dataclass(frozen=True, slots=True)
class BucketObjects:
    """The live objects of a bucket whose names begin with `prefix`.

    The names here are without the prefix. `page_size` is the number of objects that one request
    lists; Cloud Storage lists 1,000 at most. `user_project` pays for the requests to a
    bucket whose requester pays.
    """

    bucket: str
    prefix: str = ""
    page_size: int = 1_000
    user_project: str | None = None
    client: Callable[[], Client] = shared_client

    def uri(self, name: str) -> str:
        """Return the object's address, `gs://BUCKET/NAME`."""
        return f"gs://{self.bucket}/{self.prefix}{name}"

    def its_bucket(self) -> Bucket:
        """Return the bucket as the client library has it."""
        return self.client().bucket(self.bucket, user_project=self.user_project)

    def can_have(self, name: str) -> bool:
        """Return whether an object can have the name.

        Source: https://cloud.google.com/storage/docs/objects#naming.
        """
        whole = self.prefix + name
        try:
            size = len(whole.encode())
        except UnicodeEncodeError:
            return False
        return bool(name) and size <= _MAX_NAME_BYTES and whole not in {".", ".."} and _NOT_IN_NAMES.isdisjoint(whole)

    def listed(
        self, fields: str, *, prefix: str = "", start_after: str = "", retry: Retry = RETRY
    ) -> Iterator[tuple[str, Blob]]:
        """Yield name and object in the order of the ports; one page is in memory.

        `fields` are the fields of an object to request. Raises NotFound without the bucket.
        """
        token: str | None = ""
        while token is not None:
            page = partial(self._page, fields, token, self.prefix + prefix, self.prefix + start_after)
            try:
                blobs, token = called(f"Listing {self.uri(prefix)}", page, retry)
            except NotFound as error:
                raise NotFound(f"Bucket {self.bucket!r} was not found") from error
            for blob in blobs:
                name = blob.name.removeprefix(self.prefix)
                # The listing includes the offset itself; without an offset, it includes the object named like the prefix,
                # which the web console creates for a folder.
                if name != start_after:
                    yield name, blob

    def _page(self, fields: str, token: str, prefix: str, start_offset: str) -> tuple[list[Blob], str | None]:
        """Return the objects of one page, and the token of the next page, or None."""
        pages = self.client().list_blobs(
            self.its_bucket(),
            prefix=prefix or None,
            start_offset=start_offset or None,
            page_token=token or None,
            page_size=self.page_size,
            fields=f"items({fields}),nextPageToken",
            timeout=TIMEOUT_SECONDS,
            retry=None,
        )
        return list(next(pages.pages)), pages.next_page_token or None

"""Read an export's filter from one object, or from all objects that a pattern matches."""

from __future__ import annotations

from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING

from dicom_export.errors import FailedPrecondition, InvalidArgument, NotFound
from dicom_export.operations import filters
from dicom_export.protocol.filter_files import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_export.names import GcsUri
    from dicom_export.operations.filters import FilterPath
    from dicom_export.operations.operation import Operation
    from dicom_export.ports import DicomStore
    from dicom_export.state.filters import FilterIndex
    from dicom_export.state.journal import Journal
    from dicom_export.stored_object import StoredObject

    Buckets = Callable[[str], DicomStore | None]

_READ_BYTES = 1 << 20
_MOST_OBJECTS = 10_000


def filter_generation(uri: GcsUri, buckets: Buckets) -> int:
    """Return a text that differs for every content that the filter may have. Raises NotFound, InvalidArgument."""
    return _generation_of(uri, _objects(uri, _bucket(uri, buckets)))


def store_filter(operation: Operation, buckets: Buckets, journal: Journal) -> FilterIndex:
    """Copy the operation's filter into its state, unless it is there already, and return its index.

    Raises InvalidArgument for a malformed line, FailedPrecondition if the filter was replaced since the request, NotFound
    if it was deleted.
    """
    index = journal.filters.index(operation.name)
    if index is None:
        index = journal.filters.create(operation.name, filters.widest(_paths(operation, buckets)))
    return index


def _paths(operation: Operation, buckets: Buckets) -> Iterator[FilterPath]:
    uri = operation.request.filter_uri
    if uri is None:
        raise NotFound(f"{operation.name} has no filter")
    bucket = _bucket(uri, buckets)
    objects = _objects(uri, bucket)
    if _generation_of(uri, objects) != operation.filter_generation:
        raise FailedPrecondition(f"The filter {uri} was replaced after the export had been requested; request it again")
    for stored in objects:
        name = f"the filter {stored.name}" if len(objects) > 1 else "the filter"
        yield from filters.parse(lines(_chunks(bucket, stored), name), name)


def _chunks(bucket: DicomStore, stored: StoredObject) -> Iterator[bytes]:
    return (bucket.read(stored, start, _READ_BYTES) for start in range(0, stored.size, _READ_BYTES))


def _bucket(uri: GcsUri, buckets: Buckets) -> DicomStore:
    bucket = buckets(uri.bucket)
    if bucket is None:
        raise NotFound(f"The bucket of the filter {uri} was not found")
    return bucket


def _objects(uri: GcsUri, bucket: DicomStore) -> list[StoredObject]:
    """Return the objects that the URI names, in order of their names. BigQuery exports a large result as many objects."""
    prefix, star, suffix = uri.object.partition("*")
    if not star:
        stored = bucket.get(uri.object)
        if stored is None:
            raise NotFound(f"The filter {uri} was not found")
        return [stored]
    if "*" in suffix:
        raise InvalidArgument(f"The filter {uri} has more than one *: expected at most one, for any characters but /")
    found = list(islice(_matching(bucket, prefix, suffix), _MOST_OBJECTS + 1))
    if not found:
        raise NotFound(f"No object matches the filter {uri}")
    if len(found) > _MOST_OBJECTS:
        raise InvalidArgument(f"More than {_MOST_OBJECTS} objects match the filter {uri}; name fewer")
    return found


def _matching(bucket: DicomStore, prefix: str, suffix: str) -> Iterator[StoredObject]:
    for stored in bucket.list(prefix=prefix):
        rest = stored.name[len(prefix) :]
        if rest.endswith(suffix) and "/" not in rest[: len(rest) - len(suffix)] and not stored.name.endswith("/"):
            yield stored


def _generation_of(uri: GcsUri, objects: list[StoredObject]) -> int:
    if "*" not in uri.object:
        return objects[0].generation
    names = "\n".join(f"{stored.generation} {stored.name}" for stored in objects)
    # Every reader of JSON can represent a number of this size exactly.
    return int.from_bytes(sha256(names.encode("utf-8", "surrogatepass")).digest()[:6])

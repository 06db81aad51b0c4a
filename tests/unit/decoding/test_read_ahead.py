"""Objects of a slow store are read while others before them are decoded, and what is decoded stays the same."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import pytest

from dicom_export.ahead import Ahead, always_slow
from dicom_export.decoding.decoded import DecodedInstance
from dicom_export.decoding.many import decode_in_turn
from dicom_export.decoding.read_ahead import BegunStore, read_ahead
from dicom_export.errors import EncodedObject, InstanceGone, Unavailable
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.stored_object import FIRST_RANGE
from support.buckets import Bucket
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.decoding.decoded import Decoded
    from dicom_export.stored_object import StoredObject

FLATTENED = RowLayout(SchemaKind.FLATTENED)
COUNT = 40


class NotedBucket(Bucket):
    """A bucket that notes what is read, and raises an error for some names."""

    def __init__(self, errors: dict[str, Exception] | None = None) -> None:
        super().__init__()
        self.errors = errors or {}
        self.reads: list[tuple[str, int, int]] = []
        self._noting = Lock()

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        with self._noting:
            self.reads.append((stored.name, start, length))
        if stored.name in self.errors:
            raise self.errors[stored.name]
        return super().read(stored, start, length)


@pytest.fixture
def ahead() -> Iterator[Ahead]:
    with Ahead(4, always_slow()) as opened:
        yield opened


def fill(bucket: Bucket, count: int = COUNT, text: str = "x") -> list[StoredObject]:
    return [
        bucket.write(f"{number:02}", make_instance(SOPInstanceUID=f"1.{number}", TextValue=text))
        for number in range(count)
    ]


def decode(bucket: Bucket, objects: list[StoredObject], ahead: Ahead | None = None) -> list[Decoded]:
    return list(decode_in_turn(cast("Any", bucket), objects, FLATTENED, ahead=ahead))


@pytest.mark.parametrize("text", ["x", "x" * FIRST_RANGE, "x" * 3 * FIRST_RANGE])
def test_the_same_is_decoded_in_the_same_order(ahead: Ahead, text: str) -> None:
    bucket = NotedBucket()
    objects = fill(bucket, text=text)
    decoded = decode(bucket, objects, ahead)
    assert decoded == decode(bucket, objects)
    assert [each.uids.instance for each in decoded if isinstance(each, DecodedInstance)] == [
        f"1.{number}" for number in range(COUNT)
    ]


def test_each_range_is_read_once(ahead: Ahead) -> None:
    bucket = NotedBucket()
    objects = fill(bucket)
    decode(bucket, objects, ahead)
    assert sorted(bucket.reads) == [(stored.name, 0, stored.size) for stored in objects]


def test_an_error_of_an_object_is_that_of_its_own(ahead: Ahead) -> None:
    bucket = NotedBucket({"07": InstanceGone("gone")})
    decoded = decode(bucket, fill(bucket), ahead)
    assert [number for number, each in enumerate(decoded) if not isinstance(each, DecodedInstance)] == [7]
    assert isinstance(decoded[7], InstanceGone)


def test_a_transient_error_is_raised_after_the_objects_before_it(ahead: Ahead) -> None:
    bucket = NotedBucket({"20": Unavailable("try again")})
    decoded: list[Decoded] = []
    objects = fill(bucket)
    with pytest.raises(Unavailable):
        decoded.extend(decode_in_turn(cast("Any", bucket), objects, FLATTENED, ahead=ahead))
    assert len(decoded) == 20
    ahead.__exit__(None, None, None)
    assert len(bucket.reads) <= 20 + 1 + 2 * 4


def test_objects_that_are_refused_unread_are_not_read(ahead: Ahead) -> None:
    bucket = NotedBucket()
    objects = fill(bucket)
    objects[5] = objects[5]._replace(content_encoding="gzip")
    objects[6] = bucket.write("06", b"")
    decoded = decode(bucket, objects, ahead)
    assert isinstance(decoded[5], EncodedObject)
    assert not {"05", "06"} & {name for name, _, _ in bucket.reads}


def test_members_of_archives_are_read_in_order_one_at_a_time(ahead: Ahead) -> None:
    bucket = NotedBucket()
    objects = [bucket.write(f"a.tar.gz#{number}", make_instance(SOPInstanceUID=f"1.{number}")) for number in range(9)]
    for position, _ in enumerate(decode_in_turn(cast("Any", bucket), objects, FLATTENED, ahead=ahead)):
        assert len(bucket.reads) == position + 1


def test_a_longer_first_range_is_completed_and_a_shorter_one_cut() -> None:
    bucket = Bucket()
    stored = bucket.write("a", bytes(range(200)))
    for length in (50, 100, 150, 200, 250):
        begun = BegunStore(cast("Any", bucket), lambda: bytes(range(100)))
        assert begun.read(stored, 0, length) == bytes(range(200))[:length]


def test_what_is_requested_first_is_used_once() -> None:
    bucket = Bucket()
    stored = bucket.write("a", b"abc")
    begun = BegunStore(cast("Any", bucket), lambda: b"xyz")
    assert [begun.read(stored, start, 3) for start in (1, 0, 0)] == [b"bc", b"xyz", b"abc"]


def test_as_much_is_requested_as_a_long_header_in_the_folder_took(ahead: Ahead) -> None:
    bucket = NotedBucket()
    objects = [bucket.write(f"{number:02}", bytes(4 * FIRST_RANGE)) for number in range(12)]
    for _, begun in read_ahead(cast("Any", bucket), objects, lambda _: 2 * FIRST_RANGE, ahead):
        begun.uri("a")
    assert {(start, length) for _, start, length in bucket.reads} == {(0, 2 * FIRST_RANGE)}

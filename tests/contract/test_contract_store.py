"""What every DicomStore does, whatever it is made of."""

from __future__ import annotations

import os
import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_export.adapters.aws.store import S3Store
from dicom_export.adapters.gcp.storage.store import BucketStore
from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.errors import InstanceGone, NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_export.ports import DicomStore
    from support.emulators.s3 import S3
    from support.emulators.storage import Storage

NAMES = ["a-b/x", "a.dcm", "a/b/1", "a/b/2", "a/c", "a0", "b/é", "b/ü/1", "b/z", "b/𝄞", "b/\uffee"]
ELSEWHERE = ("a", "archive/a/b", "archive/dicom", "archive/dicom-a/b/1", "archive/dicom/", "archive/dicom0", "z")


class Stores(Protocol):
    """Makes stores of given objects."""

    def make(self, objects: dict[str, bytes]) -> DicomStore:
        """Return a store that holds these objects and no others."""

    def put(self, name: str, content: bytes) -> tuple[datetime, datetime]:
        """Write an object, and return the earliest and the latest time that it can say of itself."""

    def delete(self, name: str) -> None:
        """Delete an object."""

    def missing(self) -> DicomStore:
        """Return a store that is not there."""


class LocalStores:
    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, objects: dict[str, bytes]) -> DicomStore:
        for name, content in objects.items():
            self.put(name, content)
        return FolderStore(self.root)

    def put(self, name: str, content: bytes) -> tuple[datetime, datetime]:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        # Two writes within one tick of the clock would be one generation.
        os.utime(path, ns=(0, 1_700_000_000_123_456_789 + len(content)))
        written = datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)
        return written, written

    def delete(self, name: str) -> None:
        (self.root / name).unlink()

    def missing(self) -> DicomStore:
        return FolderStore(self.root / "missing")


class BucketStores:
    def __init__(self, storage: Storage, prefix: str) -> None:
        self.storage = storage
        self.prefix = prefix
        self.bucket = storage.make_bucket()

    def make(self, objects: dict[str, bytes]) -> DicomStore:
        for name, content in objects.items():
            self.put(name, content)
        return BucketStore(self.bucket, self.prefix)

    def put(self, name: str, content: bytes) -> tuple[datetime, datetime]:
        earliest = datetime.now(UTC)
        self.storage.put(self.bucket, self.prefix + name, content)
        return earliest, datetime.now(UTC)

    def delete(self, name: str) -> None:
        self.storage.delete(self.bucket, self.prefix + name)

    def missing(self) -> DicomStore:
        return BucketStore("missing", self.prefix)


class S3Stores:
    def __init__(self, s3: S3, prefix: str) -> None:
        self.s3 = s3
        self.prefix = prefix
        self.bucket = s3.make_bucket()

    def make(self, objects: dict[str, bytes]) -> DicomStore:
        for name, content in objects.items():
            self.put(name, content)
        return S3Store(self.bucket, self.prefix, page_size=3)

    def put(self, name: str, content: bytes) -> tuple[datetime, datetime]:
        # S3 says whole seconds.
        earliest = datetime.now(UTC).replace(microsecond=0)
        self.s3.put(self.bucket, self.prefix + name, content)
        return earliest, datetime.now(UTC)

    def delete(self, name: str) -> None:
        self.s3.delete(self.bucket, self.prefix + name)

    def missing(self) -> DicomStore:
        return S3Store("missing", self.prefix)


def s3_folder(s3: S3) -> S3Stores:
    """Return stores below a prefix of an S3 bucket, as `folder_of_a_bucket`."""
    stores = S3Stores(s3, "archive/dicom/")
    for name in ELSEWHERE:
        s3.put(stores.bucket, name, b"elsewhere")
    return stores


def folder_of_a_bucket(storage: Storage) -> BucketStores:
    """Return stores below a prefix, with what is not theirs beside it, and the folder as consoles make it."""
    stores = BucketStores(storage, "archive/dicom/")
    for name in ELSEWHERE:
        storage.put(stores.bucket, name, b"elsewhere")
    return stores


@pytest.fixture(params=["folder", "bucket", "folder of a bucket", "S3 bucket", "folder of an S3 bucket"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    if request.param == "folder":
        return LocalStores(tmp_path / "store")
    if "S3" in request.param:
        s3: S3 = request.getfixturevalue("s3_server")
        return S3Stores(s3, "") if request.param == "S3 bucket" else s3_folder(s3)
    storage: Storage = request.getfixturevalue("storage_emulator")
    return BucketStores(storage, "") if request.param == "bucket" else folder_of_a_bucket(storage)


def names(store: DicomStore, prefix: str = "", start_after: str = "") -> list[str]:
    return [stored.name for stored in store.list(prefix=prefix, start_after=start_after)]


def in_order(names: list[str]) -> list[str]:
    return sorted(names, key=str.encode)


def test_objects_are_listed_by_the_utf8_bytes_of_their_whole_name(stores: Stores) -> None:
    assert names(stores.make(dict.fromkeys(NAMES, b"x"))) == in_order(NAMES)


@settings(max_examples=30)
@given(prefix=st.text("ab/-0.é\uffee", max_size=4), start_after=st.text("abcz12/-0.é𝄞", max_size=6))
def test_a_listing_is_the_part_with_the_prefix_behind_the_start(stores: Stores, prefix: str, start_after: str) -> None:
    store = stores.make(dict.fromkeys(NAMES, b"x"))
    wanted = [name for name in NAMES if name.startswith(prefix) and name.encode() > start_after.encode()]
    assert names(store, prefix, start_after) == in_order(wanted)


@pytest.mark.parametrize("cut", range(len(NAMES)))
def test_a_listing_goes_on_behind_any_of_its_names(stores: Stores, cut: int) -> None:
    store = stores.make(dict.fromkeys(NAMES, b"x"))
    everything = in_order(NAMES)
    assert names(store, start_after=everything[cut]) == everything[cut + 1 :]


def test_an_object_says_its_size_its_time_its_class_and_that_it_is_not_encoded(stores: Stores) -> None:
    store = stores.make({})
    earliest, latest = stores.put("a/1", b"12345")
    (stored,) = store.list()
    assert stored.size == 5
    assert earliest <= stored.updated <= latest
    assert stored.updated.utcoffset() == timedelta(0)
    assert stored.storage_class == "STANDARD"
    assert stored.content_encoding == ""
    assert store.get("a/1") == stored


@pytest.mark.parametrize(
    "name", ["a", "a/2", "a/1/b", "", "/", "a//1", "../store/a/1", "a/../a/1", "a\0", ".", "..", "\udcff"]
)
def test_what_is_no_object_is_none(stores: Stores, name: str) -> None:
    assert stores.make({"a/1": b"x"}).get(name) is None


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 4, b"0123"), (3, 2, b"34"), (8, 100, b"89"), (10, 5, b""), (50, 5, b""), (0, 0, b"")],
)
def test_a_range_is_read_up_to_the_end(stores: Stores, start: int, length: int, expected: bytes) -> None:
    store = stores.make({"a": b"0123456789"})
    (stored,) = store.list()
    assert store.read(stored, start, length) == expected


def test_a_replaced_generation_is_gone(stores: Stores) -> None:
    store = stores.make({"a": b"old"})
    (stored,) = store.list()
    stores.put("a", b"newer")
    with pytest.raises(InstanceGone, match="'a' was replaced"):
        store.read(stored, 0, 3)


def test_a_deleted_object_is_gone(stores: Stores) -> None:
    store = stores.make({"a": b"old"})
    (stored,) = store.list()
    stores.delete("a")
    with pytest.raises(InstanceGone, match="'a'"):
        store.read(stored, 0, 3)


def test_a_store_that_is_not_there_is_not_found(stores: Stores) -> None:
    with pytest.raises(NotFound, match="missing"):
        list(stores.missing().list())


def test_a_store_can_be_sent_to_another_process(stores: Stores) -> None:
    store = pickle.loads(pickle.dumps(stores.make({"a": b"123"})))  # noqa: S301 - what was pickled here
    (stored,) = store.list()
    assert store.read(stored, 1, 1) == b"2"

"""What every CopyFolder does, whatever it is made of."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import pytest

from dicom_export.adapters.gcp.storage.copies import BucketCopies
from dicom_export.adapters.gcp.storage.store import BucketStore
from dicom_export.adapters.local.folder.copies import FolderCopies
from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.errors import InstanceGone, InvalidArgument, NotFound
from dicom_export.ports import CopyResult

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_export.ports import CopyFolder, DicomStore
    from dicom_export.stored_object import StoredObject
    from support.emulators.storage import Storage

NAME = "1.2/1.3/1.4.dcm"
CONTENT = b"\0any bytes\xff" * 1000


class Places(Protocol):
    """A store, and folders that its objects are copied to."""

    @property
    def store(self) -> DicomStore:
        """The store."""

    @property
    def folder(self) -> CopyFolder:
        """The folder of copies."""

    def put(self, name: str, content: bytes) -> StoredObject:
        """Write an object of the store."""

    def delete(self, name: str) -> None:
        """Delete an object of the store."""

    def put_copy(self, name: str, content: bytes) -> None:
        """Write an object to the folder."""

    def copies(self) -> dict[str, bytes]:
        """Return the content of everything in the folder."""

    def missing(self) -> CopyFolder:
        """Return a folder that does not exist."""


class LocalPlaces:
    def __init__(self, root: Path, *, links: bool) -> None:
        self.root = root
        for name in ("store", "bucket"):
            (root / name).mkdir()
        self.store = FolderStore(root / "store")
        self.folder = FolderCopies(root / "bucket", "cohort/", links=links)
        self._written = 0

    def put(self, name: str, content: bytes) -> StoredObject:
        path = self.root / "store" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # As another program does: the old file stays as it is for those who have it.
        path.with_name("new").write_bytes(content)
        self._written += 1
        os.utime(path.with_name("new"), ns=(0, 1_700_000_000_123_456_789 + self._written))
        path.with_name("new").replace(path)
        stored = self.store.get(name)
        assert stored
        return stored

    def delete(self, name: str) -> None:
        (self.root / "store" / name).unlink()

    def put_copy(self, name: str, content: bytes) -> None:
        path = self.root / "bucket/cohort" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def copies(self) -> dict[str, bytes]:
        root = self.root / "bucket"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def missing(self) -> CopyFolder:
        return FolderCopies(self.root / "missing")


class BucketPlaces:
    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.bucket, self.target = storage.make_bucket(), storage.make_bucket()
        self.store = BucketStore(self.bucket, "dicom/")
        self.folder = BucketCopies(self.target, "cohort/")

    def put(self, name: str, content: bytes) -> StoredObject:
        self.storage.put(self.bucket, f"dicom/{name}", content)
        stored = self.store.get(name)
        assert stored
        return stored

    def delete(self, name: str) -> None:
        self.storage.delete(self.bucket, f"dicom/{name}")

    def put_copy(self, name: str, content: bytes) -> None:
        self.storage.put(self.target, f"cohort/{name}", content)

    def copies(self) -> dict[str, bytes]:
        blobs = self.storage.client.list_blobs(self.target)
        return {blob.name: blob.download_as_bytes() for blob in blobs}

    def missing(self) -> CopyFolder:
        return BucketCopies("missing", "cohort/")


@pytest.fixture(params=["copies", "links", "bucket"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    if request.param == "bucket":
        return BucketPlaces(request.getfixturevalue("storage_emulator"))
    return LocalPlaces(tmp_path, links=request.param == "links")


def copy(places: Places, stored: StoredObject, name: str = NAME) -> object:
    return places.folder.copy(places.store.copy_source(stored.name), stored, name)


@pytest.mark.parametrize("content", [CONTENT, b""])
@pytest.mark.parametrize("name", ["any/where.dcm", "a ü#?%;b.dcm"])
def test_an_object_is_copied_byte_by_byte(places: Places, name: str, content: bytes) -> None:
    stored = places.put(name, content)
    assert copy(places, stored) is CopyResult.MADE
    places.folder.flush([NAME])
    assert places.copies() == {f"cohort/{NAME}": content}
    assert places.store.get(name) == stored


def test_a_second_call_finds_the_first_copy(places: Places) -> None:
    stored = places.put("a", CONTENT)
    assert [copy(places, stored) for _ in range(3)] == [CopyResult.MADE, CopyResult.PRESENT, CopyResult.PRESENT]


def test_the_same_content_of_another_object_is_found_too(places: Places) -> None:
    places.put_copy(NAME, CONTENT)
    assert copy(places, places.put("a", CONTENT)) is CopyResult.PRESENT


@pytest.mark.parametrize("other", [CONTENT[:-1], CONTENT[:-1] + b"\xfe", b""])
def test_another_content_is_never_replaced(places: Places, other: bytes) -> None:
    places.put_copy(NAME, other)
    assert copy(places, places.put("a", CONTENT)) is CopyResult.NAME_TAKEN
    assert places.copies() == {f"cohort/{NAME}": other}


def test_a_replaced_generation_is_not_copied(places: Places) -> None:
    stored = places.put("a", CONTENT)
    places.put("a", CONTENT)
    with pytest.raises(InstanceGone, match="'a'"):
        copy(places, stored)
    assert places.copies() == {}


def test_a_deleted_object_is_not_copied(places: Places) -> None:
    stored = places.put("a", CONTENT)
    places.delete("a")
    with pytest.raises(InstanceGone, match="'a'"):
        copy(places, stored)
    assert places.copies() == {}


def test_many_workers_make_one_copy(places: Places) -> None:
    stored = places.put("a", CONTENT)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: copy(places, stored), range(16)))
    assert set(results) <= {CopyResult.MADE, CopyResult.PRESENT}
    assert places.copies() == {f"cohort/{NAME}": CONTENT}


def test_a_name_that_no_object_has_is_refused(places: Places) -> None:
    stored = places.put("a", CONTENT)
    with pytest.raises(InvalidArgument):
        copy(places, stored, f"1.2/1.3/{'1' * 1100}.dcm")


def test_a_folder_that_does_not_exist_is_not_found(places: Places) -> None:
    with pytest.raises(NotFound, match="missing"):
        places.missing().check()
    places.folder.check()


def test_a_missing_folder_is_told_from_a_missing_object(places: Places) -> None:
    stored = places.put("a", CONTENT)
    with pytest.raises(NotFound):
        places.missing().copy(places.store.copy_source("a"), stored, NAME)


def test_a_folder_says_which_stores_it_adds_to(places: Places) -> None:
    root = places.store.uri("")
    assert not places.folder.adds_to(root)
    assert places.folder.adds_to(places.folder.uri("").removesuffix("cohort/"))
    assert places.folder.adds_to(places.folder.uri(""))
    assert places.folder.adds_to(places.folder.uri("1.2.3/"))
    assert not places.folder.adds_to(places.folder.uri("incoming/"))
    assert not places.folder.adds_to(places.folder.uri("").replace("cohort/", "coho/"))


def test_another_prefix_is_another_folder(places: Places) -> None:
    stored = places.put("a", CONTENT)
    elsewhere = replace(places.folder, prefix="")  # type: ignore[type-var]  # both are dataclasses
    assert elsewhere.copy(places.store.copy_source("a"), stored, NAME) is CopyResult.MADE
    assert places.copies() == {NAME: CONTENT}

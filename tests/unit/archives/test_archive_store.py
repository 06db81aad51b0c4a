"""Members of archives are objects of the store: each has its bytes, a broken one costs only itself."""

from __future__ import annotations

import bz2
import gzip
import io
import pickle
import random
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_export.archives.names import sort_key
from dicom_export.archives.store import ArchiveStore
from dicom_export.errors import InstanceError, InstanceGone, TruncatedInstance
from support.dicom_files import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.stored_object import StoredObject

random.seed(1)
MEMBERS = {
    "a.dcm": b"first member",
    "CT/1.dcm": random.randbytes(200_000),
    "CT/deep/er/1.dcm": b"1" * 300_000,
    "größe/ü.dcm": b"",
    "MR/1.dcm": b"same name, another folder",
}


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.mkdir("CT")
        for name, content in members.items():
            archive.writestr(name, content, compress_type=method)
    return file.getvalue()


def zip64(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    return file.getvalue()


def tarred(members: Mapping[str, bytes], format_: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format_) as archive:
        folder = tarfile.TarInfo("CT")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


ARCHIVES = {
    "stored.zip": zipped(MEMBERS),
    "deflated.ZIP": zipped(MEMBERS, zipfile.ZIP_DEFLATED),
    "bzip2.zip": zipped(MEMBERS, zipfile.ZIP_BZIP2),
    "lzma.zip": zipped(MEMBERS, zipfile.ZIP_LZMA),
    "zip64.zip": zip64(MEMBERS),
    "pax.tar": tarred(MEMBERS),
    "gnu.tar": tarred(MEMBERS, tarfile.GNU_FORMAT),
    "small.tar.gz": gzip.compress(tarred(MEMBERS)),
    "small.tgz": gzip.compress(tarred(MEMBERS)),
}


def contents(store: ArchiveStore) -> dict[str, bytes | str]:
    return {stored.name: content(store, stored) for stored in store.list()}


def content(store: ArchiveStore, stored: StoredObject) -> bytes | str:
    try:
        return store.read(stored, 0, stored.size)
    except InstanceError as error:
        return error.message


@pytest.mark.parametrize("name", ARCHIVES)
def test_each_member_is_an_object_with_its_bytes(name: str) -> None:
    store = ArchiveStore(MemoryStore({f"folder/{name}": ARCHIVES[name], "plain.dcm": b"plain"}))

    expected = {f"folder/{name}#{member}": data for member, data in MEMBERS.items()}
    assert contents(store) == {**expected, "plain.dcm": b"plain"}
    assert [stored.name for stored in store.list()] == sorted([*expected, "plain.dcm"], key=sort_key)


@pytest.mark.parametrize("name", ARCHIVES)
@given(start=st.integers(0, 300_100), length=st.integers(1, 100_000), member=st.sampled_from(sorted(MEMBERS)))
@settings(max_examples=20, deadline=None)
def test_every_range_of_a_member_has_its_bytes(name: str, member: str, start: int, length: int) -> None:
    store = ArchiveStore(MemoryStore({name: ARCHIVES[name]}))
    stored = store.get(f"{name}#{member}")

    assert stored
    assert stored.size == len(MEMBERS[member])
    assert store.read(stored, start, length) == MEMBERS[member][start : start + length]


@given(
    names=st.sets(
        st.sampled_from(["a", "a.zip", "a.zip!", "a.zip#", "a.zip#b", "a.zip/c", "a.zipx", "b.tar", "b.tar.gz", "b"])
    ),
    prefix=st.sampled_from(["", "a", "a.zip", "a.zip#", "a.zip#C", "a.zip#CT/1", "b.tar#", "b.tar.gz#M", "x"]),
)
@settings(deadline=None)
def test_a_listing_can_begin_after_each_of_its_names(names: set[str], prefix: str) -> None:
    held = {"a.zip": ARCHIVES["stored.zip"], "b.tar": ARCHIVES["pax.tar"], "b.tar.gz": ARCHIVES["small.tgz"]}
    store = ArchiveStore(MemoryStore({name: held.get(name, b"x") for name in names}))

    whole = [stored.name for stored in store.list()]
    with_prefix = [name for name in whole if name.startswith(prefix)]

    assert whole == sorted(whole, key=sort_key)
    assert [stored.name for stored in store.list(prefix=prefix)] == with_prefix
    for position, name in enumerate(with_prefix):
        assert [stored.name for stored in store.list(prefix=prefix, start_after=name)] == with_prefix[position + 1 :]


def test_a_stored_member_is_read_by_one_range() -> None:
    memory = MemoryStore({"a.zip": ARCHIVES["stored.zip"]})
    store = ArchiveStore(memory)
    listed = list(store.list())
    memory.reads.clear()

    for stored in listed:
        store.read(stored, 0, 65_536)

    assert len(memory.reads) == len([stored for stored in listed if stored.size])
    assert all(length < 66_000 for _, _, length in memory.reads)


def test_a_member_has_the_generation_and_the_time_of_its_archive() -> None:
    store = ArchiveStore(MemoryStore({"a.zip": ARCHIVES["stored.zip"]}))
    archive = MemoryStore({"a.zip": ARCHIVES["stored.zip"]}).get("a.zip")

    assert archive
    assert {(each.generation, each.updated) for each in store.list()} == {(archive.generation, archive.updated)}


def test_a_member_of_a_generation_that_is_gone_is_gone() -> None:
    store = ArchiveStore(MemoryStore({"a.zip": ARCHIVES["stored.zip"]}))
    (*_, stored) = store.list()

    with pytest.raises(InstanceGone, match=r"'a\.zip' was replaced"):
        ArchiveStore(MemoryStore({"a.zip": ARCHIVES["stored.zip"]})).read(stored._replace(generation=77), 0, 10)


@pytest.mark.parametrize("name", ["stored.zip", "deflated.ZIP"])
def test_a_zip_that_is_cut_short_is_one_object_that_cannot_be_read(name: str) -> None:
    store = ArchiveStore(MemoryStore({"a.zip": ARCHIVES[name][:-30], "b": b"plain"}))

    assert contents(store) == {
        "a.zip": "The ZIP archive is damaged or cut short: its directory cannot be read",
        "b": b"plain",
    }


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_tar_that_is_cut_short_has_the_members_before_and_fails_besides(compress: type[bytes]) -> None:
    data = tarred({"1": b"x" * 1000, "2": b"y" * 1000, "3": b"z" * 1000})
    for end in (4196, 3684, 3584):  # in the data of the third file, in its header, before it
        suffix = "tar" if compress is bytes else "tgz"
        found = contents(ArchiveStore(MemoryStore({f"a.{suffix}": compress(data[:end])})))

        assert found[f"a.{suffix}#1"] == b"x" * 1000
        assert "damaged or cut short" in str(found[f"a.{suffix}"])


def test_a_damaged_header_within_a_tar_is_not_taken_for_its_end() -> None:
    data = bytearray(tarred({"1": b"x", "2": b"y", "3": b"z"}))
    data[512 + 1024 : 512 + 1024 + 100] = b"\xff" * 100  # the header of the second file

    found = contents(ArchiveStore(MemoryStore({"a.tar": bytes(data)})))

    assert found == {"a.tar": "The tar archive is damaged or cut short after 2 entries", "a.tar#1": b"x"}


def test_a_damaged_member_costs_only_itself() -> None:
    data = bytearray(zipped({"1": random.randbytes(5000), "2": b"good" * 500}, zipfile.ZIP_DEFLATED))
    position = data.find(b"PK\x03\x04", data.find(b"CT/") + 3)
    data[position + 40 : position + 2000] = b"\xff" * 1960

    found = contents(ArchiveStore(MemoryStore({"a.zip": bytes(data)})))

    assert "damaged" in str(found["a.zip#1"])
    assert found["a.zip#2"] == b"good" * 500


def test_a_member_that_is_longer_than_its_content_is_cut_short_or_damaged() -> None:
    data = zipped({"1": b"x" * 5000}, zipfile.ZIP_DEFLATED)
    directory = data.rfind(b"PK\x01\x02")
    longer = data[: directory + 24] + (9000).to_bytes(4, "little") + data[directory + 28 :]
    store = ArchiveStore(MemoryStore({"a.zip": longer}))
    stored = store.get("a.zip#1")

    assert stored
    with pytest.raises((InstanceError, TruncatedInstance)):
        store.read(stored, 8000, 1000)


def test_an_encrypted_member_and_an_unknown_method_are_named() -> None:
    data = zipped({"1": b"x"})
    directory = data.rfind(b"PK\x01\x02")
    encrypted = data[: directory + 8] + b"\x01\x00" + data[directory + 10 :]
    unknown = data[: directory + 10] + (9).to_bytes(2, "little") + data[directory + 12 :]

    assert "encrypted" in str(contents(ArchiveStore(MemoryStore({"a.zip": encrypted})))["a.zip#1"])
    assert "method 9" in str(contents(ArchiveStore(MemoryStore({"a.zip": unknown})))["a.zip#1"])


def test_a_hard_link_of_a_tar_is_its_target() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("1")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"data"))
        for name, target, kind in (
            ("2", "1", tarfile.LNKTYPE),
            ("3", "gone", tarfile.LNKTYPE),
            ("4", "1", tarfile.SYMTYPE),
        ):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            archive.addfile(link)

    found = contents(ArchiveStore(MemoryStore({"a.tar": file.getvalue()})))

    assert found["a.tar#2"] == b"data"
    assert "a link to a file" in str(found["a.tar#3"])
    assert "a.tar#4" not in found


@pytest.mark.parametrize("data", [b"", b"plain", b"\0" * 128 + b"DICM", bz2.compress(b"x")])
def test_what_is_not_an_archive_whatever_its_name_is_an_object(data: bytes) -> None:
    for name in ("a.zip", "a.tar", "a.tar.gz"):
        assert contents(ArchiveStore(MemoryStore({name: data}))) == {name: data}


def test_an_ignored_archive_is_not_opened() -> None:
    memory = MemoryStore({"a.zip": ARCHIVES["stored.zip"]})
    store = ArchiveStore(memory, ["*.zip"])

    assert [stored.name for stored in store.list()] == ["a.zip"]
    assert memory.reads == []


def test_a_directory_that_would_fill_the_memory_is_refused() -> None:
    end = b"PK\x05\x06" + bytes(8) + (1 << 30).to_bytes(4, "little") + bytes(6)
    store = ArchiveStore(MemoryStore({"a.zip": b"PK\x03\x04" + bytes(100) + end}))

    assert "directory of the ZIP archive has more than" in str(contents(store)["a.zip"])


def test_the_address_of_a_member_names_archive_and_member() -> None:
    store = ArchiveStore(MemoryStore({}))

    assert store.uri("x/a.zip#b c.dcm") == "memory://x/a.zip#b c.dcm"
    assert store.uri("x/a.dcm") == "memory://x/a.dcm"


def test_an_object_can_be_copied_and_a_member_cannot() -> None:
    store = ArchiveStore(MemoryStore({"a.zip": ARCHIVES["stored.zip"], "b.zip#a.dcm": b"an object of its own"}))

    assert store.copy_source("x/a.dcm") == "memory://x/a.dcm"
    assert store.copy_source("b.zip#a.dcm") == "memory://b.zip#a.dcm"
    with pytest.raises(InstanceError, match="member of an archive cannot be copied; unpack the archive first"):
        store.copy_source("a.zip#a.dcm")


def test_another_process_opens_archives_of_its_own() -> None:
    store = ArchiveStore(MemoryStore({"a.zip": ARCHIVES["deflated.ZIP"]}))
    contents(store)

    assert contents(pickle.loads(pickle.dumps(store))) == contents(store)  # noqa: S301 - a copy of ours


@given(
    data=st.binary(max_size=2000),
    name=st.sampled_from(["a.zip", "a.tar", "a.tgz"]),
    at=st.integers(0, 3000),
    of=st.sampled_from(sorted(ARCHIVES)),
)
@settings(max_examples=100, deadline=None)
def test_whatever_the_bytes_are_only_instances_fail(data: bytes, name: str, at: int, of: str) -> None:
    whole = ARCHIVES[of]
    store = ArchiveStore(MemoryStore({name: whole[:at] + data + whole[at + len(data) :], "other": b"x"}))

    found = {stored.name: content(store, stored) for stored in store.list()}

    assert found["other"] == b"x"

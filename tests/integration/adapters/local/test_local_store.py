"""What a file system has and a bucket has not: links, pipes, closed folders, names that are no text."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import tempfile
import threading
import time
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.adapters.local.folder import long_paths, walk
from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.adapters.local.folder.walk import name_of_entry, path_of_name
from dicom_export.errors import InstanceError, InstanceGone, NotFound, PermissionDenied
from dicom_export.stored_object import Unlisted

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(root: Path, prefix: str = "") -> list[str]:
    return [stored.name for stored in FolderStore(root).list(prefix=prefix)]


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Run as a user for whom permissions count: for root they do not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that another user can reach too."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere/1")
    put(tmp_path / "store/real")
    (tmp_path / "store/file").symlink_to(tmp_path / "elsewhere/1")
    (tmp_path / "store/folder").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "store") == ["file", "folder/1", "real"]


def test_a_link_in_a_circle_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "a/b/1")
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to("self")
    assert names(tmp_path) == ["a/b/1"]
    assert "leads back" in caplog.text
    assert "leads to no file" in caplog.text


def test_what_is_no_regular_file_is_not_listed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    (tmp_path / "dangling").symlink_to("nowhere")
    put(tmp_path / "file")
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to(path), Path.mkdir])
def test_whatever_takes_a_files_place_does_not_stop_the_reader(tmp_path: Path, make: object) -> None:
    path = put(tmp_path / "a")
    (stored,) = FolderStore(tmp_path).list()
    path.unlink()
    assert callable(make)
    make(path)
    with pytest.raises(InstanceError, match="'a'"):
        FolderStore(tmp_path).read(stored, 0, 10)


def test_a_folder_that_vanishes_while_it_is_listed_is_as_if_empty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a/1", "b/1", "c/1"):
        put(tmp_path / name)
    listing = FolderStore(tmp_path).list()
    assert next(listing).name == "a/1"
    shutil.rmtree(tmp_path / "b")
    assert [stored.name for stored in listing] == ["c/1"]
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have each status take 1 ms, and return in which kinds of threads they are read."""
    threads = []

    def slow_status(path: str) -> os.stat_result:
        threads.append(threading.current_thread().name.rpartition("_")[0])
        time.sleep(0.001)
        return Path(path).stat()

    monkeypatch.setattr(walk, "status_of", slow_status)
    return threads


def test_a_slow_disk_is_listed_in_the_same_order_by_several_threads(tmp_path: Path, slow_disk: list[str]) -> None:
    for number in range(60):
        put(tmp_path / f"{number % 7}" / f"{number:02}", b"x" * number)
    put(tmp_path / "3-1/file")
    (tmp_path / "5/loop").symlink_to(tmp_path)
    (tmp_path / "5/nowhere").symlink_to(tmp_path / "no file")
    alone = list(FolderStore(tmp_path, readers=1).list())
    assert set(slow_disk) == {""}
    assert list(FolderStore(tmp_path).list()) == alone
    assert len(alone) == 61
    assert set(slow_disk) == {"", "ahead"}
    assert slow_disk.count("ahead") > 60


def test_a_listing_of_a_slow_disk_that_is_abandoned_ends_its_threads(tmp_path: Path, slow_disk: list[str]) -> None:
    for number in range(300):
        put(tmp_path / f"{number:03}")
    assert [stored.name for stored in islice(FolderStore(tmp_path).list(), 10)] == [
        f"{number:03}" for number in range(10)
    ]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
    assert len(slow_disk) < 300


def test_a_closed_folder_on_a_slow_disk_is_named_and_left_out(open_folder: Path, slow_disk: list[str]) -> None:
    for number in range(20):
        put(open_folder / f"a/{number:02}")
        put(open_folder / f"closed/{number:02}")
    (open_folder / "closed").chmod(0o644)
    unlisted: list[Unlisted] = []
    with as_ordinary_user():
        found = [stored.name for stored in FolderStore(open_folder).list(unlisted=unlisted.append)]
    (open_folder / "closed").chmod(0o755)
    assert found == [f"a/{number:02}" for number in range(20)]
    assert unlisted == [Unlisted("closed/", "Permission denied")]
    assert "ahead" in slow_disk


def test_a_file_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="not a folder"):
        names(put(tmp_path / "file"))


@pytest.mark.parametrize("mode", [0o000, 0o400])
def test_a_closed_folder_is_named_and_left_out(open_folder: Path, mode: int) -> None:
    put(open_folder / "a/secret/1")
    put(open_folder / "b")
    (open_folder / "a/secret").chmod(mode)
    unlisted: list[Unlisted] = []
    with as_ordinary_user():
        assert [stored.name for stored in FolderStore(open_folder).list(unlisted=unlisted.append)] == ["b"]
    assert unlisted == [Unlisted("a/secret/", "Permission denied")]


def test_a_closed_file_is_named(open_folder: Path) -> None:
    put(open_folder / "a").chmod(0)
    (stored,) = FolderStore(open_folder).list()
    with as_ordinary_user(), pytest.raises(PermissionDenied, match="'a' may not be read"):
        FolderStore(open_folder).read(stored, 0, 1)


def test_folders_without_the_prefix_are_not_even_opened(open_folder: Path) -> None:
    put(open_folder / "closed/1")
    put(open_folder / "open/1")
    (open_folder / "closed").chmod(0)
    with as_ordinary_user():
        assert names(open_folder, "open/") == ["open/1"]
        assert [stored.name for stored in FolderStore(open_folder).list(start_after="closed0")] == ["open/1"]


def test_the_folders_of_a_prefix_are_entered_without_a_look_at_what_is_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/x/1", "a/y/1", "b/1", "ü\\x41/1", "link"):
        put(tmp_path / name)
    (tmp_path / "c").symlink_to(tmp_path / "a")
    listed: list[str] = []

    def noted(path: str) -> object:
        listed.append(path)
        return long_paths.scanned(path)

    monkeypatch.setattr(walk, "scanned", noted)
    assert names(tmp_path, "a/y/") == ["a/y/1"]
    assert names(tmp_path, "a/") == ["a/x/1", "a/y/1"]
    assert names(tmp_path, "c/x/1") == ["c/x/1"]
    assert names(tmp_path, "ü\\x5cx41/") == ["ü\\x5cx41/1"]
    assert str(tmp_path) not in listed
    for nowhere in ("d/", "link/", "b/1/", "a//", "/", "../a/", "\ud800/"):
        assert names(tmp_path, nowhere) == []
    assert [stored.name for stored in FolderStore(tmp_path).list(prefix="a/", start_after="b")] == []


@given(st.binary(min_size=1).filter(lambda raw: b"/" not in raw and b"\0" not in raw and raw not in {b".", b".."}))
def test_a_uri_leads_back_to_the_file(raw: bytes) -> None:
    uri = FolderStore(Path("/store")).uri(name_of_entry(os.fsdecode(raw)))
    assert uri.isascii()
    assert unquote_to_bytes(uri.removeprefix("file://")) == b"/store/" + raw
    assert uri == Path(os.fsdecode(b"/store/" + raw)).as_uri()


def test_a_file_has_one_uri_however_its_folder_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store")
    monkeypatch.chdir(tmp_path)
    roots = (Path("store"), Path("link"), tmp_path / "store" / ".." / "link")
    assert {FolderStore(root).uri("a") for root in roots} == {(tmp_path / "store" / "a").resolve().as_uri()}


def test_a_name_that_is_no_text_can_be_listed_sent_and_read(tmp_path: Path) -> None:
    for raw in (b"caf\xe9", b"\\xe9", b"plain", b"\xff/\xfe"):
        path = os.fsencode(tmp_path) + b"/" + raw
        Path(os.fsdecode(path)).parent.mkdir(exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(raw)
    store = FolderStore(tmp_path)
    listed = list(store.list())
    assert [stored.name for stored in listed] == ["\\x5cxe9", "\\xff/\\xfe", "caf\\xe9", "plain"]
    for stored in listed:
        assert json.loads(json.dumps(stored.name).encode()) == stored.name
        assert store.get(stored.name) == stored
        assert store.uri(stored.name).startswith("file:///")
    assert [store.read(stored, 0, 9) for stored in listed] == [b"\\xe9", b"\xff/\xfe", b"caf\xe9", b"plain"]


@given(st.binary(min_size=1).filter(lambda raw: b"/" not in raw and b"\0" not in raw and raw not in {b".", b".."}))
def test_every_file_has_one_name_and_that_name_only_it(raw: bytes) -> None:
    name = name_of_entry(os.fsdecode(raw))
    name.encode()
    assert path_of_name(Path("/store"), name) == os.fsdecode(b"/store/" + raw)


@pytest.mark.parametrize("name", [r"\x2e\x2e/secret", r"a\x2f..\x2f..\x2fsecret", r"\x2e./secret", r"\x00", r"\x41"])
def test_a_name_that_looks_escaped_does_not_lead_out_of_the_root(tmp_path: Path, name: str) -> None:
    (tmp_path / "store/a").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"x")
    assert path_of_name(tmp_path / "store", name) is None
    assert FolderStore(tmp_path / "store").get(name) is None


def test_a_name_with_half_a_character_is_none(tmp_path: Path) -> None:
    assert FolderStore(tmp_path).get("\udce9") is None


@pytest.mark.parametrize("seconds", [-1, 0, 4_000_000_000])
def test_any_modification_time_is_listed(tmp_path: Path, seconds: int) -> None:
    os.utime(put(tmp_path / "a"), (seconds, seconds))
    (stored,) = FolderStore(tmp_path).list()
    assert stored.updated.timestamp() == seconds
    assert FolderStore(tmp_path).read(stored, 0, 1) == b"x"


def test_a_file_that_grew_is_gone_even_at_the_same_time(tmp_path: Path) -> None:
    path = put(tmp_path / "a", b"1")
    (stored,) = FolderStore(tmp_path).list()
    path.write_bytes(b"12")
    os.utime(path, ns=(stored.generation, stored.generation))
    with pytest.raises(InstanceGone):
        FolderStore(tmp_path).read(stored, 0, 1)

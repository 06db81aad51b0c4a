"""What only the deployment on one machine does with copies: links, other file systems, and files that change meanwhile."""

from __future__ import annotations

import errno
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.adapters.local.folder.copies import UNFINISHED, FolderCopies
from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.errors import InstanceGone, PermissionDenied, ResourceExhausted
from dicom_export.ports import CopyResult
from support.privileges import permissions_count

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_export.ports import UnfinishedCopy

NAME = "1.2/1.3/1.4.dcm"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/a").write_bytes(b"content")
    (tmp_path / "store/a").chmod(0o400)
    os.utime(tmp_path / "store/a", ns=(1, 1_600_000_000_123_456_789))
    return FolderStore(tmp_path / "store")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies"


def copy(store: FolderStore, root: Path, *, links: bool, name: str = NAME) -> CopyResult | UnfinishedCopy:
    stored = store.get("a")
    assert stored
    return FolderCopies(root, links=links).copy(store.uri("a"), stored, name)


def failing_link(number: int, times: int) -> Callable[..., None]:
    """Return a link that fails so many times with this error."""
    link, calls = os.link, []

    def fail(*arguments: Any, **options: Any) -> None:
        calls.append(arguments)
        if len(calls) <= times:
            raise OSError(number, os.strerror(number))
        link(*arguments, **options)

    return fail


def is_linked(store: FolderStore, root: Path) -> bool:
    return (store.root / "a").samefile(root / NAME)


def test_a_link_shares_the_file_and_a_copy_does_not(store: FolderStore, root: Path) -> None:
    assert copy(store, root, links=True) is CopyResult.MADE
    assert is_linked(store, root)
    (root / NAME).unlink()
    assert copy(store, root, links=False) is CopyResult.MADE
    assert not is_linked(store, root)
    assert (root / NAME).read_bytes() == b"content"
    assert (root / NAME).stat().st_mtime_ns == (store.root / "a").stat().st_mtime_ns


@pytest.mark.parametrize("links", [True, False])
def test_the_source_stays_as_it_is(store: FolderStore, root: Path, *, links: bool) -> None:
    before = (store.root / "a").stat()
    copy(store, root, links=links)
    after = (store.root / "a").stat()
    assert (after.st_mtime_ns, after.st_size, after.st_mode) == (before.st_mtime_ns, before.st_size, before.st_mode)
    assert (store.root / "a").read_bytes() == b"content"


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_where_no_link_is_possible_the_content_is_copied(
    store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "link", failing_link(number, 1))
    assert copy(store, root, links=True) is CopyResult.MADE
    assert not is_linked(store, root)
    assert (root / NAME).read_bytes() == b"content"


def test_on_a_file_system_without_links_a_name_is_given_only_once(
    store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing_link(errno.EPERM, 1000))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: copy(store, root, links=True), range(8)))
    assert sorted(each.name for each in results if isinstance(each, CopyResult)) == ["MADE", *["PRESENT"] * 7]
    assert (root / NAME).read_bytes() == b"content"


def test_a_symbolic_link_is_copied_as_the_file_that_it_leads_to(store: FolderStore, root: Path) -> None:
    (store.root / "a").rename(store.root.parent / "elsewhere")
    (store.root / "a").symlink_to(store.root.parent / "elsewhere")
    assert copy(store, root, links=True) is CopyResult.MADE
    assert not (root / NAME).is_symlink()
    assert (root / NAME).samefile(store.root.parent / "elsewhere")


def test_a_file_that_took_the_place_of_the_source_before_the_link_is_not_copied(
    store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def replace_first(source: str, target: Path) -> None:
        (store.root / "new").write_bytes(b"changed")
        (store.root / "new").replace(store.root / "a")
        link(source, target)

    monkeypatch.setattr(os, "link", replace_first)
    with pytest.raises(InstanceGone, match="'a' was replaced"):
        copy(store, root, links=True)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_a_file_that_changes_while_it_is_read_is_not_copied(
    store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread = os.pread

    def change_first(descriptor: int, length: int, start: int) -> bytes:
        os.utime(store.root / "a")
        return pread(descriptor, length, start)

    monkeypatch.setattr(os, "pread", change_first)
    with pytest.raises(InstanceGone, match="'a' was replaced"):
        copy(store, root, links=False)
    assert [path for path in root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", ["folder", "dangling link", "pipe"])
def test_what_is_not_a_file_is_another_content(store: FolderStore, root: Path, kind: str) -> None:
    path = root / NAME
    path.parent.mkdir(parents=True)
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case _:
            path.symlink_to("nowhere")
    assert copy(store, root, links=True) is CopyResult.NAME_TAKEN


def test_a_folder_that_may_not_be_written_is_named(store: FolderStore, root: Path) -> None:
    root.chmod(0o500)
    with permissions_count(), pytest.raises(PermissionDenied, match="cannot be written to"):
        copy(store, root, links=False)
    root.chmod(0o700)


def test_a_full_disk_stops_the_export(store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ResourceExhausted, match="is full"):
        copy(store, root, links=False)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_workers_that_end_at_different_times_do_not_disturb_each_other(store: FolderStore, root: Path) -> None:
    folder = FolderCopies(root, links=True)

    def work(number: int) -> object:
        result = copy(store, root, links=number % 2 == 0, name=f"1.2/1.3/{number}.dcm")
        folder.flush([f"1.2/1.3/{number}.dcm"])
        return result

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(200))) == {CopyResult.MADE}
    assert [path.name for path in root.iterdir()] == ["1.2"]


def test_what_a_killed_process_left_is_deleted_and_nothing_else(root: Path) -> None:
    (root / UNFINISHED).mkdir()
    for name in ("left", "left.copy", "made", "made.copy"):
        (root / UNFINISHED / name).touch()
    with (root / UNFINISHED / "made").open() as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        FolderCopies(root).check()
        assert sorted(path.name for path in (root / UNFINISHED).iterdir()) == ["made", "made.copy"]
    FolderCopies(root).flush([])
    assert list(root.iterdir()) == []


def test_a_link_to_a_part_of_the_store_is_a_part_of_it(store: FolderStore, root: Path) -> None:
    (root / "link").symlink_to(store.root)
    assert FolderCopies(root, "link/sub/").adds_to(store.uri(""))
    assert not FolderCopies(root, "sub/").adds_to(store.uri(""))

"""Folders that cannot be listed, too long or too deep paths, and ignored ones: none of them ends anything, none is forgotten."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.adapters.local.folder import long_paths, walk
from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.operations.planning import is_ignored, is_ignored_folder
from dicom_export.stored_object import Unlisted
from support.command_line import make_folder, rows, run
from support.dicom_files import make_instance
from support.privileges import permissions_count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

LEVELS = 1_200
COUNT = "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two instances, and one in each of two folders, of which `closed` may not be listed."""
    root = make_folder(tmp_path / "store")
    for number, name in enumerate(("closed", "open"), 2):
        (root / name).mkdir()
        (root / name / "a.dcm").write_bytes(make_instance(SOPInstanceUID=f"1.2.3.{number}"))
    return root


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out.duckdb"


@contextmanager
def closed(folder: Path, mode: int = 0) -> Iterator[None]:
    before = folder.stat().st_mode
    folder.chmod(mode)
    try:
        with permissions_count():
            yield
    finally:
        folder.chmod(before)


def run_closed(command: str, folder: Path, *options: object, mode: int = 0) -> Result:
    with closed(folder / "closed", mode):
        return run(command, folder, *options)


def listed(store: FolderStore) -> tuple[list[str], list[Unlisted]]:
    unlisted: list[Unlisted] = []
    return [stored.name for stored in store.list(unlisted=unlisted.append)], unlisted


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100])
def test_a_folder_that_may_not_be_listed_costs_only_itself_and_is_told(folder: Path, file: Path, mode: int) -> None:
    result = run_closed("export", folder, "--to", file, mode=mode)
    assert result.exit_code == 0, result.output
    assert "3 of 3 instances" in result.stdout
    assert "1 folder could not be listed:\n        closed/: Permission denied" in result.stdout
    assert "Warning: 'closed/' cannot be listed: Permission denied" in result.stderr
    assert rows(file, COUNT) == [(3, 3)]
    described = json.loads(run("operations", "describe", "--from", file, "--format", "json").stdout)
    assert described["metadata"]["unlistedFolders"] == "1"


@pytest.mark.parametrize("pattern", ["closed", "closed/", "closed/*", "c*/*", "*/a.dcm", "cl?sed"])
def test_an_ignored_folder_is_not_entered(folder: Path, file: Path, pattern: str) -> None:
    result = run_closed("export", folder, "--to", file, "--ignore", pattern)
    assert result.exit_code == 0, result.output
    is_entered = pattern == "*/a.dcm"  # there may be others in it
    assert ("could not be listed" in result.stdout) == is_entered
    assert rows(file, COUNT) == [(2 if is_entered else 3,) * 2]


@given(
    patterns=st.lists(st.text("ab/*?[]!", min_size=1, max_size=5), max_size=3).map(tuple),
    folder=st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join),
    below=st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=2).map("/".join),
)
def test_what_is_in_a_folder_that_is_not_entered_is_ignored(patterns: tuple[str, ...], folder: str, below: str) -> None:
    if is_ignored_folder(f"{folder}/", patterns) or is_ignored(folder, patterns):
        assert is_ignored(f"{folder}/{below}", patterns)
        assert is_ignored_folder(f"{folder}/", patterns)


def test_an_export_whose_root_may_not_be_listed_is_refused(folder: Path, file: Path) -> None:
    with closed(folder):
        result = run("export", folder, "--to", file)
    assert result.exit_code == 2
    assert "may not be read" in result.stderr


def test_a_folder_that_could_not_be_listed_is_counted_once_however_many_pages_see_it(tmp_path: Path) -> None:
    """It comes between two pages, and each of them meets it."""
    from dicom_export.bootstrap.local import local_deployment  # noqa: PLC0415 - as the command line does
    from dicom_export.operations.planning import PlanLimits  # noqa: PLC0415
    from dicom_export.operations.request import ExportRequest  # noqa: PLC0415
    from dicom_export.settings import LocalSettings  # noqa: PLC0415
    from support.factories import STORE, TABLE  # noqa: PLC0415

    root = tmp_path / "store"
    for name in ("a", "b", "c", "d", "e"):
        make_folder(root / name)
    settings = LocalSettings(
        tmp_path / "data",
        {STORE: root},
        datasets=((TABLE.project, TABLE.dataset),),
        limits=PlanLimits(bundle=1, split=1, page_tasks=1),
    )
    with closed(root / "c"), local_deployment(settings) as deployment:
        operation = deployment.service.create_export(ExportRequest(STORE, TABLE))
        deployment.wait()
        ended = deployment.service.get_operation(operation.name)
        assert ended.pages
        assert ended.pages > 3
        assert ended.counters
        assert (ended.counters.success, ended.counters.unlisted) == (8, 1)
        assert deployment.service.unlisted(operation.name) == [Unlisted("c/", "Permission denied")]


def verified(folder: Path, file: Path, *options: object) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run("verify", folder, "--from", file, "--format", "json", *options).stdout)
    return report


def test_verify_takes_no_row_of_a_folder_that_it_cannot_list_for_orphaned(folder: Path, file: Path) -> None:
    assert run("export", folder, "--to", file).exit_code == 0
    with closed(folder / "closed"):
        report = verified(folder, file)
        text = run("verify", folder, "--from", file)
    assert (report["orphaned"], report["unjudged"], report["differences"]) == (0, 1, [])
    assert report["unlisted"] == [{"name": "closed/", "reason": "Permission denied"}]
    assert text.exit_code == 0
    assert "1 folder could not be listed" in text.stdout
    assert "1 rows have no file among those that were listed" in text.stdout
    shutil.rmtree(folder / "closed")
    assert verified(folder, file)["orphaned"] == 1


def test_verify_still_finds_what_is_missing_beside_a_folder_that_it_cannot_list(folder: Path, file: Path) -> None:
    assert run("export", folder, "--to", file).exit_code == 0
    (folder / "new.dcm").write_bytes(make_instance(SOPInstanceUID="1.2.3.9"))
    with closed(folder / "closed"):
        assert verified(folder, file)["missing"] == 1
        assert verified(folder, file, "--repair")["missing"] == 0


DELETED = "SELECT SOPInstanceUID FROM dicom WHERE Type = 'DELETE' ORDER BY 1"


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100])
def test_watch_deletes_nothing_that_it_merely_cannot_list(folder: Path, file: Path, mode: int) -> None:
    assert run("watch", folder, "--to", file, "--once").exit_code == 0
    (folder / "000000.dcm").unlink()
    result = run_closed("watch", folder, "--to", file, "--once", mode=mode)
    assert result.exit_code == 0, result.output
    assert "1 folder could not be listed:\n        closed/: Permission denied" in result.stderr
    assert rows(file, DELETED) == [("1.2.3.4.1000000000000",)]
    (folder / "closed/a.dcm").unlink()
    assert "1 deleted" in run("watch", folder, "--to", file, "--once").stderr
    assert ("1.2.3.2",) in rows(file, DELETED)


def test_watch_deletes_nothing_that_is_behind_a_link_to_a_disk_that_is_not_there(folder: Path, file: Path) -> None:
    disk = folder.with_name("disk")
    (folder / "closed").rename(disk)
    (folder / "archive").symlink_to(disk)
    assert run("watch", folder, "--to", file, "--once").exit_code == 0
    disk.rename(folder.with_name("elsewhere"))
    assert run("watch", folder, "--to", file, "--once").exit_code == 0
    assert rows(file, DELETED) == []
    (folder / "archive").unlink()
    run("watch", folder, "--to", file, "--once")
    assert rows(file, DELETED) == [("1.2.3.2",)]


def test_watch_ends_and_deletes_nothing_when_the_root_may_not_be_listed(folder: Path, file: Path) -> None:
    assert run("watch", folder, "--to", file, "--once").exit_code == 0
    with closed(folder):
        result = run("watch", folder, "--to", file, "--once")
    assert result.exit_code == 2
    assert rows(file, DELETED) == []


@pytest.mark.parametrize("place", [".", "disk"])
def test_watch_deletes_nothing_because_a_disk_is_not_mounted(tmp_path: Path, file: Path, place: str) -> None:
    root = tmp_path / "store"
    disk = root / place
    disk.mkdir(parents=True)
    if mount("-t", "tmpfs", "tmpfs", disk):
        pytest.skip("only root may mount a disk")
    try:
        (disk / "a b").mkdir()
        for number in range(2):
            (disk / "a b" / f"{number}.dcm").write_bytes(make_instance(SOPInstanceUID=f"1.2.{number}"))
        assert run("watch", root, "--to", file, "--once").exit_code == 0
        (disk / "a b/1.dcm").unlink()
        assert run("watch", root, "--to", file, "--once").exit_code == 0
        assert rows(file, DELETED) == [("1.2.1",)]
    finally:
        subprocess.run([shutil.which("umount") or "umount", "--lazy", disk], check=True)
    result = run("watch", root, "--to", file, "--once")
    assert "is no longer mounted" in result.stderr
    assert result.exit_code == (2 if place == "." else 0)
    assert rows(file, DELETED) == [("1.2.1",)]
    (disk / "readme.txt").write_text("nothing is mounted here from now on")
    run("watch", root, "--to", file, "--once", "--ignore", "*.txt")
    assert rows(file, DELETED) == [("1.2.0",), ("1.2.1",)]


def mount(*arguments: object) -> int:
    command = [shutil.which("mount") or "mount", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.parametrize("failing", ["open", "iterate"])
def test_a_bad_disk_costs_only_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    scanned = long_paths.scanned

    @contextmanager
    def damaged(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scanned(path) as entries:
            if not path.endswith("/closed"):
                yield entries
                return
            bad = OSError(errno.EIO, "Input/output error")
            if failing == "open":
                raise bad

            def some() -> Iterator[os.DirEntry[str]]:
                yield next(entries)
                raise bad

            yield some()

    monkeypatch.setattr(walk, "scanned", damaged)
    names, unlisted = listed(FolderStore(folder))
    part = ["closed/a.dcm"] if failing == "iterate" else []
    assert names == ["000000.dcm", "000001.dcm", *part, "open/a.dcm"]
    assert unlisted == [Unlisted("closed/", "Input/output error")]


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Make a folder with an instance at the end of a path of 1,200 levels and 13,000 bytes, and another one."""
    root = tmp_path / "deep"
    root.mkdir()
    (root / "z.dcm").write_bytes(make_instance(SOPInstanceUID="1.2.3.8"))
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(LEVELS):
        os.mkdir("sub-folder", dir_fd=descriptor)
        below = os.open("sub-folder", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    end = os.open("a.dcm", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor)
    os.write(end, make_instance(SOPInstanceUID="1.2.3.9"))
    os.close(end)
    os.close(descriptor)
    yield root
    # shutil.rmtree goes no deeper than Python's stack.
    subprocess.run([shutil.which("rm") or "rm", "-rf", root], check=True)


def test_what_is_deep_below_is_exported_watched_and_verified(deep: Path, file: Path) -> None:
    assert "2 of 2 instances" in run("export", deep, "--to", file).stdout
    assert verified(deep, file)["instances"] == 2
    assert run("watch", deep, "--to", file, "--once").exit_code == 0
    assert rows(file, COUNT) == [(2, 2)]
    assert rows(file, DELETED) == []


def test_links_in_a_circle_are_listed_once(folder: Path) -> None:
    (folder / "open/up").symlink_to(folder)
    (folder / "open/other").symlink_to(folder / "closed")
    (folder / "closed/back").symlink_to(folder / "open")
    names, unlisted = listed(FolderStore(folder))
    assert "open/other/a.dcm" in names
    assert len(names) == len(set(names)) == 6
    assert unlisted == []

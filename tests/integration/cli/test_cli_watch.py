"""`dicom-export watch` as its users run it: a process, a folder that others write to, signals, kills, queries meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb
import pytest

from support.command_line import make_folder, rows, run, start
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COUNT = 1_000
LATEST = (
    "SELECT SOPInstanceUID FROM dicom QUALIFY ROW_NUMBER() OVER (PARTITION BY SOPInstanceUID ORDER BY LastUpdated DESC) = 1"
    " AND Type = 'CREATE' ORDER BY 1"
)
CREATED = "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom WHERE Type = 'CREATE'"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out.duckdb"


def write(path: Path, uid: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(make_instance(SOPInstanceUID=uid))


@contextmanager
def watching(folder: Path, file: Path, *options: object) -> Iterator[subprocess.Popen[str]]:
    """Run `watch` in the block, and end it as Ctrl-C does, if it did not end before."""
    process = start("watch", folder, "--to", file, *options)
    try:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=60)[1]
        assert process.returncode in {0, -signal.SIGKILL}, stderr
        # A process that decodes and had not yet begun shows one when its parent is killed.
        assert process.returncode or "Traceback" not in stderr
    finally:
        process.kill()
        process.communicate()


def found(file: Path, sql: str) -> list[tuple[object, ...]]:
    """Return what a query finds beside the watch, or nothing as long as there is no table or the file is in use."""
    try:
        return list(rows(file, sql))
    except (duckdb.IOException, duckdb.CatalogException):
        return []


def wait_for(is_so: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_comes_changes_is_renamed_and_goes_is_in_the_latest_view(folder: Path, file: Path) -> None:
    write(folder / "a/1.dcm", "1.1")
    write(folder / "a/2.dcm", "1.2")
    write(folder / "a/3.dcm", "1.3")
    with watching(folder, file) as process:
        wait_for(lambda: len(found(file, LATEST)) == 3, process)
        write(folder / "new/below/4.dcm", "1.4")
        (folder / "a/1.dcm").rename(folder / "a/renamed.dcm")
        (folder / "a/2.dcm").unlink()
        write(folder / "a/3.dcm", "1.5")
        wait_for(lambda: found(file, LATEST) == [("1.1",), ("1.4",), ("1.5",)], process)
        (folder / "a").rename(folder / "b")
        (folder / "new/below/4.dcm").unlink()
        wait_for(lambda: found(file, LATEST) == [("1.1",), ("1.5",)], process)
    assert rows(file, "SELECT Type, count(*) FROM dicom GROUP BY 1 ORDER BY 1") == [("CREATE", 5), ("DELETE", 3)]
    deleted = rows(file, "SELECT SourceObject FROM dicom WHERE Type = 'DELETE' AND SourceGeneration > 0")
    assert sorted(deleted) == [((folder / name).as_uri(),) for name in ("a/2.dcm", "a/3.dcm", "new/below/4.dcm")]


def test_what_is_moved_out_and_back_with_its_old_time_is_there(folder: Path, file: Path, tmp_path: Path) -> None:
    write(folder / "1.dcm", "1.1")
    with watching(folder, file) as process:
        wait_for(lambda: found(file, LATEST) == [("1.1",)], process)
        (folder / "1.dcm").rename(tmp_path / "1.dcm")
        wait_for(lambda: found(file, "SELECT count(*) FROM dicom") == [(2,)], process)
        (tmp_path / "1.dcm").rename(folder / "1.dcm")
        wait_for(lambda: found(file, LATEST) == [("1.1",)], process)


def test_what_another_process_copies_is_there_and_nothing_twice(folder: Path, file: Path, tmp_path: Path) -> None:
    source = make_folder(tmp_path / "source", COUNT)
    with watching(folder, file) as process:
        copy = "import shutil, sys; shutil.copytree(*sys.argv[1:])"
        subprocess.run([sys.executable, "-c", copy, source, folder / "copied"], check=True)
        wait_for(lambda: found(file, CREATED) == [(COUNT, COUNT)], process)
    assert rows(file, "SELECT count(*) FROM dicom") == [(COUNT,)]


@pytest.mark.parametrize("created", [1, COUNT // 2])
def test_a_killed_watch_goes_on_without_a_row_twice_or_missing(
    folder: Path, file: Path, tmp_path: Path, created: int
) -> None:
    shutil.move(make_folder(tmp_path / "source", COUNT), folder / "backlog")
    with watching(folder, file) as process:
        wal = file.with_name(f"{file.name}.wal")
        wait_for(
            lambda: (wal.exists() and wal.stat().st_size > created * 100) or len(found(file, CREATED)) > 0, process
        )
        process.kill()
    result = run("watch", folder, "--to", file, "--once")
    assert result.exit_code == 0, result.output
    assert rows(file, CREATED) == [(COUNT, COUNT)]


def test_what_was_exported_before_is_not_exported_again(folder: Path, file: Path) -> None:
    write(folder / "1.dcm", "1.1")
    write(folder / "2.dcm", "1.2")
    assert run("export", folder, "--to", file).exit_code == 0
    write(folder / "2.dcm", "1.2")
    (folder / "2.dcm").touch()
    write(folder / "3.dcm", "1.3")
    for _ in range(2):
        assert run("watch", folder, "--to", file, "--once").exit_code == 0
        assert rows(file, "SELECT SOPInstanceUID, count(*) FROM dicom GROUP BY 1 ORDER BY 1") == [
            ("1.1", 1),
            ("1.2", 2),
            ("1.3", 1),
        ]


@pytest.mark.parametrize("option", [(), ("--no-source-object",)])
def test_two_files_of_one_instance_are_not_exported_again(folder: Path, file: Path, option: tuple[str, ...]) -> None:
    for number, name in enumerate(["a", "b", "c"]):
        write(folder / f"{name}.dcm", "1.1")
        os.utime(folder / f"{name}.dcm", (1_000_000_000 + number, 1_000_000_000 + number))
    write(folder / "d.dcm", "1.2")
    assert run("export", folder, "--to", file, *option).exit_code == 0
    for _ in range(3):
        watched = run("watch", folder, "--to", file, "--once", *option)
        assert watched.exit_code == 0, watched.output
        assert "new" not in watched.stderr
        assert rows(file, "SELECT count(*) FROM dicom") == [(4,)]
    (folder / "c.dcm").unlink()
    for _ in range(2):  # the first of them adds the row that shows another file of the instance
        assert run("watch", folder, "--to", file, "--once", *option).exit_code == 0
        assert rows(file, "SELECT count(*) FROM dicom") == [(5,)]
        assert rows(file, LATEST) == [("1.1",), ("1.2",)]
    (folder / "a.dcm").unlink()
    (folder / "b.dcm").unlink()
    for _ in range(2):
        assert run("watch", folder, "--to", file, "--once", *option).exit_code == 0
    assert rows(file, LATEST) == [("1.2",)]


def test_after_an_overwrite_by_an_export_the_folder_is_in_the_table_once(
    folder: Path, file: Path, tmp_path: Path
) -> None:
    write(folder / "1.dcm", "1.1")
    assert run("watch", folder, "--to", file, "--once").exit_code == 0
    write(tmp_path / "other/2.dcm", "1.2")
    overwritten = run("export", tmp_path / "other", "--to", file, "--write-disposition", "write-truncate")
    assert overwritten.exit_code == 0
    for _ in range(2):
        assert run("watch", folder, "--to", file, "--once").exit_code == 0
        assert rows(file, "SELECT SOPInstanceUID FROM dicom ORDER BY 1") == [("1.1",), ("1.2",)]


def test_a_file_in_the_making_is_no_failure(folder: Path, file: Path) -> None:
    content = make_instance(SOPInstanceUID="1.1")
    with watching(folder, file) as process:
        with (folder / "1.dcm").open("wb") as slowly:
            slowly.write(content[: len(content) // 2])
            slowly.flush()
            write(folder / "2.dcm", "1.2")
            wait_for(lambda: found(file, LATEST) == [("1.2",)], process)
            slowly.write(content[len(content) // 2 :])
        wait_for(lambda: found(file, LATEST) == [("1.1",), ("1.2",)], process)
        process.send_signal(signal.SIGTERM)
        assert "failed" not in process.communicate(timeout=60)[1]
    assert rows(file, CREATED) == [(2, 2)]


def test_what_is_no_instance_is_said_once(folder: Path, file: Path) -> None:
    (folder / "notes.txt").write_text("\0no DICOM")
    (folder / "list.csv").write_text("no DICOM either")
    first = run("watch", folder, "--to", file, "--once", "--ignore", "*.csv")
    assert first.exit_code == 1
    assert "1 failed" in first.stderr
    assert "notes.txt: Not DICOM" in first.stderr
    assert "list.csv" not in first.stderr
    second = run("watch", folder, "--to", file, "--once", "--ignore", "*.csv")
    assert second.exit_code == 0
    assert "failed" not in second.stderr


def test_the_file_may_lie_in_the_folder_that_is_watched(folder: Path) -> None:
    file = folder / "out.duckdb"
    write(folder / "1.dcm", "1.1")
    with watching(folder, file) as process:
        wait_for(lambda: found(file, LATEST) == [("1.1",)], process)
        write(folder / "2.dcm", "1.2")
        wait_for(lambda: len(found(file, LATEST)) == 2, process)
        process.send_signal(signal.SIGINT)
        assert "failed" not in process.communicate(timeout=60)[1]


def test_a_file_that_another_process_has_open_is_waited_for(folder: Path, file: Path) -> None:
    write(folder / "1.dcm", "1.1")
    with duckdb.connect(str(file)), watching(folder, file) as process:
        pass_on = process.stderr
        assert pass_on
        while "is open in another process" not in pass_on.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_a_file_that_is_none_of_duckdbs_is_refused(folder: Path, file: Path) -> None:
    file.write_text("precious")
    result = run("watch", folder, "--to", file)
    assert result.exit_code == 2
    assert "is not a DuckDB file" in result.stderr
    assert file.read_text() == "precious"


def test_a_folder_that_is_too_deep_for_events_is_watched_by_scans(folder: Path, file: Path) -> None:
    deep = folder
    for _ in range(11):
        deep = deep / "/".join(["d"] * 100)
        deep.mkdir(parents=True)
    write(folder / "a.dcm", "1.1")
    write(deep / "b.dcm", "1.2")
    with watching(folder, file) as process:
        wait_for(lambda: found(file, LATEST) == [("1.1",), ("1.2",)], process)
    subprocess.run([shutil.which("rm") or "rm", "-rf", folder], check=True)

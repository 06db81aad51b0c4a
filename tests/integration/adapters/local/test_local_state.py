"""State in files: what a crash, a second process and a full disk do to it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from dicom_export.adapters.local.folder import files
from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.errors import InvalidArgument, PermissionDenied, ResourceExhausted

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import sys
from pathlib import Path
from dicom_export.adapters.local.folder.state import FolderState
state = FolderState(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(10**6):
    state.create(f"created/{number:06}", b"%06d" % number * 1000, {"number": str(number)})
    operation = state.read("operation")
    state.replace("operation", b"%06d" % number * 1000, operation.version)
"""
RACER = """
import sys
from pathlib import Path
from dicom_export.adapters.local.folder.state import FolderState
state = FolderState(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print([n for n in range(100) if state.create(f"race/{n}", sys.argv[2].encode())], flush=True)
for _ in range(50):
    while not (stored := state.read("count")) or not state.replace("count", b"%d" % (int(stored.content) + 1), stored.version):
        pass
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def test_whoever_is_killed_leaves_whole_objects_only(tmp_path: Path) -> None:
    state = FolderState(tmp_path)
    state.create("operation", b"begin!" * 1000)
    for milliseconds in range(1, 40, 5):
        process = start(WRITER, str(tmp_path))
        go(process)
        time.sleep(milliseconds / 1000)
        process.kill()
        process.communicate()
        operation = state.read("operation")
        assert operation
        assert operation.content == operation.content[:6] * 1000
        for entry in state.list("created/"):
            stored = state.read(entry.path)
            assert stored
            assert stored.content == b"%06d" % int(entry.metadata["number"]) * 1000
        assert state.replace("operation", b"begin!" * 1000, operation.version)
    assert list(state.list("created/"))


def test_processes_that_race_create_each_object_once_and_lose_no_count(tmp_path: Path) -> None:
    state = FolderState(tmp_path)
    state.create("count", b"0")
    racers = [start(RACER, str(tmp_path), name) for name in "AB"]
    for racer in racers:
        go(racer)
    won = [eval(racer.communicate()[0]) for racer in racers]  # noqa: S307 - a list that the script above printed
    assert sorted(won[0] + won[1]) == list(range(100))
    for numbers, name in zip(won, "AB", strict=True):
        assert {state.read(f"race/{n}").content for n in numbers} <= {name.encode()}  # type: ignore[union-attr]
    count = state.read("count")
    assert count
    assert count.content == b"100"


def test_leftovers_are_never_listed_and_go_when_they_are_old(tmp_path: Path) -> None:
    FolderState(tmp_path).create("a", b"")
    (tmp_path / "temporary/old").write_bytes(b"half")
    (tmp_path / "temporary/new").write_bytes(b"half")
    os.utime(tmp_path / "temporary/old", (0, 0))
    assert [entry.path for entry in FolderState(tmp_path).list("")] == ["a"]
    assert [path.name for path in (tmp_path / "temporary").iterdir()] == ["new"]


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "../a", "a/../../b", "a\0"])
def test_no_path_leaves_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidArgument, match="not the path"):
        FolderState(tmp_path).create(path, b"")


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, ResourceExhausted), (errno.EDQUOT, ResourceExhausted), (errno.EROFS, PermissionDenied)],
)
def test_a_disk_that_takes_nothing_is_told_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    state = FolderState(tmp_path)

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error, match=str(tmp_path)):
        state.create("a", b"")
    assert state.read("a") is None
    assert not list((tmp_path / "temporary").iterdir())


def test_a_file_system_without_hard_links_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", fail)
    state = FolderState(tmp_path)
    assert state.create("a", b"1") is True
    target = tmp_path / "objects/a"
    assert files.create_file(target, [b"2"], temporary=tmp_path / "temporary", lock=tmp_path / "lock") is False
    assert not list((tmp_path / "temporary").iterdir())
    stored = state.read("a")
    assert stored
    assert stored.content == b"1"

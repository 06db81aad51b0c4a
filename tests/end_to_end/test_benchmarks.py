"""The benchmarks run, at a size that says nothing about speed: what they claim to measure is really done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from slow_disk import obstacle, slow_disk

if TYPE_CHECKING:
    from pathlib import Path

TABLES = 6
TINY = (
    *("--scale", "0.005", "--sizes", "20", "--ways", "20", "--slow", "20", "--repeats", "1"),
    *("--events", "5", "--objects", "2000", "--instances", "80"),
)


def run(root: Path, script: str, *arguments: str) -> str:
    folders = (root / "bench", root / "tests")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    command = [sys.executable, str(root / "bench" / script), *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.requires_shared("corpus")
def test_one_run_measures_everything_and_writes_it_between_the_markers(root: Path, tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text((root / "docs" / "benchmarks.md").read_text())
    printed = run(root, "report.py", *TINY, "--write", str(page))
    measures_slow_disks = not obstacle()
    assert printed.count("| --- |") == TABLES + measures_slow_disks
    assert printed.strip() in page.read_text()
    for workload in (
        "CT series",
        "CT, first of kind",
        "enhanced MR",
        "rtplan.dcm",
        "pydicom's test files",
        "of many kinds",
        "with views and source columns",
        "append, nothing new",
        "append, 1 new",
        "verify, from the listing",
        "hard links",
        "zip, stored",
        "tar.gz",
        "frames, JSON",
        *(
            ("2 ms per open, read and stat", "watch --once")
            if measures_slow_disks
            else ("Not measured on this machine",)
        ),
    ):
        assert workload in printed
    again = page.read_text()
    assert again.startswith("# Benchmarks")
    assert "## What is not in it" in again


def test_a_get_of_an_operation_asks_the_state_equally_often_whatever_its_size(root: Path) -> None:
    small, large = (json.loads(run(root, "planner.py", size)) for size in ("500", "5000"))
    assert large[2] > small[2]
    assert large[5:7] == small[5:7]


def test_a_slow_disk_has_the_files_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for number in range(300):
        path = folder / f"{number % 3}" / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number % 256]) * number * 1000)
    if why := obstacle():
        assert why.startswith("a file system in user space cannot be mounted")
        return
    with slow_disk(folder, tmp_path / "mounted", open_ms=0, read_ms=0, stat_ms=1) as mounted:
        assert _files(mounted) == _files(folder)
    assert not any((tmp_path / "mounted").iterdir())


def _files(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

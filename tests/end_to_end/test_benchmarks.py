"""The benchmarks run, at a size that says nothing about speed: what they claim to measure is really done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TABLES = 6
TINY = ("--scale", "0.005", "--sizes", "20", "--ways", "20", "--events", "5", "--objects", "2000", "--instances", "80")


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
    assert printed.count("| --- |") == TABLES
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
    ):
        assert workload in printed
    again = page.read_text()
    assert again.startswith("# Benchmarks")
    assert "## What is not in it" in again


def test_a_get_of_an_operation_asks_the_state_equally_often_whatever_its_size(root: Path) -> None:
    small, large = (json.loads(run(root, "planner.py", size)) for size in ("500", "5000"))
    assert large[2] > small[2]
    assert large[5:7] == small[5:7]

"""Poison files among good ones, exported in a control group of 1 GiB: every good one is a row, each poison file one failure or one row.

    python -m soak.containers [--instances N] [--copies N] [--runs N] [--megabytes N] [--raised]

The kernel kills whoever takes more (`soak.control_group`). With `--raised` the limits of an object are raised until the kernel does kill processes
that decode. Every further run has to come to the same.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soak.control_group import limited
from soak.poison import write_poison
from support.command_line import make_folder, rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soak.control_group import ControlGroup

RAISED = {
    "DICOM_EXPORT_MAX_HEADER_BYTES": str(1 << 30),
    "DICOM_EXPORT_MAX_INFLATED_BYTES": str(1 << 30),
    "DICOM_EXPORT_MAX_VALUES": "50000000",
}
_PROGRAM = str(Path(sys.executable).with_name("dicom-export"))


@dataclass(frozen=True)
class Exported:
    """What came of an export: how it ended, its counters, the reasons of the files that failed, how many rows of how many instances."""

    exit_code: int
    success: int
    failures: Mapping[str, str]
    rows: tuple[int, int]
    stderr: str


def wrong_with(exported: Exported, instances: int, poison: Mapping[str, str]) -> list[str]:
    """Return what is wrong with an export of so many good instances and the poison files."""
    wrong = []
    if exported.exit_code not in (0, 1):
        wrong.append(f"exit code {exported.exit_code}: {exported.stderr[-500:]}")
    if good := sorted(set(exported.failures) - set(poison)):
        wrong.append(f"{len(good)} good files failed, the first {good[0]}: {exported.failures[good[0]]}")
    expected = instances + len(poison) - len(exported.failures)
    if (exported.success, exported.rows[0]) != (expected, expected):
        wrong.append(f"{exported.success} were counted, and {exported.rows[0]} are rows; expected {expected}")
    if exported.rows[1] != instances:
        wrong.append(f"{exported.rows[1]} of {instances} good instances are rows")
    return wrong


def export(group: ControlGroup, folder: Path, file: Path, environment: Mapping[str, str]) -> Exported:
    """Export the folder by a process in the group."""
    command = [
        _PROGRAM,
        "export",
        str(folder),
        "--to",
        str(file),
        "--write-disposition",
        "write-truncate",
        "--format",
        "json",
    ]
    done = subprocess.run(
        command,
        preexec_fn=group.enter,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        return Exported(done.returncode, 0, {}, (0, 0), done.stderr)
    operation = json.loads(done.stdout)
    failures = {each["object"]: each["message"] for each in _failures(file)}
    success = int(operation["metadata"]["counter"].get("success", 0))
    ((count, good),) = rows(
        file,
        "SELECT count(*), count(DISTINCT SOPInstanceUID) FILTER (SOPInstanceUID LIKE '1.2.3.4.1000000______') FROM dicom",
    )
    return Exported(done.returncode, success, failures, (count, good), done.stderr)


def _failures(file: Path) -> list[dict[str, Any]]:
    command = [_PROGRAM, "operations", "failures", "--from", str(file), "--format", "json"]
    return [json.loads(line) for line in subprocess.run(command, capture_output=True, check=True).stdout.splitlines()]


@dataclass(frozen=True)
class Sizes:
    """How much of it: good instances, copies of each poison file, runs, and the memory of the group."""

    instances: int = 1_000
    copies: int = 2
    runs: int = 2
    megabytes: int = 1_024


def run(root: Path, sizes: Sizes, environment: Mapping[str, str]) -> list[str]:
    """Export again and again, print the figures and the reason of each poison file, and return what is wrong."""
    folder = make_folder(root / "store", sizes.instances)
    poison, file = write_poison(folder, sizes.copies), root / "out.duckdb"
    wrong: list[str] = []
    found: list[Exported] = []
    for number in range(1, sizes.runs + 1):
        begun = time.monotonic()
        with limited(sizes.megabytes) as group:
            exported = export(group, folder, file, environment)
            print(
                f"run {number}: {exported.rows[1]:,} of {sizes.instances:,} good instances are rows; of {len(poison)} poison files"
                f" {len(exported.failures)} are failures and {exported.rows[0] - exported.rows[1]} rows; {sizes.megabytes:,} MiB,"
                f" peak {group.peak_bytes >> 20:,} MiB with the kernel's file cache, {group.kills} processes killed,"
                f" {time.monotonic() - begun:.0f} s",
                flush=True,
            )
        wrong += [f"run {number}: {each}" for each in wrong_with(exported, sizes.instances, poison)]
        found.append(exported)
    if any(_reasons(each) != _reasons(found[0]) for each in found):
        wrong.append("the runs fail different files, or for different reasons")
    for what in dict.fromkeys(poison.values()):
        reasons = {found[0].failures.get(name, "a row") for name, tried in poison.items() if tried == what}
        print(f"  {what}: {' / '.join(sorted(reasons))}")
    return wrong


def _reasons(exported: Exported) -> dict[str, str]:
    """Return why files failed, without the sizes of rows, which have the length of a time in them."""
    return {name: re.sub(r"\d+ bytes", "… bytes", reason) for name, reason in exported.failures.items()}


def main() -> None:
    """Export in a control group. Ends with an error if anything was wrong."""
    parser = argparse.ArgumentParser()
    for each in fields(Sizes):
        parser.add_argument(f"--{each.name}", type=int, default=each.default)
    parser.add_argument(
        "--raised", action="store_true", help="raise the limits of an object, so that processes are killed"
    )
    options = vars(parser.parse_args())
    environment = RAISED if options.pop("raised") else {}
    root = Path(tempfile.mkdtemp(prefix="dicom-export-soak-", dir="/var/tmp"))  # a disk: files in memory would count
    try:
        wrong = run(root, Sizes(**options), environment)
    finally:
        shutil.rmtree(root)
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()

"""A store that changes while it is read: files are written, overwritten, cut short, renamed and deleted by another process.

`python -m soak.changing_store [--seconds N]`
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from multiprocessing import Event
from typing import TYPE_CHECKING, Any

from dicom_export.bootstrap.local import local_operations
from dicom_export.folder_export.places import state_of
from soak.forks import command, forked, scratch
from support.command_line import rows
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event as Stop
    from pathlib import Path

STEADY, CHANGING = 300, 300
_CONTENT = "SELECT SOPInstanceUID, PatientComments, Type FROM dicom"
_LATEST = f"{_CONTENT} QUALIFY ROW_NUMBER() OVER (PARTITION BY SOPInstanceUID ORDER BY LastUpdated DESC) = 1"


@dataclass
class Figures:
    """How many changes there were, and what was wrong."""

    rounds: int = 0
    changes: int = 0
    rows: int = 0
    failures: int = 0
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.rounds} rounds, {self.changes:,} changes meanwhile, {self.rows:,} rows, {self.failures:,} files failed,"
            f" {len(self.wrong)} wrong"
        )


def run(seconds: float, seed: int = 0) -> Figures:
    """Export, and watch, a folder that changes, again and again."""
    figures, begun = Figures(), time.monotonic()
    for number in count():
        if figures.rounds and time.monotonic() - begun > seconds:
            return figures
        root = scratch() / f"changing-{number}"
        _round(root, figures, seed + number)
        shutil.rmtree(root)
        figures.rounds += 1
    return figures


def _round(root: Path, figures: Figures, seed: int) -> None:
    folder, file = root / "store", root / "out.duckdb"
    for number in range(STEADY + CHANGING):
        _write(_path(folder, number), number, 0)
    forked(partial(command, "watch", folder, "--to", file, "--once"))
    stop, changes = Event(), multiprocessing.Value("i", 0)
    writer = multiprocessing.get_context("fork").Process(target=_change, args=(folder, stop, changes, seed))
    writer.start()
    try:
        exported = forked(partial(command, "export", folder, "--to", file, "--table", "exported")).value
        figures.wrong += forked(partial(_wrong_after_export, exported, file)).value
        forked(partial(command, "watch", folder, "--to", file, "--once"))
    finally:
        stop.set()
        writer.join()
    assert writer.exitcode == 0
    forked(partial(command, "watch", folder, "--to", file, "--once"))
    figures.wrong += forked(partial(_wrong_after_watch, folder, file)).value
    verified = forked(partial(command, "verify", folder, "--from", file)).value
    if verified["exit_code"]:
        figures.wrong.append(f"verify found differences after the last look: {verified['stdout'][:300]}")
    figures.changes += changes.value
    found, failed = forked(partial(_counted, file)).value
    figures.rows += found
    figures.failures += failed


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number % 7}" / f"{number:04d}.dcm"


def _content(number: int, version: int) -> bytes:
    # The size tells versions apart as well: two writes may fall into one tick of the file system's clock.
    return make_instance(
        SOPInstanceUID=f"1.2.{number}", PatientComments=f"version {version}" + " " * (version * 2 % 50)
    )


def _write(path: Path, number: int, version: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_content(number, version))


def _change(folder: Path, stop: Stop, changes: Any, seed: int) -> None:
    """Change the files after the steady ones until it is to stop; then let each be whole or gone."""
    chance = random.Random(seed)
    for version in count(1):
        if stop.is_set():
            break
        number = chance.randrange(STEADY, STEADY + CHANGING)
        path = _path(folder, number)
        kind = chance.choice(("write", "write", "delete", "cut", "rename"))
        if kind == "write":
            _write(path, number, version)
        elif kind == "cut":
            path.write_bytes(_content(number, version)[: chance.randrange(400)])
        elif kind == "delete":
            path.unlink(missing_ok=True)
        elif path.exists():
            path.rename(path.with_suffix(".moved"))
            path.with_suffix(".moved").rename(path)
        changes.value = version
        time.sleep(0.001)
    for number in range(STEADY, STEADY + CHANGING):
        path = _path(folder, number)
        path.with_suffix(".moved").unlink(missing_ok=True)
        if path.exists():
            _write(path, number, 1_000_000 + number)


def _wrong_after_export(exported: dict[str, Any], file: Path) -> list[str]:
    """Return what is wrong: every steady instance is a row, no row twice, and each row or failure is counted."""
    wrong = []
    if exported["exit_code"] not in {0, 1} or "Traceback" in exported["stderr"]:
        wrong.append(f"export ended with {exported['exit_code']}: {exported['stderr'][-300:]}")
    found = rows(file, _CONTENT.replace("FROM dicom", "FROM exported"))
    uids = {uid for uid, _, _ in found}
    if missing := [number for number in range(STEADY) if f"1.2.{number}" not in uids]:
        wrong.append(f"{len(missing)} files that did not change have no row")
    if half := [row for row in found if not str(row[1]).startswith("version ")]:
        wrong.append(f"{len(half)} rows of a half file")
    service = local_operations(state_of(file))
    (_, operation), *_ = service.list_operations(next(service.journal.operations.parents()))
    counters = operation.counters
    if counters is None or counters.success != len(found) or counters.pending:
        wrong.append(f"{counters} and {len(found)} rows")
    return wrong


def _wrong_after_watch(folder: Path, file: Path) -> list[str]:
    """Return what is wrong: the latest rows are the files as they are now."""
    latest = {uid: comments.strip() for uid, comments, kind in rows(file, _LATEST) if kind == "CREATE"}
    there = {}
    for number in range(STEADY + CHANGING):
        if _path(folder, number).exists():
            there[f"1.2.{number}"] = f"version {0 if number < STEADY else 1_000_000 + number}"
    return [] if latest == there else [f"{len(set(latest.items()) ^ set(there.items()))} differences from the folder"]


def _counted(file: Path) -> tuple[int, int]:
    service = local_operations(state_of(file))
    (_, operation), *_ = service.list_operations(next(service.journal.operations.parents()))
    [(found,)] = rows(file, "SELECT (SELECT count(*) FROM dicom) + (SELECT count(*) FROM exported)")
    return found, operation.counters.failure if operation.counters else 0


def main() -> None:
    """Print the figures. Ends with an error if anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60, help="how long to begin new rounds")
    options = parser.parse_args()
    figures = run(options.seconds)
    print(figures.line())
    shutil.rmtree(scratch())
    sys.exit("\n".join(figures.wrong) or 0)


if __name__ == "__main__":
    main()

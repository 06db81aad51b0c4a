"""A disk that fills up at ten sizes while `export`, `watch` and `verify --repair` run; then space, and the same command again.

Root mounts the disk, a tmpfs. `python -m soak.full_disk [--rooms KIB …] [--command NAME …]`
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from soak.forks import command, forked, scratch
from support.command_line import make_folder, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

INSTANCES = 600
ROOMS = (0, 16, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192)
"""How much is free when the command begins, in KiB."""
_ENOUGH = "size=300m"
_COUNTED = "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom"
_COMMANDS = {
    "export write-empty": ("export", "--to", "--write-disposition", "write-empty"),
    "export write-append": ("export", "--to", "--write-disposition", "write-append"),
    "export write-truncate": ("export", "--to", "--write-disposition", "write-truncate"),
    "watch --once": ("watch", "--to", "--once"),
    "verify --repair": ("verify", "--from", "--repair"),
}


@dataclass
class Figures:
    """How many runs met a full disk, and what was wrong."""

    runs: int
    full: int
    wrong: list[str]

    def line(self, name: str) -> str:
        return f"{name:24} {self.runs:3} sizes {self.full:3} full {len(self.wrong):3} wrong"


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """Give a file system of its own, that can be made small. Raises PermissionError to whom may not mount one."""
    path.mkdir(parents=True)
    if mount("-t", "tmpfs", "-o", _ENOUGH, "tmpfs", path):
        raise PermissionError("a small disk is a tmpfs, and only root may mount one")
    try:
        yield path
    finally:
        subprocess.run([shutil.which("umount") or "umount", "--lazy", path], check=True)


def mount(*arguments: object) -> int:
    """Mount, and return the exit code."""
    command_line = [shutil.which("mount") or "mount", *map(str, arguments)]
    return subprocess.run(command_line, capture_output=True, check=False).returncode


def run(name: str, rooms: Sequence[int] = ROOMS) -> Figures:
    """Run a command with so much room, and again with enough of it."""
    figures = Figures(0, 0, [])
    folder = scratch() / "store"
    if not folder.exists():
        make_folder(folder, INSTANCES)
    for room in rooms:
        with small_disk(scratch() / f"disk-{name.replace(' ', '-')}-{room}") as disk:
            full, wrong = _run(name, folder, disk, room)
        figures.runs += 1
        figures.full += full
        if wrong:
            figures.wrong.append(f"{name} with {room} KiB: {wrong}")
    return figures


def _run(name: str, folder: Path, disk: Path, room: int) -> tuple[bool, str]:
    file = disk / "out.duckdb"
    subcommand, option, *options = _COMMANDS[name]
    arguments = (subcommand, folder, option, file, *options)
    if subcommand == "verify":
        forked(partial(command, "export", folder, "--to", file, "--ignore", "*5.dcm", "--ignore", "*6.dcm"))
    used = os.statvfs(disk)
    kilobytes = (used.f_blocks - used.f_bfree) * used.f_frsize // 1_024
    assert mount("-o", f"remount,size={kilobytes + room + 4}k", disk) == 0
    first: dict[str, Any] = forked(partial(command, *arguments)).value
    assert mount("-o", f"remount,{_ENOUGH}", disk) == 0
    is_full = first["exit_code"] != 0
    if is_full and "free space" not in first["stderr"]:
        return True, f"the full disk is not told: {first['stderr'][-300:]}"
    if is_full:
        second: dict[str, Any] = forked(partial(command, *arguments)).value
        if second["exit_code"]:
            return True, f"exit code {second['exit_code']}: {second['stderr'][-300:]}"
    found = forked(partial(rows, file, _COUNTED)).value
    left = list(file.with_name("out.duckdb.state").glob("streams/*/*.arrow"))
    return is_full, "" if found == [[INSTANCES, INSTANCES]] and not left else f"{found} rows, {len(left)} streams"


def main() -> None:
    """Print the figures. Ends with an error if anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rooms", type=int, nargs="+", default=ROOMS, help="KiB that are free, for one run each")
    parser.add_argument("--command", nargs="+", default=[""], help="only commands whose name contains one of these")
    options = parser.parse_args()
    begun, runs, wrong = time.monotonic(), 0, []
    for name in _COMMANDS:
        if any(part in name for part in options.command):
            figures = run(name, options.rooms)
            print(figures.line(name), flush=True)
            runs += figures.runs
            wrong += figures.wrong
    print(f"{runs} runs in {time.monotonic() - begun:,.0f} s, {len(wrong)} wrong")
    shutil.rmtree(scratch())
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()

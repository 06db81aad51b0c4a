"""Instances per second from a disk that answers slowly, with and without reading ahead."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from local_export import run
from peers import recipe
from slow_disk import obstacle, slow_disk
from tables import print_section, print_table
from ways import count, expect, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_export import Run

SAMPLE = 200
MS = 2
HEAD = (
    "disk",
    "command",
    "instances",
    "one at a time, instances/s",
    "read ahead, instances/s",
    "ratio",
    "processor seconds",
)
NOTE = f"""\
One folder of CT and MR instances with 512 bytes of pixels, on the local disk with all files in the cache of the system, and as a file system in user space shows it, which
answers each open and each read after {MS} ms, or also each stat; any number of them at once. Each command is a process of its own, its start included, and
sees a new mount. It runs with `DICOM_EXPORT_READS_AT_ONCE=1`, so that each decoding process reads one file at a time, and as by default, several times in turn; the fastest of each
counts. Processor seconds are those of these two runs, without the file system's. Pydicom's recipe reads {SAMPLE} of the files, one after the other, in a process that has started."""
_ONE = {"DICOM_EXPORT_READS_AT_ONCE": "1"}


class Disk(NamedTuple):
    """A disk, and whether its opens, reads and stats are slow."""

    name: str
    reads: int = 0
    stats: int = 0


LOCAL = Disk("local")
SLOW_READS = Disk(f"{MS} ms per open and read", MS)
SLOW = Disk(f"{MS} ms per open, read and stat", MS, MS)


def print_network_drive(instances: int, repeats: int) -> None:
    """Print the section for a folder of so many instances."""
    print_section("Slow disks", NOTE)
    if why := obstacle():
        print(f"Not measured on this machine, because {why}.\n", flush=True)
    else:
        print_table(HEAD, _rows(instances, repeats))


def _rows(instances: int, repeats: int) -> Iterator[tuple[str, ...]]:
    with tempfile.TemporaryDirectory(prefix="dicom-export-slow-") as name:
        root = Path(name)
        (root / "store").mkdir()
        write_files(root / "store", range(instances))
        yield _recipe(root)
        for disk in (LOCAL, SLOW_READS, SLOW):
            yield _compared(root, disk, "export", instances, repeats)
        for command in ("verify", "watch"):
            yield _compared(root, SLOW, command, instances, repeats)


def _recipe(root: Path) -> tuple[str, ...]:
    with _mounted(root, SLOW_READS) as folder:
        files = sorted(folder.rglob("*.dcm"))
        chosen = files[:: max(1, len(files) // SAMPLE)]
        begin = time.perf_counter()
        for path in chosen:
            recipe(path.read_bytes())
        seconds = time.perf_counter() - begin
    return SLOW_READS.name, "pydicom's recipe", f"{len(chosen):,}", f"{len(chosen) / seconds:,.0f}", "—", "—", "—"


def _compared(root: Path, disk: Disk, command: str, instances: int, repeats: int) -> tuple[str, ...]:
    """Return the row of a command. Raises SystemExit if it did not find all instances."""
    both = [[_ran(root, disk, command, instances, each) for each in (_ONE, {})] for _ in range(repeats)]
    before, after = (min(runs, key=lambda ran: ran.seconds) for runs in zip(*both, strict=True))
    return (
        disk.name,
        command if command != "watch" else "watch --once",
        f"{instances:,}",
        f"{instances / before.seconds:,.0f}",
        f"{instances / after.seconds:,.0f}",
        f"{before.seconds / after.seconds:.1f} ×",
        f"{before.processor_seconds:,.1f}, {after.processor_seconds:,.1f}",
    )


def _ran(root: Path, disk: Disk, command: str, instances: int, environment: dict[str, str]) -> Run:
    with tempfile.TemporaryDirectory(dir=root) as name, _mounted(root, disk) as folder:
        file = Path(name) / "out.duckdb"
        if command == "export":
            ran = run("export", folder, "--to", file, **environment)
        elif command == "watch":
            ran = run("watch", folder, "--to", file, "--once", "--quiet", **environment)
        else:
            run("export", root / "store", "--to", file, "--no-source-object")
            ran = run("verify", folder, "--from", file, **environment)
            expect(f"{instances} instances compared" in ran.output.replace(",", ""), ran.output)
        expect(count(file, "SELECT count(*) FROM dicom") == instances, f"{command} on {disk.name}: {ran.output}")
    return ran


@contextmanager
def _mounted(root: Path, disk: Disk) -> Iterator[Path]:
    if disk is LOCAL:
        yield root / "store"
        return
    mount_point = root / "mounted"
    with slow_disk(root / "store", mount_point, open_ms=disk.reads, read_ms=disk.reads, stat_ms=disk.stats) as folder:
        yield folder
    mount_point.rmdir()

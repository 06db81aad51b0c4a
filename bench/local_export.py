"""Instances per second and peak memory of `dicom-export export`, from a folder of warm files to a DuckDB file."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from peers import recipe
from support.archive import Archive
from tables import print_section, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STUDIES, SERIES, INSTANCES = 80, 1, 50
ARCHIVE = STUDIES * SERIES * INSTANCES
"""Files that are made; a larger folder has each of them several times, by hard links, in studies with other names."""

SAMPLE = 300
MIXED = Path(__file__).resolve().parents[2] / "shared" / "corpus"
HEAD = ("instances", "seconds", "instances/s", "pydicom's recipe, instances/s", "ratio", "peak memory, MiB")
NOTE = f"""\
`dicom-export export FOLDER --to FILE.duckdb` as a process, its start included, on all cores; CT and MR with 512 bytes of pixels. There are {ARCHIVE:,} files. A larger
folder has hard links to them, one copy of all files after the other. So all files are in the cache of the system, and a series comes again long after it was forgotten.
Pydicom's recipe runs right before, file by file in one process, on {SAMPLE} of the same files. Memory is the proportional set size of all processes together, measured
twice a second. If the folder `shared` is next to the checkout, the last row is its corpus of real files of many kinds: nearly every file has columns that the
table does not have yet."""


def print_local_export(sizes: Sequence[int]) -> None:
    """Print the section for so many instances each."""
    print_section("Local export, end to end", NOTE)
    print_table(HEAD, _rows(sizes))


def _rows(sizes: Sequence[int]) -> Iterator[tuple[str, ...]]:
    with tempfile.TemporaryDirectory(prefix="dicom-export-bench-") as root:
        archive = make_archive(Path(root) / "archive")
        for size in sizes:
            folder = Path(root) / str(size)
            link(archive, folder, size)
            peer = _recipe_rate(archive)
            seconds, peak = exported(folder, Path(root) / f"{size}.duckdb", size)
            rate = size / seconds
            yield (
                f"{size:,}",
                f"{seconds:,.1f}",
                f"{rate:,.0f}",
                f"{peer:,.0f}",
                f"{rate / peer:.1f} ×",
                f"{peak / 2**20:,.0f}",
            )
        if MIXED.is_dir():
            yield _mixed(Path(root) / "mixed.duckdb")


def _mixed(file: Path) -> tuple[str, ...]:
    """Return the row of the corpus, of which some files are broken on purpose."""
    output, seconds, _, peak = run("export", MIXED, "--to", file)
    found = re.match(r"([\d,]+) of ([\d,]+) instances", output)
    if not found:
        raise SystemExit(f"The corpus was not exported:\n{output}")
    instances = int(found[1].replace(",", ""))
    what = f"{instances:,} of many kinds"
    return what, f"{seconds:,.1f}", f"{instances / seconds:,.0f}", "—", "—", f"{peak / 2**20:,.0f}"


def make_archive(root: Path) -> list[tuple[str, Path]]:
    """Write the files, and return them with their names."""
    store = Archive(studies=STUDIES, series=SERIES, instances=INSTANCES)
    root.mkdir()
    files = [(store.name(number), root / f"{number}.dcm") for number in range(len(store))]
    for number, (_, path) in enumerate(files):
        path.write_bytes(store.data(number))
    return files


def link(archive: Sequence[tuple[str, Path]], folder: Path, size: int) -> None:
    """Fill a folder with so many hard links to the files."""
    for number in range(size):
        name, path = archive[number % ARCHIVE]
        target = folder / f"1.{number // ARCHIVE + 1000}.{name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target)


def _recipe_rate(archive: Sequence[tuple[str, Path]]) -> float:
    begin = time.perf_counter()
    chosen = archive[:: max(1, len(archive) // SAMPLE)]
    for _, path in chosen:
        recipe(path.read_bytes())
    return len(chosen) / (time.perf_counter() - begin)


def exported(folder: Path, file: Path, size: int) -> tuple[float, int]:
    """Return the seconds that an export takes, and its peak memory in bytes. Raises SystemExit if not all came to be rows."""
    output, seconds, _, peak = run("export", folder, "--to", file)
    if f"{size:,} of {size:,} instances" not in output and f"{size} of {size} instances" not in output:
        raise SystemExit(f"Not all of {size} instances were exported:\n{output}")
    return seconds, peak


class Run(NamedTuple):
    """What a command printed, the seconds and the processor seconds that it took, and its peak memory in bytes."""

    output: str
    seconds: float
    processor_seconds: float
    peak: int


def run(*arguments: object, **environment: str) -> Run:
    """Run `dicom-export` with the arguments, and these variables in its environment, to its end, whatever its exit code is."""
    program = Path(sys.executable).with_name("dicom-export")
    begin, used = time.perf_counter(), _processor_seconds()
    with subprocess.Popen(  # noqa: S603 - our own program
        [program, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        peak = PeakMemory(process.pid)
        output = process.communicate()[0]
    return Run(output, time.perf_counter() - begin, _processor_seconds() - used, peak.bytes())


def _processor_seconds() -> float:
    """Return the processor time of all processes that this one started and that ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class PeakMemory:
    """The most memory that a process and all below it had at once, from now until it ends."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def bytes(self) -> int:
        """Return it once the process has ended."""
        self._watcher.join()
        return self._most

    def _watch(self) -> None:
        while now := sum(map(_proportional_bytes, _tree(self._pid))):
            self._most = max(self._most, now)
            time.sleep(0.5)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            yield from _tree(int(child))


def _proportional_bytes(pid: int) -> int:
    """Return the process' memory, of what it shares its part; 0 once it has ended."""
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""

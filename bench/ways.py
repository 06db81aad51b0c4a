"""Instances per second and memory of each way to export, verify and copy a folder, every command a process of its own."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from local_export import run
from support.archive import Archive
from support.multiframe import write_multiframe
from tables import print_section, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local_export import Run

STUDY = 50
FRAMES, FRAMES_DIVISOR = 1_000, 100
"""Frames of an enhanced instance; as each takes as long as a hundred others, there is one in so many."""

NEW_DIVISOR = 20
HEAD = ("way", "instances", "seconds", "instances/s", "processor seconds", "peak memory, MiB")
NOTE = f"""\
One folder of CT and MR instances with 512 bytes of pixels, {STUDY} per study, and one command per row, its start included. Seconds therefore have a part that does not
grow with the folder: about a second for an export. Memory is the proportional set size of all processes together.

- export: flattened schema, without views and source columns, and then as by default, with both.
- append: `--write-disposition write-append` into the table of the row before, first when nothing changed, then after one new file for every {NEW_DIVISOR}. Instances are all
  those of the folder.
- verify: of a table without SourceObject, for which each header is read and the new files are missing, and of one with it, for which the listing is enough.
- export of files: hard links.
- archives: the same files in one ZIP archive without compression, and in one .tar.gz.
- enhanced MR: instances of {FRAMES:,} frames, in the JSON schema."""


def print_ways(instances: int) -> None:
    """Print the section for a folder of so many instances."""
    print_section("Ways to export", NOTE)
    print_table(HEAD, _rows(instances))


def _rows(instances: int) -> Iterator[tuple[str, ...]]:
    with tempfile.TemporaryDirectory(prefix="dicom-export-ways-") as name:
        for way in (_tables, _links, _archives, _multiframe):
            root = Path(name) / way.__name__
            root.mkdir()
            yield from way(root, instances)


def _tables(root: Path, instances: int) -> Iterator[tuple[str, ...]]:
    folder, plain, full = root / "store", root / "plain.duckdb", root / "full.duckdb"
    write_files(folder, range(instances))
    yield _export("export, rows only", instances, folder, "--to", plain, "--no-views", "--no-source-object")
    yield _export("export, with views and source columns", instances, folder, "--to", full)
    expect(count(full, "SELECT count(*) FROM dicomView") == instances, "the view has other rows")
    append = ("export", folder, "--to", full, "--write-disposition", "write-append")
    yield _row("append, nothing new", instances, run(*append), f"{instances} files have a row in the table already")
    added = max(1, instances // NEW_DIVISOR)
    write_files(folder, range(instances, instances + added))
    yield _row(f"append, {added:,} new", instances + added, run(*append), f"{added} of {added} instances")
    expect(count(full, "SELECT count(*) FROM dicom") == instances + added, "rows were added twice, or not at all")
    compared = f"{instances + added} instances compared"
    for name, file in (("verify, headers read", plain), ("verify, from the listing", full)):
        yield _row(name, instances + added, run("verify", folder, "--from", file), compared)


def _links(root: Path, instances: int) -> Iterator[tuple[str, ...]]:
    folder, target = root / "store", root / "files"
    write_files(folder, range(instances))
    ran = run("export-files", folder, "--to", target)
    yield _row("export of files, hard links", instances, ran, f"{instances} of {instances} instances")
    links = [path.stat().st_nlink for path in target.rglob("*.dcm")]
    expect(links == [2] * instances, f"{len(links)} files with {set(links)} links")


def _archives(root: Path, instances: int) -> Iterator[tuple[str, ...]]:
    for name, pack in (("archive, zip, stored", _zip), ("archive, tar.gz", _tar)):
        folder = root / pack.__name__
        folder.mkdir()
        pack(folder, _files(range(instances)))
        yield _export(name, instances, folder, "--to", root / f"{pack.__name__}.duckdb", "--archives")


def _multiframe(root: Path, instances: int) -> Iterator[tuple[str, ...]]:
    some = max(1, instances // FRAMES_DIVISOR)
    write_multiframe(root / "store", some, FRAMES)
    file = root / "out.duckdb"
    yield _export(f"enhanced MR, {FRAMES:,} frames, JSON", some, root / "store", "--to", file, "--schema", "json")
    whole = f"json_array_length(Metadata, '$.\"52009230\".Value') = {FRAMES}"
    expect(count(file, f"SELECT count(*) FROM dicom WHERE {whole}") == some, "frames are missing")  # noqa: S608 - our own


def _export(name: str, instances: int, *arguments: object) -> tuple[str, ...]:
    return _row(name, instances, run("export", *arguments), f"{instances} of {instances} instances")


def _row(name: str, instances: int, ran: Run, expected: str) -> tuple[str, ...]:
    """Return the table's row. Raises SystemExit if the command did not print what is expected."""
    expect(expected in ran.output.replace(",", ""), f"{name}: {ran.output}")
    return (
        name,
        f"{instances:,}",
        f"{ran.seconds:,.1f}",
        f"{instances / ran.seconds:,.0f}",
        f"{ran.processor_seconds:,.1f}",
        f"{ran.peak / 2**20:,.0f}",
    )


def _files(numbers: range) -> Iterator[tuple[str, bytes]]:
    archive = Archive(studies=-(-numbers.stop // STUDY), series=1, instances=STUDY)
    return ((archive.name(number), archive.data(number)) for number in numbers)


def write_files(folder: Path, numbers: range) -> None:
    """Write these instances into the folder, in a folder per study."""
    for name, data in _files(numbers):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _zip(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        for name, data in files:
            archive.writestr(name, data)


def _tar(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    with tarfile.open(folder / "archive.tar.gz", "w:gz") as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def count(file: Path, sql: str) -> int:
    """Return the number that the query of the file gives."""
    with duckdb.connect(str(file), read_only=True) as connection:
        found = connection.execute(sql).fetchone()
    return int(found[0]) if found else 0


def expect(is_so: bool, otherwise: str) -> None:  # noqa: FBT001 - the claim, as of an assertion
    """Raise SystemExit if a row would claim what was not done."""
    if not is_so:
        raise SystemExit(otherwise)

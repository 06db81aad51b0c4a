"""The API of a small archive, served on this machine by a process of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from pydicom.data import get_testdata_file

from dicom_export.names import DatasetName, StoreName

if TYPE_CHECKING:
    from collections.abc import Iterator

STORE = StoreName(DatasetName("my-project", "us-central1", "imaging"), "archive")
BROKEN_STORE = StoreName(STORE.parent, "broken")
INSTANCES = ("CT_small.dcm", "MR_small.dcm")
CT_STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
BQ_DATASET = "my-project.dicom"
FILTER_URI = "gs://filters/ct.txt"

_START_SECONDS = 120


@dataclass(frozen=True)
class Archive:
    """A store of two instances, one with an object that is none, a bucket of filter files, and where exports go."""

    folder: Path

    @property
    def log(self) -> Path:
        """Return what the server wrote to its standard output and error since it was started last."""
        return self.folder / "server.log"

    @property
    def command(self) -> list[str]:
        """Return what serves the archive at a free port."""
        return [
            str(Path(sys.executable).with_name("dicom-export")),
            "serve",
            f"--store={STORE}={self.folder / 'store'}",
            f"--store={BROKEN_STORE}={self.folder / 'broken'}",
            f"--bucket=filters={self.folder / 'filters'}",
            f"--data={self.folder / 'data'}",
            f"--bq-dataset={BQ_DATASET}",
            "--port=0",
        ]

    def count_rows(self, table: str) -> int:
        """Return how many rows a table has, once the server has ended: DuckDB lets in one process at a time."""
        with duckdb.connect(self.folder / "data" / "my-project.duckdb", read_only=True) as database:
            row = database.execute(f'SELECT COUNT(*) FROM dicom."{table}"').fetchone()  # noqa: S608 - a test's own name
        assert row
        return int(row[0])


def make_archive(folder: Path) -> Archive:
    """Lay out an archive in an empty folder."""
    for name in ("store", "broken", "filters"):
        (folder / name).mkdir()
    for name in INSTANCES:
        shutil.copy(str(get_testdata_file(name)), folder / "store")
    (folder / "broken" / "notes.txt").write_text("\0no DICOM")
    (folder / "filters" / "ct.txt").write_text(f"/studies/{CT_STUDY}\r\n")
    return Archive(folder)


@contextmanager
def running(archive: Archive) -> Iterator[str]:
    """Serve the archive, and return the root of the API, which ends with a slash."""
    with serving(archive) as (endpoint, _):
        yield endpoint


@contextmanager
def serving(archive: Archive) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve the archive, and return the root of the API with the process."""
    with (
        archive.log.open("w") as output,
        subprocess.Popen(archive.command, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield _endpoint(archive.log, process), process
        finally:
            process.terminate()


def _endpoint(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := re.search(r"^Listening on (http://[\d.:]+/) ", log.read_text(), re.MULTILINE):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"The server did not start:\n{log.read_text()}")

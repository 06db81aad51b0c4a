"""Use DuckDB files as BigQuery projects: one connection to all of them, with bookkeeping next to the user's tables."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import duckdb

from dicom_export.adapters.local.duckdb import bookkeeping
from dicom_export.adapters.local.duckdb.new_files import create_database, literal
from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.adapters.local.folder.files import disk_full
from dicom_export.errors import (
    Aborted,
    FailedPrecondition,
    Internal,
    InUse,
    NotFound,
    PermissionDenied,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "preserve_insertion_order": False,
    # A checkpoint rewrites the last row group: the larger the threshold and the smaller the group, the less is written
    # twice. Measured with 1,000 rows of 300 columns a commit: half as fast again as with DuckDB's own 16 MB and 122,880
    # rows, and no slower at 200,000 rows than at 50,000. After a crash 256 MB of log are replayed in some seconds.
    "checkpoint_threshold": "256MB",
}
_ROW_GROUP_SIZE = 16_384
# DuckDB holds the values of so many rows of a group at once, and a third of that besides, when it commits or checkpoints a column.
_ROWS_AT_ONCE = 2_048
_MARGIN = 1.33
COMMIT_BYTES = 64_000_000
"""Bytes of rows that one transaction adds at most, but for the row that exceeds it: DuckDB holds what a transaction adds several times."""

# What a checkpoint finds of large rows: a log as long as the threshold above, and the commit that exceeds it.
_LARGE_ROWS_AT_ONCE = 256_000_000 + 2 * COMMIT_BYTES
_OF_THE_MACHINE = (
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.ConnectionException,
    duckdb.InterruptException,
    duckdb.TransactionException,
)
_ABOUT_VALUES = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
    duckdb.ConstraintException,
)


class Catalogs:
    """The DuckDB files of the projects, each attached when it is first used.

    A project's file is the one in `files`, else `PROJECT.duckdb` in the directory. `memory_limit` is DuckDB's for all of
    them together, in bytes; what does not fit goes to files in `spill`. Large rows raise it: see `make_room`.

    A checkpoint merges small groups of rows, and holds 2,048 rows of a group at once. Of large rows that would be gigabytes. While somebody
    reads, DuckDB merges nothing. So once there are large rows, a reader is there at every checkpoint.
    """

    def __init__(
        self, files: Mapping[str, Path], directory: Path | None, *, spill: Path, memory_limit: int = 512_000_000
    ) -> None:
        self._files = files
        self._directory = directory
        self._memory_limit = memory_limit
        settings = {**_SETTINGS, "memory_limit": _kilobytes(memory_limit), "temp_directory": str(spill)}
        self._connection = duckdb.connect(":memory:", config=settings)
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        if directory and not files:
            self._confine(directory, spill)
        self._attached: set[str] = set()
        self._lock = threading.Lock()
        self._has_large_rows = False

    def _confine(self, *folders: Path) -> None:
        """Let DuckDB open nothing but what is in these folders: a server also runs the queries of others."""
        allowed = ", ".join(literal(f"{folder.absolute()}/") for folder in folders)
        self._connection.execute(f"SET GLOBAL allowed_directories = [{allowed}]")
        self._connection.execute("SET GLOBAL enable_external_access = false")

    @contextmanager
    def cursor(self, project: str, dataset: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection for one use by one thread. Raises NotFound if the dataset's project has no file."""
        file = self._file(project)
        if file is None or not file.exists():
            raise dataset_not_found(project, dataset)
        with self._errors(file):
            self._attach(project, file)
            with self._connection.cursor() as cursor:
                yield cursor

    @contextmanager
    def transaction(self, project: str, dataset: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection whose changes become visible together at the end, or not at all."""
        with self.cursor(project, dataset) as cursor:
            cursor.begin()
            try:
                yield cursor
            except BaseException:
                with suppress(duckdb.Error):  # the first error says more than that there is nothing to roll back
                    cursor.rollback()
                raise
            with self._merging_nothing(project):
                cursor.commit()

    def make_room(self, row_bytes: float) -> None:
        """Raise the memory limit to the needs of rows of this size: with less, DuckDB can never commit them."""
        with self._lock:
            self._has_large_rows |= _ROWS_AT_ONCE * row_bytes > _LARGE_ROWS_AT_ONCE
            self._raise_limit(min(_ROWS_AT_ONCE * row_bytes, _LARGE_ROWS_AT_ONCE))

    @contextmanager
    def _merging_nothing(self, project: str) -> Iterator[None]:
        """Keep checkpoints of the project's file from merging groups of rows, once there are large ones."""
        if not self._has_large_rows:
            yield
            return
        with self._connection.cursor() as reader:
            reader.begin()
            bookkeeping.identity(reader, catalog(project))
            yield
            reader.rollback()

    def _raise_limit(self, held: float) -> None:
        needed = int(held * _MARGIN)
        if needed > self._memory_limit:
            self._connection.execute(f"SET GLOBAL memory_limit = '{_kilobytes(needed)}'")
            self._memory_limit = needed

    def _make_room_for_log(self, file: Path) -> None:
        """Raise the memory limit to the needs of the log that a killed process left: its rows are committed again."""
        log = file.with_name(f"{file.name}.wal")
        if log.exists():
            self._raise_limit(log.stat().st_size)

    def create(self, project: str) -> None:
        """Create the project's file if there is none."""
        file = self._file(project)
        if file is None:
            raise NotFound(f"Project {project} was not found; there is {', '.join(sorted(self._files)) or 'none'}")
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._errors(file):
            self._attach(project, file)

    def projects(self) -> list[str]:
        """Return the projects that have a file."""
        found = {name for name, file in self._files.items() if file.exists()}
        if self._directory:
            found |= {unquote(file.stem) for file in self._directory.glob("*.duckdb")}
        return sorted(found)

    def file(self, project: str) -> Path:
        """Return the project's file. Raises NotFound if it has none."""
        found = self._file(project)
        if found is None or not found.exists():
            raise NotFound(f"Project {project} was not found; there is {', '.join(self.projects()) or 'none'}")
        return found

    def close(self) -> None:
        """Close every file. DuckDB then writes its log into the file."""
        for project in sorted(self._attached) if self._has_large_rows else ():
            # If this fails, DuckDB checkpoints the file when it is opened next.
            with suppress(duckdb.Error), self._merging_nothing(project):
                self._connection.execute(f"CHECKPOINT {catalog(project)}")
        self._connection.close()

    def _file(self, project: str) -> Path | None:
        if project in self._files:
            return self._files[project]
        return self._directory / f"{quote(project, safe='')}.duckdb" if self._directory else None

    def _attach(self, project: str, file: Path) -> None:
        with self._lock:
            if project in self._attached:
                return
            if not file.exists():
                create_database(file)
            self._make_room_for_log(file)
            self._connection.execute(
                f"ATTACH IF NOT EXISTS {path_literal(file)} AS {catalog(project)}"
                f" (TYPE duckdb, ROW_GROUP_SIZE {_ROW_GROUP_SIZE})"
            )
            with self._connection.cursor() as cursor:
                bookkeeping.create(cursor, catalog(project))
                bookkeeping.drop_expired_staging(cursor, catalog(project))
            self._attached.add(project)

    @contextmanager
    def _errors(self, file: Path) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise translated(error, file) from error


def _kilobytes(number: int) -> str:
    return f"{number // 1000} KB"


def path_literal(file: Path) -> str:
    """Return the file's path as SQL: absolute, because `:memory:` and `sqlite:x` are no files to DuckDB.

    For the same reason it goes with `TYPE duckdb`: a JSON file would be attached as a database in memory.
    """
    return literal(str(file.absolute()))


def catalog(project: str) -> str:
    """Return the attached catalog's name as SQL: not the bare project, which could be one that DuckDB reserves."""
    return quoted(f"project:{project}")


def dataset_not_found(project: str, dataset: str) -> NotFound:
    """Return the error for a dataset that does not exist."""
    return NotFound(f"Dataset {project}.{dataset} was not found; create it with --bq-dataset {project}.{dataset}")


def translated(error: duckdb.Error, file: Path) -> Exception:
    """Return the error of this system for a DuckDB error, without its text, which may quote a value.

    Problems of the files or the machine may be gone at the next attempt; mistakes in a statement will not.
    """
    text = str(error)
    path = repr(str(file))
    name = type(error).__name__
    if isinstance(error, duckdb.TransactionException) and "onflict" in text:
        return Aborted(f"Another writer changed {path} at the same time")
    if isinstance(error, _ABOUT_VALUES):  # they may quote any text, also that of another error
        return Internal(f"DuckDB refused a statement on {path}: {name}")
    known = {
        "No space left on device": disk_full(file.parent),
        "Disk quota exceeded": disk_full(file.parent),
        "Could not set lock on file": InUse(f"{path} is open in another process: close that one first"),
        "not a valid DuckDB database file": FailedPrecondition(f"{path} is not a DuckDB file: it is left as it is"),
        "Is a directory": FailedPrecondition(f"{path} is a folder; expected a DuckDB file"),
        "Permission denied": PermissionDenied(f"{path} may not be opened for writing"),
        "Read-only file system": PermissionDenied(f"{path} may not be opened for writing"),
        "already exists": FailedPrecondition(f"{path} has something else of that name: {text}"),
    }
    for symptom, meaning in known.items():
        if symptom in text:
            return meaning
    if isinstance(error, _OF_THE_MACHINE):
        return Unavailable(f"DuckDB cannot work on {path} at the moment: {name}")
    return Internal(f"DuckDB refused a statement on {path}: {name}")

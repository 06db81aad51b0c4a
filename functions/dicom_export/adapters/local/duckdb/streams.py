"""Keep rows until their commit: one folder per stream, one Arrow file per append."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pyarrow as pa

from dicom_export.adapters.local.folder.files import create_file, disk_errors, exclusive
from dicom_export.errors import FailedPrecondition, Internal, InvalidArgument, NotFound
from dicom_export.names import TableName

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

ABANDONED_SECONDS = 24 * 3600
EXPIRED_SECONDS = 30 * ABANDONED_SECONDS
_NAME = re.compile(
    r"projects/(?P<project>[^/]+)/datasets/(?P<dataset>[^/]+)/tables/(?P<table>[^/]+)/streams/(?P<id>[0-9a-f]{32})"
)
_IDENTITY = re.compile(r"[0-9a-f]{32}")
_FILE_NAME = re.compile(r"(\d{12})-(\d{12})\.arrow")


class Streams:
    """Streams in a folder, that survive the death of their writer at any point and can be committed by another process.

    A stream's folder holds `START-END.arrow` for the rows of each append, and `finalized` with the number of all rows. A file
    appears at once with its whole content. `spill` in the same folder is not touched.

    While it is open, no other process deletes streams as unneeded.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._use = os.open(root, os.O_RDONLY)
        self._closing = threading.Lock()
        if self._is_alone():
            _remove(root / "spill")  # what a process that was killed had no memory for
        self._share()

    def close(self) -> None:
        """Close the folder, so that other processes may delete streams."""
        with self._closing:
            if self._use >= 0:
                os.close(self._use)
            self._use = -1

    def keep(self, needed: Collection[str]) -> None:
        """Delete all streams except those that are needed, unless another process has the folder open."""
        if self._is_alone():
            kept = {self._folder(stream) for stream in needed}
            for folder in self._root.iterdir():
                if folder not in kept and _IDENTITY.fullmatch(folder.name):
                    _remove(folder)
        self._share()

    def has(self, stream: str) -> bool:
        """Return whether the stream is there, so that it can be committed."""
        return (self._folder(stream) / "finalized").exists()

    def open(self, table: TableName) -> str:
        """Return the name of a new stream."""
        identity = uuid.uuid4().hex
        with disk_errors(self._root):
            (self._root / identity).mkdir(parents=True)
        return f"{streams_of(table)}{identity}"

    def append(self, stream: str, offset: int, batch: pa.RecordBatch) -> None:
        """Add rows. Raises InvalidArgument for a gap, FailedPrecondition after the end, NotFound without a stream."""
        with self._locked(stream) as folder:
            if (folder / "finalized").exists():
                raise FailedPrecondition(f"Stream {stream} is finalized: it takes no more rows")
            spans = _spans(folder)
            end = spans[-1][1] if spans else 0
            if any(start == offset for start, _ in spans) or batch.num_rows == 0:
                return
            if offset != end:
                raise InvalidArgument(f"Stream {stream} has {end} rows: the next append is at {end}, not at {offset}")
            self._create(folder, f"{offset:012d}-{offset + batch.num_rows:012d}.arrow", _encoded(batch))

    def finalize(self, stream: str) -> int:
        """End the stream and return its number of rows."""
        with self._locked(stream) as folder:
            spans = _spans(folder)
            rows = spans[-1][1] if spans else 0
            self._create(folder, "finalized", str(rows).encode())
            return int((folder / "finalized").read_bytes())

    def batches(self, stream: str, start: int = 0) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a finalized stream after the first so many, which are those of whole appends.

        Raises NotFound if there is no stream of that name.
        """
        folder = self._folder(stream)
        if not folder.is_dir():
            raise _not_found(stream)
        if not (folder / "finalized").exists():
            raise FailedPrecondition(f"Stream {stream} is not finalized: its rows cannot be committed yet")
        rows = start
        for begin, end in _spans(folder):
            if begin < start:
                continue
            with (
                pa.memory_map(str(folder / f"{begin:012d}-{end:012d}.arrow")) as source,
                pa.ipc.open_stream(source) as reader,
            ):
                yield from reader
            rows += end - begin
        if rows != int((folder / "finalized").read_bytes()):
            raise Internal(f"Stream {stream} lost rows: {rows} are left")

    def discard(self, stream: str) -> None:
        """Delete the stream's files, if there are any."""
        _remove(self._folder(stream))

    def remove_expired(self) -> None:
        """Delete streams that nobody will commit: those that a dead writer left open, and finalized ones after 30 days."""
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            seconds = EXPIRED_SECONDS if (folder / "finalized").exists() else ABANDONED_SECONDS
            if _IDENTITY.fullmatch(folder.name) and _age(folder) > seconds:
                _remove(folder)

    def _is_alone(self) -> bool:
        """Return whether no other process has the folder open; then none can open it before the lock is shared again."""
        try:
            fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # somebody else has it, or a network file system locks no folders, so that it cannot be told
            return False
        return True

    def _share(self) -> None:
        with suppress(OSError):  # as above
            fcntl.flock(self._use, fcntl.LOCK_SH)

    @contextmanager
    def _locked(self, stream: str) -> Iterator[Path]:
        folder = self._folder(stream)
        with disk_errors(self._root):
            try:
                with exclusive(folder / "lock"):
                    yield folder
            except FileNotFoundError as error:
                raise _not_found(stream) from error

    def _create(self, folder: Path, name: str, content: bytes | memoryview) -> None:
        create_file(folder / name, (content,), temporary=folder / "temporary", lock=folder / "rename-lock")

    def _folder(self, stream: str) -> Path:
        match = _NAME.fullmatch(stream)
        if not match:
            raise InvalidArgument(f"{stream!r} is not the name of a stream")
        return self._root / match["id"]


def streams_of(table: TableName) -> str:
    """Return the prefix of the names of the table's streams."""
    return f"projects/{table.project}/datasets/{table.dataset}/tables/{table.table}/streams/"


def table_of(stream: str) -> TableName:
    """Return the table that the stream was opened for."""
    match = _NAME.fullmatch(stream)
    if not match:
        raise InvalidArgument(f"{stream!r} is not the name of a stream")
    return TableName(match["project"], match["dataset"], match["table"])


def _spans(folder: Path) -> list[tuple[int, int]]:
    """Return the first and the last row of each append, in order."""
    matches = (_FILE_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted((int(match[1]), int(match[2])) for match in matches if match)


def _encoded(batch: pa.RecordBatch) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return memoryview(sink.getvalue())


def _not_found(stream: str) -> NotFound:
    return NotFound(f"Stream {stream} was not found: it was committed, discarded, or never opened")


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):  # nothing is there, or somebody else removes it at the same time
        shutil.rmtree(folder)


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0

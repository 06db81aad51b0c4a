"""A folder as a DICOM store."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_export.adapters.local.files import NO_SUCH_NAME
from dicom_export.adapters.local.walk import path_of_name, walk
from dicom_export.errors import InstanceError, InstanceGone, PermissionDenied
from dicom_export.ports import StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MICROSECONDS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
# Set by hand, by a broken clock or by an archive: a modification time may be anything.
_EARLIEST_MICROSECONDS = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class FolderStore:
    """The regular files below a folder (see `walk` for their names and order).

    An object's generation is its modification time in nanoseconds: a file that is replaced within one tick of the file
    system's clock by one of the same size is not told from its predecessor.
    """

    root: Path

    def uri(self, name: str) -> str:
        path = path_of_name(self.root.absolute(), name)
        return Path(path).as_uri() if path else f"{self.root.absolute().as_uri()}/{name}"

    def list(self, *, prefix: str = "", start_after: str = "") -> Iterator[StoredObject]:
        for name, status in walk(self.root, prefix=prefix, start_after=start_after):
            yield _stored_object(name, status)

    def get(self, name: str) -> StoredObject | None:
        path = path_of_name(self.root, name)
        if path is None:
            return None
        try:
            status = os.stat(path)  # noqa: PTH116 - `path` is plain text, see `path_of_name`
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise PermissionDenied(f"{name!r} may not be read") from error
        except OSError as error:
            if error.errno in NO_SUCH_NAME:
                return None
            raise
        return _stored_object(name, status) if stat.S_ISREG(status.st_mode) else None

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        path = path_of_name(self.root, stored.name)
        if path is None:
            raise InstanceGone(f"{stored.name!r} is not in the store")
        try:
            # O_NONBLOCK: a pipe that took the file's place must not stop the reader; its generation will not match.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except PermissionError as error:
            raise PermissionDenied(f"{stored.name!r} may not be read") from error
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InstanceGone(f"{stored.name!r} was deleted") from error
        except OSError as error:
            raise _unreadable(stored, error) from error
        try:
            _check_generation(stored, os.fstat(descriptor))
            return _read_range(descriptor, start, length)
        except OSError as error:
            raise _unreadable(stored, error) from error
        finally:
            os.close(descriptor)


def _stored_object(name: str, status: os.stat_result) -> StoredObject:
    microseconds = min(max(status.st_mtime_ns // 1_000, _EARLIEST_MICROSECONDS), _LATEST_MICROSECONDS)
    updated = _EPOCH + timedelta(microseconds=microseconds)
    return StoredObject(name, generation=status.st_mtime_ns, size=status.st_size, updated=updated)


def _check_generation(stored: StoredObject, status: os.stat_result) -> None:
    if (status.st_mtime_ns, status.st_size) != (stored.generation, stored.size):
        raise InstanceGone(f"{stored.name!r} was replaced: generation {stored.generation} is there no more")


def _unreadable(stored: StoredObject, error: OSError) -> InstanceError:
    """Return the error of a bad disk, a link in a circle and the like: of this one object, not of the message."""
    return InstanceError(f"{stored.name!r} cannot be read: {error.strerror}")


def _read_range(descriptor: int, start: int, length: int) -> bytes:
    """Return the bytes; a single pread may give fewer than there are (a signal, a network file system)."""
    parts = []
    while length > 0:
        part = os.pread(descriptor, length, start)
        if not part:
            break
        parts.append(part)
        start += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)

"""Use a folder as a DICOM store."""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from dicom_export.adapters.local.folder.files import NO_SUCH_NAME
from dicom_export.adapters.local.folder.long_paths import is_link, open_file, status_of
from dicom_export.adapters.local.folder.walk import path_of_name, walk
from dicom_export.ahead import MOST_READERS
from dicom_export.errors import InstanceError, InstanceGone, PermissionDenied
from dicom_export.operations.planning import is_ignored, is_ignored_folder
from dicom_export.stored_object import StoredObject, Unlisted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ANY_ROOT = Path("/")
_NEEDS_NO_QUOTES = re.compile(r"[\w.~/-]*", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MICROSECONDS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
# Set by hand, by a broken clock or by an archive: a modification time may be anything.
_EARLIEST_MICROSECONDS = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class FolderStore:
    """The regular files below a folder (see `walk` for their names and order).

    An object's generation is its modification time in nanoseconds. A file that is replaced within one tick of the file
    system's clock by one of the same size is taken for the old one.

    Folders that the patterns of `ignore` ignore are not entered. A listing of a slow disk looks at as many files at once as
    there are `readers`.
    """

    root: Path
    ignore: tuple[str, ...] = ()
    readers: int = MOST_READERS

    def uri(self, name: str) -> str:
        """Return `file://` and the path, percent-encoded. Links on the way to the folder are resolved."""
        return _uri_of_root(self.root.absolute()) + _quoted(name)

    def copy_source(self, name: str) -> str:
        return self.uri(name)

    def list(
        self, *, prefix: str = "", start_after: str = "", unlisted: Callable[[Unlisted], None] = lambda _: None
    ) -> Iterator[StoredObject]:
        found = walk(
            self.root,
            prefix=prefix,
            start_after=start_after,
            ignores=self._ignores,
            unlisted=lambda name, error: unlisted(Unlisted(name, _reason(error))),
            readers=self.readers,
        )
        for name, status in found:
            yield _stored_object(name, status)

    def get(self, name: str) -> StoredObject | None:
        path = path_of_name(self.root, name)
        if path is None:
            return None
        try:
            status = status_of(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            if link := self._dangling_folder(name):
                raise PermissionDenied(f"{name!r} cannot be read: the link {link!r} leads nowhere") from error
            return None
        except OSError as error:
            if error.errno in NO_SUCH_NAME:
                return None
            raise PermissionDenied(f"{name!r} may not be read: {_reason(error)}") from error
        return _stored_object(name, status) if stat.S_ISREG(status.st_mode) else None

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        path = path_of_name(self.root, stored.name)
        if path is None:
            raise InstanceGone(f"{stored.name!r} is not in the store")
        with opened(path, stored) as descriptor:
            try:
                _check_generation(stored, os.fstat(descriptor))
                return _read_range(descriptor, start, length)
            except OSError as error:
                raise unreadable(stored, error) from error

    def _ignores(self, name: str) -> bool:
        return is_ignored_folder(name, self.ignore) if name.endswith("/") else is_ignored(name, self.ignore)

    def _dangling_folder(self, name: str) -> str | None:
        """Return the folder in the file's path that is a broken link, such as to a disk that is not mounted."""
        parts = name.split("/")
        for count in range(1, len(parts)):
            folder = "/".join(parts[:count])
            path = path_of_name(self.root, folder)
            if path and is_link(path):
                try:
                    status_of(path)
                except OSError:
                    return folder
        return None


@lru_cache(maxsize=64)
def _uri_of_root(root: Path) -> str:
    return f"{root.resolve().as_uri().rstrip('/')}/"


def _quoted(name: str) -> str:
    """Return the part of a URI for a name: percent-encoded, with the bytes that the file system has."""
    if _NEEDS_NO_QUOTES.fullmatch(name):
        return name
    path = path_of_name(_ANY_ROOT, name)
    return quote_from_bytes(os.fsencode(name if path is None else path[1:]))


@contextmanager
def opened(path: str, stored: StoredObject) -> Iterator[int]:
    """Open the file of an object. Raises PermissionDenied, InstanceGone, or InstanceError for a bad disk."""
    try:
        # O_NONBLOCK: a pipe that took the place of the file must not stop this process; its generation will not match.
        descriptor = open_file(path, os.O_RDONLY | os.O_NONBLOCK)
    except PermissionError as error:
        raise PermissionDenied(f"{stored.name!r} may not be read") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InstanceGone(f"{stored.name!r} was deleted") from error
    except OSError as error:
        raise unreadable(stored, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _stored_object(name: str, status: os.stat_result) -> StoredObject:
    microseconds = min(max(status.st_mtime_ns // 1_000, _EARLIEST_MICROSECONDS), _LATEST_MICROSECONDS)
    updated = _EPOCH + timedelta(microseconds=microseconds)
    return StoredObject(name, generation=status.st_mtime_ns, size=status.st_size, updated=updated)


def _check_generation(stored: StoredObject, status: os.stat_result) -> None:
    if (status.st_mtime_ns, status.st_size) != (stored.generation, stored.size):
        raise InstanceGone(f"{stored.name!r} was replaced: generation {stored.generation} is gone")


def unreadable(stored: StoredObject, error: OSError) -> InstanceError:
    """Return the error of a bad disk, a circular link and the like. It is this object's error, not that of the message."""
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

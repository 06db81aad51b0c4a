"""Copy files to a folder, as hard links or with contents of their own."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote_to_bytes, urlsplit
from uuid import uuid4

from dicom_export.adapters.local.folder.files import disk_errors, link_or_rename, sync_folder
from dicom_export.adapters.local.folder.store import opened, unreadable
from dicom_export.adapters.local.folder.walk import path_of_name
from dicom_export.errors import InstanceError, InstanceGone, InvalidArgument, NotFound, PermissionDenied, Unavailable
from dicom_export.names import adds_to
from dicom_export.ports import CopyResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_export.stored_object import StoredObject

UNFINISHED = ".dicom-export-unfinished"
"""The folder of copies in the making, next to the copies. It is gone when all copies are made."""

_LOCK = "lock"
_COPY = ".copy"
_CHUNK_BYTES = 1 << 20
# The file is on another file system, or this file system or its settings allow no link to it.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.ENAMETOOLONG}
_NO_FILE = {errno.ELOOP, errno.ENXIO}
_TRIES = 100


@dataclass(frozen=True, slots=True)
class FolderCopies:
    """Copies below `root`, whose names begin with `prefix`.

    With `links` a copy is a hard link where the file system allows one. A copy has the modification
    time of its file.
    """

    root: Path
    prefix: str = ""
    links: bool = False

    @property
    def copies_at_once(self) -> int:
        return 2

    def uri(self, name: str) -> str:
        return f"{self.root.absolute().as_uri()}/{self.prefix}{name}"

    def check(self) -> None:
        self._check_root()
        self._path_of("-")
        with disk_errors(self.root):
            _remove_leftovers(self._unfinished)

    def adds_to(self, root: str) -> bool:
        # Either may be a symbolic link to a part of the other.
        folder, store = (os.path.realpath(path) for path in (self._path_of("-").parent, _path_at(root)))
        return adds_to(f"{folder.rstrip('/')}/", f"{store.rstrip('/')}/")

    def copy(self, source: str, stored: StoredObject, name: str, token: str = "") -> CopyResult:  # noqa: ARG002 - one call completes a copy
        target = self._path_of(name)
        self._check_root()
        with _opened(_path_at(source), stored) as original, disk_errors(self.root):
            return _compared(original, stored, target) or self._made(original, _path_at(source), stored, target)

    def flush(self, names: Iterable[str]) -> None:
        folders = {self._path_of(name).parent for name in names}
        above = {each for folder in folders for each in folder.parents if each.is_relative_to(self.root)}
        for folder in folders | above:
            with disk_errors(self.root):
                sync_folder(folder)
        _remove_leftovers(self._unfinished)

    @property
    def _unfinished(self) -> Path:
        return self.root / UNFINISHED

    def _path_of(self, name: str) -> Path:
        path = path_of_name(self.root, self.prefix + name)
        if path is None:
            raise InvalidArgument(f"{self.prefix + name!r} is not the name of a file: \\x stands for a byte of a name")
        return Path(path)

    def _check_root(self) -> None:
        if not self.root.is_dir():
            raise NotFound(f"Folder {str(self.root)!r} was not found; create it first")

    def _made(self, original: int, source: str, stored: StoredObject, target: Path) -> CopyResult:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):  # a file has the name of a folder
            return CopyResult.NAME_TAKEN
        with self._temporary() as temporary:
            if not (self.links and _link(source, temporary, stored)):
                _write(original, stored, temporary)
            if link_or_rename(temporary, target, lock=self._unfinished / _LOCK):
                return CopyResult.MADE
        # Another worker was first.
        return _compared(original, stored, target) or CopyResult.NAME_TAKEN

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """Give a path in the folder of copies in the making, at which nothing is at the end."""
        owner = self._unfinished / uuid4().hex
        with _owned(owner):
            try:
                yield owner.with_suffix(_COPY)
            finally:
                _remove(owner)


def _owned(owner: Path) -> BinaryIO:
    """Lock a file that says that its copy is being made. A process that dies gives up the lock.

    Other workers may delete the folder while it is empty, and the file before it is locked.
    """
    for _ in range(_TRIES):
        with suppress(FileExistsError):
            owner.parent.mkdir()
        with suppress(FileNotFoundError):
            file = owner.open("ab")
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                return file
            file.close()
    raise Unavailable(f"No file can be made in {str(owner.parent)!r}: other processes delete it again and again")


def _remove(owner: Path) -> None:
    owner.with_suffix(_COPY).unlink(missing_ok=True)
    owner.unlink(missing_ok=True)


def _remove_leftovers(unfinished: Path) -> None:
    """Delete what dead processes left, and the folder if nothing else is in it."""
    with suppress(FileNotFoundError):
        for path in unfinished.iterdir():
            if path.suffix != _COPY and path.name != _LOCK:
                _remove_if_left(path)
    with suppress(OSError):  # it does not exist, or it has the files of other workers
        unfinished.rmdir()


def _remove_if_left(owner: Path) -> None:
    with suppress(FileNotFoundError, BlockingIOError), owner.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(owner)


def _path_at(address: str) -> str:
    """Return the path at a `file://` address."""
    return os.fsdecode(unquote_to_bytes(urlsplit(address).path))


@contextmanager
def _opened(path: str, stored: StoredObject) -> Iterator[int]:
    """Open exactly this generation of a file."""
    with opened(path, stored) as descriptor:
        _check_generation(stored, os.fstat(descriptor))
        yield descriptor


def _check_generation(stored: StoredObject, status: os.stat_result) -> None:
    is_file = stat.S_ISREG(status.st_mode)
    if not is_file or (status.st_mtime_ns, status.st_size) != (stored.generation, stored.size):
        raise InstanceGone(f"{stored.name!r} was replaced: generation {stored.generation} is gone")


def _compared(original: int, stored: StoredObject, target: Path) -> CopyResult | None:
    """Compare what is at the target with the file; return None if nothing is there."""
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return CopyResult.NAME_TAKEN if target.is_symlink() else None
    except PermissionError as error:
        raise PermissionDenied(f"{str(target)!r} may not be read, so that it cannot be compared") from error
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        return CopyResult.NAME_TAKEN
    try:
        return CopyResult.PRESENT if _is_same(original, descriptor) else CopyResult.NAME_TAKEN
    except OSError as error:
        raise InstanceError(f"{stored.name!r} cannot be compared with {str(target)!r}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _is_same(first: int, second: int) -> bool:
    one, other = os.fstat(first), os.fstat(second)
    if os.path.samestat(one, other):
        return True
    if not stat.S_ISREG(other.st_mode) or one.st_size != other.st_size:
        return False
    starts = range(0, one.st_size, _CHUNK_BYTES)
    return all(os.pread(first, _CHUNK_BYTES, start) == os.pread(second, _CHUNK_BYTES, start) for start in starts)


def _link(source: str, temporary: Path, stored: StoredObject) -> bool:
    """Make a link to the source; return False if that is not possible."""
    try:
        # A symbolic link in the source is followed: the copy must not depend on it.
        os.link(os.path.realpath(source), temporary)
    except FileNotFoundError as error:
        raise InstanceGone(f"{stored.name!r} was deleted") from error
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    # Another file may have taken the place of the source since it was opened.
    _check_generation(stored, temporary.lstat())
    return True


def _write(original: int, stored: StoredObject, temporary: Path) -> None:
    """Write the content and the modification time of the file."""
    with temporary.open("xb") as file:
        for start in range(0, stored.size, _CHUNK_BYTES):
            file.write(_read(original, stored, start))
        file.flush()
        os.utime(file.fileno(), ns=(time.time_ns(), stored.generation))
        os.fsync(file.fileno())
    # It may have been changed while it was read.
    _check_generation(stored, os.fstat(original))
    if temporary.stat().st_size != stored.size:
        raise InstanceError(f"{stored.name!r} cannot be read to its end")


def _read(original: int, stored: StoredObject, start: int) -> bytes:
    try:
        return os.pread(original, min(_CHUNK_BYTES, stored.size - start), start)
    except OSError as error:
        raise unreadable(stored, error) from error

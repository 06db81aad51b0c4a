"""Write files that appear with their whole content or not at all, and that survive a crash."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

from dicom_export.errors import DISK_FULL, InvalidArgument, PermissionDenied, ResourceExhausted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LEFTOVER_SECONDS = 3600
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
NO_SUCH_NAME = {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
"""The errors for a name that no file of this file system can have."""
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


_RESUME = "run the same command again to resume"


def disk_full(folder: Path | str, then: str = _RESUME) -> ResourceExhausted:
    """Return the error that tells the user what to do about a full disk."""
    return ResourceExhausted(f"The disk of folder {str(folder)!r} is full: free space and {then}")


@contextmanager
def disk_errors(folder: Path, then: str = _RESUME) -> Iterator[None]:
    """Raise ResourceExhausted for a full disk below the folder, and PermissionDenied if it cannot be written to."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(folder, then) from error
        if error.errno in _NO_ACCESS:
            raise PermissionDenied(f"Folder {str(folder)!r} cannot be written to: {error.strerror}") from error
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidArgument(
                f"A name is too long for a file below {str(folder)!r}; choose a shorter one"
            ) from error
        raise


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock that excludes other threads and processes. The lock of a process that dies is released."""
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def create_file(target: Path, chunks: Iterable[bytes | memoryview], *, temporary: Path, lock: Path) -> bool:
    """Create the file with its whole content, or return False if it exists.

    `temporary` is a folder of the same file system for the unfinished file.
    """
    with _temporary_file(chunks, temporary) as path:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not link_or_rename(path, target, lock=lock):
            return False
    sync_folder(target.parent)
    return True


def link_or_rename(path: Path | str, target: Path, *, lock: Path) -> bool:
    """Give a complete file its final name, or return False if a file of that name exists."""
    try:
        os.link(path, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return _rename_unless_there(path, target, lock)
    return True


def replace_file(target: Path, chunks: Iterable[bytes | memoryview], *, temporary: Path) -> None:
    """Replace the file by a new one with the whole content."""
    with _temporary_file(chunks, temporary) as path:
        os.replace(path, target)  # noqa: PTH105 - plain text, as NamedTemporaryFile names it
    sync_folder(target.parent)


@contextmanager
def replaced_file(target: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write, which replaces the target at the end, or is deleted if writing fails.

    Until then it is next to the target under a hidden name. Raises ResourceExhausted if the disk is full, PermissionDenied if the
    folder may not be written.
    """
    target = target.resolve()
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with disk_errors(target.parent, "run the same command again"):
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
            sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in the folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(temporary: Path) -> None:
    """Delete unfinished files of processes that died an hour ago or earlier."""
    with suppress(FileNotFoundError):
        for path in temporary.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - LEFTOVER_SECONDS:
                    path.unlink()


@contextmanager
def _temporary_file(chunks: Iterable[bytes | memoryview], folder: Path) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, delete=False) as file:
        try:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
            yield file.name
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)  # noqa: PTH108 - as above


def _rename_unless_there(path: Path | str, target: Path, lock: Path) -> bool:
    """Create as `os.link` does, on a file system without hard links (exFAT, some network shares)."""
    with exclusive(lock):
        if target.exists():
            return False
        os.replace(path, target)  # noqa: PTH105 - as above
    return True

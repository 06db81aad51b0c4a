"""Open files and folders whose path may be longer than the 4,095 bytes that one system call takes.

A longer path is followed in pieces, each relative to the folder before it.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE_BYTES = 4_000
# Linux opens a folder for nothing but passing through it, which takes no permission to list it.
_PASS_THROUGH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


def status_of(path: str) -> os.stat_result:
    """Return the status of the file, or of the end of a link. Raises OSError."""
    try:
        return os.stat(path)  # noqa: PTH116 - paths are plain text here: a Path for each of millions of files costs twice
    except OSError as error:
        if not _is_too_long(error):
            raise
    with _within_limit(path) as (end, folder):
        return os.stat(end, dir_fd=folder)


def is_link(path: str) -> bool:
    """Return whether the path is a symbolic link; False if this is unknown."""
    try:
        with _within_limit(path) as (end, folder):
            os.readlink(end, dir_fd=folder)
    except OSError:
        return False
    return True


def can_be_seen(path: str) -> bool:
    """Return whether the permissions of its folder show what is at the path, without following a link there."""
    try:
        with _within_limit(path) as (end, folder):
            os.stat(end, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def open_file(path: str, flags: int) -> int:
    """Return a descriptor of the file, which the caller closes. Raises OSError."""
    try:
        return os.open(path, flags)
    except OSError as error:
        if not _is_too_long(error):
            raise
    with _within_limit(path) as (end, folder):
        return os.open(end, flags, dir_fd=folder)


@contextmanager
def scanned(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """Yield the entries of the folder. Raises OSError, also while they are iterated."""
    descriptor = open_file(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.scandir(descriptor) as entries:
            yield entries
    finally:
        os.close(descriptor)


def _is_too_long(error: OSError) -> bool:
    return error.errno == errno.ENAMETOOLONG


@contextmanager
def _within_limit(path: str) -> Iterator[tuple[str, int | None]]:
    """Yield the end of the path, short enough for a system call, and the folder that it is relative to."""
    rest = os.fsencode(path)
    folder: int | None = None
    try:
        while len(rest) > _PIECE_BYTES:
            cut = rest.rfind(b"/", 0, _PIECE_BYTES)
            if cut < 1:
                break  # one name that is too long by itself: the system says so
            following = os.open(rest[:cut], _PASS_THROUGH, dir_fd=folder)
            if folder is not None:
                os.close(folder)
            folder, rest = following, rest[cut + 1 :]
        yield os.fsdecode(rest), folder
    finally:
        if folder is not None:
            os.close(folder)

r"""Listing a directory tree by name in order of UTF-8 bytes, one directory's names in memory at a time.

A name is the path below the root with `/` between its parts. The order is that of whole names, which is not that of a
walk: `a-b/x` comes before `a/x`, because `-` sorts before `/`. A name is always proper Unicode, whatever bytes the file
system holds: a byte that is not UTF-8 is written `\xNN`, and so is the backslash of a file that looks that way itself.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from typing import TYPE_CHECKING

from dicom_export.errors import NotFound, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOG = logging.getLogger(__name__)
_LOOKS_ESCAPED = re.compile(rb"\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_NO_ENTRY = re.compile(r"/\.{0,2}/")
_Identity = tuple[int, int]


def name_of_entry(entry: str) -> str:
    """Return a directory entry, as `os` gives it, as a part of a name."""
    # Nothing to escape, as in nearly all of a large folder's names: listing it takes half the time.
    if entry.isascii() and "\\" not in entry:
        return entry
    escaped = _LOOKS_ESCAPED.sub(rb"\\x5c", os.fsencode(entry))
    return escaped.decode("utf-8", "backslashreplace")


def path_of_name(root: Path, name: str) -> str | None:
    """Return the file's path, or None if no listing of the root gives such a name."""
    if "\0" in name or _NO_ENTRY.search(f"/{name}/"):
        return None
    if name.isascii() and "\\" not in name:
        return os.path.join(root, name)  # noqa: PTH118 - a Path for each of millions of files costs twice
    try:
        encoded = _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), name.encode())
    except UnicodeEncodeError:
        return None
    return os.path.join(root, os.fsdecode(encoded))  # noqa: PTH118 - as above


def walk(root: Path, *, prefix: str = "", start_after: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and status of the regular files whose name has the prefix and sorts behind `start_after`, in order.

    Symbolic links are followed, except into a directory that contains them. Directories that cannot hold such a name are
    not read. A directory that vanishes on the way is empty, a file that vanishes is not there. Raises NotFound
    if the root is not a directory, PermissionDenied if a directory may not be read.
    """
    try:
        status = os.stat(root)  # noqa: PTH116 - as everywhere in this module, paths are plain text
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"Folder {str(root)!r} was not found") from error
    except PermissionError as error:
        raise PermissionDenied(f"Folder {str(root)!r} may not be read") from error
    if not stat.S_ISDIR(status.st_mode):
        raise NotFound(f"{str(root)!r} is not a folder")
    bounds = (prefix.encode("utf-8", "surrogatepass"), start_after.encode("utf-8", "surrogatepass"))
    yield from _walk(str(root), "", *bounds, (_identity(status),))


def _walk(
    directory: str, above: str, prefix: bytes, start_after: bytes, ancestors: tuple[_Identity, ...]
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is below one directory, whose own name ends in `/` (the root's is empty)."""
    for key, entry in _wanted_entries(directory, above, prefix, start_after):
        path = f"{directory}/{entry}"
        status = _status(path)
        if status is None:
            continue
        name = key.decode()
        if stat.S_ISREG(status.st_mode) and not name.endswith("/"):
            yield name, status
        elif stat.S_ISDIR(status.st_mode) and name.endswith("/"):
            if _identity(status) in ancestors:
                _LOG.warning("Symbolic link %r leads back to a folder that contains it: not followed", path)
                continue
            yield from _walk(path, name, prefix, start_after, (*ancestors, _identity(status)))


def _wanted_entries(directory: str, above: str, prefix: bytes, start_after: bytes) -> list[tuple[bytes, str]]:
    """Return the entries of a directory that are or may hold wanted names, by name in order; a directory's ends in `/`."""
    wanted = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                name = f"{above}{name_of_entry(entry.name)}".encode()
                key = name + b"/" if _is_directory(entry) else name
                if _may_hold(key, prefix, start_after):
                    wanted.append((key, entry.name))
    except (FileNotFoundError, NotADirectoryError) as error:
        if not above:
            raise NotFound(f"Folder {directory!r} vanished while it was listed") from error
        _LOG.warning("Folder %r vanished while it was listed", directory)
        return []
    except PermissionError as error:
        raise PermissionDenied(f"Folder {directory!r} may not be listed") from error
    wanted.sort()
    return wanted


def _may_hold(key: bytes, prefix: bytes, start_after: bytes) -> bool:
    """Say whether the name, or for a directory one that begins with it, can have the prefix and sort behind."""
    if key.endswith(b"/"):
        return (key.startswith(prefix) or prefix.startswith(key)) and (key > start_after or start_after.startswith(key))
    return key.startswith(prefix) and key > start_after


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere, or round in a circle: its status says so
        return False


def _status(path: str) -> os.stat_result | None:
    """Return what the path, or the link's end, is like; None if there is nothing."""
    try:
        return os.stat(path)  # noqa: PTH116 - as above
    except PermissionError as error:
        raise PermissionDenied(f"{path!r} may not be read: its folder, or the link's end, is closed") from error
    except OSError as error:
        if os.path.islink(path):  # noqa: PTH114 - as above
            _LOG.warning("Symbolic link %r leads to no file: %s", path, error.strerror)
            return None
        if isinstance(error, FileNotFoundError):
            return None
        raise


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino

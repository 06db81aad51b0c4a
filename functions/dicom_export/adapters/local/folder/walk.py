r"""List a directory tree by name in order of UTF-8 bytes, with the names of one directory per level in memory.

A name is the path below the root with `/` between its parts. The order is that of whole names, which is not that of a
walk: `a-b/x` comes before `a/x`, because `-` sorts before `/`. A name is always proper Unicode, whatever bytes the file
system holds: a byte that is not UTF-8 is written `\xNN`, and so is the backslash of a file that looks that way itself.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.adapters.local.folder.long_paths import can_be_seen, is_link, scanned, status_of
from dicom_export.ahead import Ahead
from dicom_export.errors import NotFound, PermissionDenied, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LOG = logging.getLogger(__name__)
_LOOKS_ESCAPED = re.compile(rb"\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
# What `name_of_entry` escapes is a backslash or not ASCII. A dot or a slash that looks escaped would lead out of the root.
_NEVER_ESCAPED = re.compile(rb"\\x(?!5c)[0-7][0-9a-f]")
_NO_ENTRY = re.compile(r"/\.{0,2}/")
_Identity = tuple[int, int]
_Entry = tuple[bytes, str]


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
        encoded = name.encode()
    except UnicodeEncodeError:
        return None
    if _NEVER_ESCAPED.search(encoded):
        return None
    encoded = _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), encoded)
    return os.path.join(root, os.fsdecode(encoded))  # noqa: PTH118 - as above


def _refuse(name: str, error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise PermissionDenied(f"{name!r} may not be listed") from error
    raise error


@contextmanager
def _errors_of_root(root: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"Folder {str(root)!r} was not found") from error
    except PermissionError as error:
        raise PermissionDenied(f"Folder {str(root)!r} may not be read") from error
    except OSError as error:
        raise Unavailable(f"Folder {str(root)!r} cannot be read: {error.strerror}") from error


def walk(
    root: Path,
    *,
    prefix: str = "",
    start_after: str = "",
    ignores: Callable[[str], bool] = lambda _: False,
    unlisted: Callable[[str, OSError], None] = _refuse,
    readers: int = 1,
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and status of the regular files whose name has the prefix and sorts after `start_after`, in order.

    `ignores` is asked about each name, that of a folder with `/` at its end, and what it ignores is neither read nor entered.
    What cannot be listed or seen is passed to `unlisted` by its name and left out; the default raises PermissionDenied or the
    error itself. Symbolic links are followed, except into a folder that contains them. Folders that cannot hold
    such a name are not read. A folder that vanishes meanwhile is empty, and a file that vanishes is left out. If that is slow, the
    status of the next entries is read in `readers` threads.

    Raises NotFound if the root is not a folder, PermissionDenied if it may not be read, Unavailable if it cannot be.
    """
    with _errors_of_root(root):
        status = os.stat(root)  # noqa: PTH116 - as everywhere in this module, paths are plain text
    if not stat.S_ISDIR(status.st_mode):
        raise NotFound(f"{str(root)!r} is not a folder")
    bounds = (prefix.encode("utf-8", "surrogatepass"), start_after.encode("utf-8", "surrogatepass"))
    with Ahead(readers) as ahead:
        yield from _Walk(root, *bounds, ignores, unlisted, ahead).files(_identity(status))


@dataclass(slots=True)
class _Folder:
    """A folder that the walk is in: its path, its name, which ends in `/` (the root's is empty), and its remaining entries."""

    path: str
    name: str
    identity: _Identity
    left: Iterator[tuple[_Entry, Callable[[], os.stat_result] | None]]


@dataclass(frozen=True, slots=True)
class _Walk:
    """One walk. It keeps a stack of its own: a tree may be deeper than Python's."""

    root: Path
    prefix: bytes
    start_after: bytes
    ignores: Callable[[str], bool]
    unlisted: Callable[[str, OSError], None]
    ahead: Ahead

    def files(self, identity: _Identity) -> Iterator[tuple[str, os.stat_result]]:
        entered = [self._enter(str(self.root), "", identity)]
        while entered:
            folder = entered[-1]
            following = next(folder.left, None)
            if following is None:
                entered.pop()
                continue
            (key, entry), begun = following
            name, path = key.decode(), f"{folder.path}/{entry}"
            status = self._status(folder, path, name, begun)
            if status is None:
                continue
            if stat.S_ISREG(status.st_mode) and not name.endswith("/"):
                yield name, status
            elif stat.S_ISDIR(status.st_mode) and name.endswith("/"):
                if any(_identity(status) == above.identity for above in entered):
                    _LOG.warning("Symbolic link %r leads back to a folder that contains it: not followed", path)
                    continue
                entered.append(self._enter(path, name, _identity(status)))

    def _enter(self, path: str, name: str, identity: _Identity) -> _Folder:
        entries = self._wanted_entries(path, name)
        return _Folder(path, name, identity, self.ahead.over(entries, lambda each: status_of(f"{path}/{each[1]}")))

    def _wanted_entries(self, path: str, above: str) -> list[tuple[bytes, str]]:
        """Return the entries of a folder that are or may hold wanted names, by name in order; a folder's ends in `/`.

        If a folder can be listed only in part, such as on a bad disk, return that part.
        """
        if self.prefix.startswith(above.encode()) and b"/" in self.prefix[len(above.encode()) :]:
            return self._next_of_prefix(above)
        wanted: list[tuple[bytes, str]] = []
        try:
            if above:
                self._add_wanted(path, above, wanted)
            else:
                with _errors_of_root(self.root):
                    self._add_wanted(path, above, wanted)
        except (FileNotFoundError, NotADirectoryError):
            _LOG.warning("Folder %r vanished while it was listed", path)
            return []
        except OSError as error:
            self.unlisted(above, error)
        wanted.sort()
        return wanted

    def _next_of_prefix(self, above: str) -> list[tuple[bytes, str]]:
        """Return the one folder below `above` that may hold wanted names. Nothing else is listed, however much is there."""
        key = self.prefix[: self.prefix.index(b"/", len(above.encode())) + 1]
        name = key.decode("utf-8", "surrogatepass")
        path = path_of_name(self.root, name[:-1])
        if path is None or not _may_hold(key, self.prefix, self.start_after) or self.ignores(name):
            return []
        return [(key, os.path.basename(path))]  # noqa: PTH119 - as everywhere in this module

    def _add_wanted(self, path: str, above: str, wanted: list[tuple[bytes, str]]) -> None:
        with scanned(path) as entries:
            for entry in entries:
                name = f"{above}{name_of_entry(entry.name)}"
                if _is_directory(entry):
                    name += "/"
                key = name.encode()
                if _may_hold(key, self.prefix, self.start_after) and not self.ignores(name):
                    wanted.append((key, entry.name))

    def _status(
        self, folder: _Folder, path: str, name: str, begun: Callable[[], os.stat_result] | None
    ) -> os.stat_result | None:
        """Return the status of the path, or of the link's end; None if nothing is there, or nothing can be seen."""
        try:
            return begun() if begun else self.ahead.alone(status_of, path)
        except OSError as error:
            if is_link(path) and not isinstance(error, PermissionError):
                _LOG.warning("Symbolic link %r leads to no file: %s", path, error.strerror)
            elif isinstance(error, PermissionError) and not can_be_seen(path):
                # The folder's permissions show the names of its files and nothing else.
                folder.left = iter(())
                if not folder.name:
                    raise PermissionDenied(f"The files of folder {str(self.root)!r} may not be read") from error
                self.unlisted(folder.name, error)
            elif not isinstance(error, FileNotFoundError):
                self.unlisted(name, error)
            return None


def _may_hold(key: bytes, prefix: bytes, start_after: bytes) -> bool:
    """Return whether the name, or for a directory a name below it, can have the prefix and sort after `start_after`."""
    if key.endswith(b"/"):
        return (key.startswith(prefix) or prefix.startswith(key)) and (key > start_after or start_after.startswith(key))
    return key.startswith(prefix) and key > start_after


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere, or round in a circle: its status says so
        return False


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino

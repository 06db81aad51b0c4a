"""A folder as a slow disk shows it: a read-only FUSE file system that answers each open, read and stat after a delay.

It speaks the protocol of the kernel (https://docs.kernel.org/filesystems/fuse.html, linux/fuse.h) itself, in one process that waits for
many delays at once, so that the processor time of the machine goes to what is measured. Mounting takes root and /dev/fuse.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import heapq
import os
import select
import stat
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DEVICE = Path("/dev/fuse")
_LARGEST_REQUEST = 1 << 18
_VALID_SECONDS = 60
_DETACH = 2
_NO_WRITES = 1
_MOUNTED = "mounted"

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _RELEASE, _INIT = 1, 2, 3, 14, 15, 18, 26
_OPENDIR, _READDIR, _RELEASEDIR, _INTERRUPT, _BATCH_FORGET = 27, 28, 29, 36, 42
_UNANSWERED = {_FORGET, _INTERRUPT, _BATCH_FORGET}
_ASYNC_READ, _PARALLEL_FOLDERS = 1, 1 << 18

_IN = struct.Struct("<IIQQIIIHH")
_OUT = struct.Struct("<IiQ")
_INIT_IN = struct.Struct("<IIII")
_INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
_ATTRIBUTES = struct.Struct("<6Q10I")
_ENTRY = struct.Struct("<QQQQII")
_STATUS = struct.Struct("<QII")
_OPENED = struct.Struct("<QII")
_READ_IN = struct.Struct("<QQII")
_NAME = struct.Struct("<QQII")

_libc = ctypes.CDLL(None, use_errno=True)


def obstacle() -> str:
    """Return why no slow disk can be mounted here; empty if one can."""
    with TemporaryDirectory() as name:
        try:
            with slow_disk(Path(name), Path(name) / "mounted", open_ms=0, read_ms=0, stat_ms=0):
                return ""
        except OSError as error:
            return str(error)


@contextmanager
def slow_disk(root: Path, mount_point: Path, *, open_ms: float, read_ms: float, stat_ms: float) -> Iterator[Path]:
    """Mount the folder with these delays, and yield the mount point. Raises OSError if it cannot be mounted."""
    mount_point.mkdir()
    delays = [f"--open={open_ms}", f"--read={read_ms}", f"--stat={stat_ms}"]
    command = [sys.executable, __file__, str(root), str(mount_point), *delays]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - this file
        if server.stdout is None or (said := server.stdout.readline().strip()) != _MOUNTED:
            raise OSError(said)
        try:
            yield mount_point
        finally:
            _libc.umount2(os.fsencode(mount_point), _DETACH)


@dataclass
class SlowFolder:
    """Answers the kernel's requests about a folder. `delays` are in seconds, by the number of the request."""

    device: int
    root: str
    delays: dict[int, float]
    _paths: dict[int, str] = field(default_factory=dict)
    _ids: dict[str, int] = field(default_factory=dict)
    _due: list[tuple[float, int, int, Callable[[], bytes]]] = field(default_factory=list)

    def serve(self) -> None:
        """Answer requests until the folder is unmounted."""
        self._id_of(self.root)
        os.set_blocking(self.device, False)
        while True:
            wait = max(self._due[0][0] - time.monotonic(), 0) if self._due else None
            select.select([self.device], [], [], wait)
            if not self._take_requests():
                return
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, unique, answer = heapq.heappop(self._due)
                self._reply(unique, answer)

    def _take_requests(self) -> bool:
        """Answer the requests that are there, or note when to. Return False once the folder is unmounted."""
        while True:
            try:
                request = os.read(self.device, _LARGEST_REQUEST)
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in {errno.EINTR, errno.ENOENT}:  # the request was withdrawn
                    continue
                if error.errno == errno.ENODEV:
                    return False
                raise
            _, number, unique, node, *_ = _IN.unpack_from(request)
            if number in _UNANSWERED:
                continue
            answer = self._answer(number, node, request[_IN.size :])
            if delay := self.delays.get(number, 0):
                heapq.heappush(self._due, (time.monotonic() + delay, unique, unique, answer))
            else:
                self._reply(unique, answer)

    def _reply(self, unique: int, answer: Callable[[], bytes]) -> None:
        try:
            content, error = answer(), 0
        except OSError as raised:
            content, error = b"", raised.errno or errno.EIO
        try:
            os.write(self.device, _OUT.pack(_OUT.size + len(content), -error, unique) + content)
        except OSError as raised:
            if raised.errno not in {errno.ENOENT, errno.ENODEV}:  # nobody waits for it any longer
                raise

    def _answer(self, number: int, node: int, body: bytes) -> Callable[[], bytes]:
        path = self._paths.get(node, "")
        if number == _LOOKUP:
            name = os.fsdecode(body.rstrip(b"\0"))
            return lambda: self._entry(f"{path}/{name}")
        if number in {_READ, _READDIR}:
            _, offset, size, _ = _READ_IN.unpack_from(body)
            return (lambda: _read(path, offset, size)) if number == _READ else (lambda: _names(path, offset, size))
        others: dict[int, Callable[[], bytes]] = {
            _INIT: lambda: _initialised(body),
            _GETATTR: lambda: _STATUS.pack(_VALID_SECONDS, 0, 0) + _attributes(os.lstat(path)),
            _OPEN: lambda: _OPENED.pack(0, 0, 0),
            _OPENDIR: lambda: _OPENED.pack(0, 0, 0),
            _RELEASE: bytes,
            _RELEASEDIR: bytes,
        }
        return others.get(number, _refuse)

    def _entry(self, path: str) -> bytes:
        status = os.lstat(path)
        return _ENTRY.pack(self._id_of(path), 0, _VALID_SECONDS, _VALID_SECONDS, 0, 0) + _attributes(status)

    def _id_of(self, path: str) -> int:
        found = self._ids.setdefault(path, len(self._ids) + 1)
        self._paths[found] = path
        return found


def _initialised(body: bytes) -> bytes:
    major, minor, ahead, flags = _INIT_IN.unpack_from(body)
    wanted = flags & (_ASYNC_READ | _PARALLEL_FOLDERS)
    return _INIT_OUT.pack(major, min(minor, 31), ahead, wanted, 512, 512, 4096, 1, 0, 0, 0)


def _attributes(status: os.stat_result) -> bytes:
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    return _ATTRIBUTES.pack(
        status.st_ino,
        status.st_size,
        status.st_blocks,
        *(each // 10**9 for each in times),
        *(each % 10**9 for each in times),
        status.st_mode,
        status.st_nlink,
        status.st_uid,
        status.st_gid,
        0,
        4096,
        0,
    )


def _read(path: str, offset: int, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, size, offset)
    finally:
        os.close(descriptor)


def _names(path: str, offset: int, size: int) -> bytes:
    """Return the entries of the folder from the position `offset`, as many as fit."""
    found = b""
    with os.scandir(path) as entries:
        for position, entry in enumerate(entries, 1):
            name = os.fsencode(entry.name)
            kind = (stat.S_IFDIR if entry.is_dir(follow_symlinks=False) else stat.S_IFREG) >> 12
            length = -(-(_NAME.size + len(name)) // 8) * 8
            if position > offset:
                if len(found) + length > size:
                    break
                found += (_NAME.pack(entry.inode(), position, len(name), kind) + name).ljust(length, b"\0")
    return found


def _refuse() -> bytes:
    raise OSError(errno.ENOSYS, "")


def _mounted(mount_point: Path) -> int:
    """Return the descriptor for the requests. Raises OSError."""
    device = os.open(_DEVICE, os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if _libc.mount(b"slow-disk", os.fsencode(mount_point), b"fuse.slow-disk", _NO_WRITES, options):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return device


def main() -> None:
    """Mount the folder, say so in a line, and serve it until it is unmounted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("mount_point", type=Path)
    for name in ("open", "read", "stat"):
        parser.add_argument(f"--{name}", type=float, default=0, help="milliseconds")
    given = parser.parse_args()
    try:
        device = _mounted(given.mount_point)
    except OSError as error:
        print(f"a file system in user space cannot be mounted: {error.strerror}", flush=True)
        return
    delays = {_OPEN: given.open, _READ: given.read, _LOOKUP: given.stat, _GETATTR: given.stat}
    print(_MOUNTED, flush=True)
    SlowFolder(device, str(given.root), {number: each / 1000 for number, each in delays.items()}).serve()


if __name__ == "__main__":
    main()

"""A control group that the kernel keeps to so much memory: whoever takes more is killed, as in a container."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path("/sys/fs/cgroup")
_numbers = count(1)


@dataclass(frozen=True)
class Version:
    """The names of the files that version 1 or 2 of the kernel's interface has for the same."""

    limit: str
    peak: str
    events: str


V1 = Version("memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control")
V2 = Version("memory.max", "memory.peak", "memory.events")


@dataclass(frozen=True)
class ControlGroup:
    """A group below the one of this process."""

    folder: Path
    version: Version

    def enter(self) -> None:
        """Move this process into the group; its children begin there. For `preexec_fn`."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    @property
    def peak_bytes(self) -> int:
        """The most memory that the group had at once: its processes, and the files that the kernel keeps for them."""
        return int((self.folder / self.version.peak).read_text())

    @property
    def kills(self) -> int:
        """How many processes the kernel has killed for want of memory."""
        events = dict(line.split() for line in (self.folder / self.version.events).read_text().splitlines())
        return int(events["oom_kill"])


def parent_of_groups() -> tuple[Path, Version] | None:
    """Return the folder of this process' group and its version, if a group with limited memory may be made in it."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            found, version = _ROOT / "memory" / path.lstrip("/"), V1
        elif not controllers:
            found, version = _ROOT / path.lstrip("/"), V2
            subtree = found / "cgroup.subtree_control"
            if not subtree.exists() or "memory" not in subtree.read_text().split():
                continue
        else:
            continue
        if os.access(found, os.W_OK) and os.geteuid() == 0:
            return found, version
    return None


@contextmanager
def limited(megabytes: int) -> Iterator[ControlGroup]:
    """Make a group of so much memory. Raises RuntimeError where that is not possible."""
    place = parent_of_groups()
    if place is None:
        raise RuntimeError(
            "No control group can be made here: that takes root, and a memory controller of version 1 or 2"
        )
    parent, version = place
    group = ControlGroup(parent / f"dicom-export-{os.getpid()}-{next(_numbers)}", version)
    group.folder.mkdir()
    try:
        (group.folder / version.limit).write_text(str(megabytes << 20))
        yield group
    finally:
        _remove(group.folder)


def _remove(folder: Path) -> None:
    """Remove the group as soon as its last process has ended."""
    for _ in range(100):
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Processes are left in {folder}")

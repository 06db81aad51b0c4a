"""Find the disks that are mounted at a folder or below it, and those that no longer are.

An empty folder at which a disk was mounted looks as if all of its files had been deleted.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_export.adapters.local.folder.walk import name_of_entry, path_of_name

if TYPE_CHECKING:
    from collections.abc import Collection

_MOUNTS = Path("/proc/self/mountinfo")
_MOUNT_POINT = 4
_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mounts:
    """The places below a folder at which disks are mounted, by their names, which end in `/`; the folder's own is empty."""

    root: Path

    def present(self) -> set[str]:
        """Return where disks are mounted; only at the folder itself where the system does not list its mounts."""
        root = os.path.realpath(self.root)
        found = {""} if os.path.ismount(root) else set()
        with suppress(FileNotFoundError):
            for line in _MOUNTS.read_bytes().splitlines():
                point = os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), line.split()[_MOUNT_POINT]))
                if point.startswith(f"{root}/"):
                    found.add("".join(f"{name_of_entry(part)}/" for part in point[len(root) + 1 :].split("/")))
        return found

    def missing(self, known: Collection[str]) -> set[str]:
        """Return those of the known places that are empty because nothing is mounted there."""
        present = self.present() if known else set()
        return {name for name in known if name not in present and self._is_empty(name)}

    def _is_empty(self, name: str) -> bool:
        path = path_of_name(self.root, name.rstrip("/")) if name else str(self.root)
        try:
            return path is not None and not os.listdir(path)  # noqa: PTH208 - plain text, as in `walk`
        except OSError:  # it is gone, or cannot be listed, which the listing reports
            return False

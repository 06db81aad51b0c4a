"""The index of an archive: where the bytes of each member are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from dicom_export.errors import InstanceError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_MEMBERS = 500_000
"""Members that one archive may have. Their names are held in memory."""


class BrokenArchive(InstanceError):
    """The archive cannot be read, or has too many members."""


class Member(NamedTuple):
    """A regular file of an archive.

    `size` is in bytes, uncompressed. `obstacle` says why it cannot be read, and is empty otherwise.
    """

    name: str
    size: int
    obstacle: str = ""


class Archive(ABC):
    """An open archive.

    `damage` says why members may be missing, and is empty for a whole archive.
    """

    damage = ""

    @property
    @abstractmethod
    def members(self) -> Mapping[str, Member]:
        """The regular files by name. Of several with one name, the last counts, as for a program that unpacks them."""

    @abstractmethod
    def read(self, member: Member, start: int, length: int) -> bytes:
        """Return at most `length` bytes of a member; fewer only at its end. Raises InstanceError."""


def check_count(count: int) -> None:
    """Raise BrokenArchive for more members than one archive may have."""
    if count > MOST_MEMBERS:
        raise BrokenArchive(f"The archive has more than {MOST_MEMBERS:,} members; unpack it, or split it")

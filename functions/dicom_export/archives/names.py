"""The names of members: `folder/scans.zip#CT/1.dcm` is the member `CT/1.dcm` of the archive `folder/scans.zip`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUFFIX = r"\.(?:zip|tar\.gz|tar|tgz)"
_ARCHIVE = re.compile(rf"{_SUFFIX}\Z", re.IGNORECASE)
_WITHIN = re.compile(_SUFFIX, re.IGNORECASE)
SEPARATOR = "#"


def is_archive(name: str) -> bool:
    """Say whether the object's name is that of an archive."""
    return bool(_ARCHIVE.search(name))


def member_name(archive: str, member: str) -> str:
    """Return the object name of a member."""
    return f"{archive}{SEPARATOR}{member}"


def archives_in(name: str) -> Iterator[tuple[str, str]]:
    """Yield each archive that an object of this name may be a member of, with the name of the member."""
    end = name.find(SEPARATOR)
    while end >= 0:
        if is_archive(name[:end]):
            yield name[:end], name[end + 1 :]
        end = name.find(SEPARATOR, end + 1)


def archives_before(name: str) -> Iterator[str]:
    """Yield each archive that sorts before the name, or is it, and may have members that sort after the name."""
    for match in _WITHIN.finditer(name):
        if name[match.end() : match.end() + 1] <= SEPARATOR:
            yield name[: match.end()]


def sort_key(name: str) -> bytes:
    """Return the key by which listings are ordered: the UTF-8 bytes of the name."""
    return name.encode("utf-8", "surrogatepass")

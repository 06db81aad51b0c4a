"""The names of private elements, from pydicom's copy of public conformance statements."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from typing import NamedTuple

from pydicom._private_dict import private_dictionaries

# An element of a private block: (gggg,xxee) in any block, (gggg,bbee) in one, (ggxx,xxee) in any group.
_TAG = re.compile(r"[0-9A-F]{4}xx[0-9A-F]{2}|[0-9A-F]{4}(?!0)[0-9A-F]{4}|[0-9A-F]{2}xxxx[0-9A-F]{2}")
_NO_NAMES = frozenset({"", "?", "Unknown", "Private Creator"})


class NameBlock(NamedTuple):
    """The names of the elements of one block, which several creators may share.

    `prefix` is the tag without its last byte, such as `0043xx`. Each entry is that byte in two
    digits, followed by the name.
    """

    creators: tuple[str, ...]
    prefix: str
    entries: tuple[str, ...]


@cache
def name_blocks() -> tuple[NameBlock, ...]:
    """Return the names of all private elements that have one."""
    creators: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for creator, elements in sorted(private_dictionaries.items()):
        blocks: dict[str, list[str]] = defaultdict(list)
        for tag, (_, _, name, _) in sorted(elements.items()):
            if name not in _NO_NAMES and _TAG.fullmatch(tag):
                blocks[tag[:6]].append(tag[6:] + name)
        for prefix, entries in blocks.items():
            creators[prefix, tuple(entries)].append(creator)
    return tuple(NameBlock(tuple(names), prefix, entries) for (prefix, entries), names in creators.items())

"""Filter files: which studies, series and instances an export is about.

Source: the API's reference of `filterConfig.resourcePathsGcsUri`: one
`/studies/STUDY[/series/SERIES[/instances/INSTANCE]]` a line.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument
from dicom_export.names import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FilterPath = tuple[str, ...]
"""A Study Instance UID, a Series Instance UID behind it, a SOP Instance UID behind both."""

# PS3.5 §9.1: digits and dots, at most 64 characters. Leading zeros are forbidden there and found in the wild.
_UID = r"[0-9](?:[0-9.]{0,62}[0-9])?"
_LINE = re.compile(rf"/?studies/({_UID})(?:/series/({_UID})(?:/instances/({_UID}))?)?/?")
_WHOLE_UID = re.compile(_UID)
_LONGEST_LINE_SHOWN = 200


def parse_line(number: int, line: str) -> FilterPath | None:
    """Return the path of a line, or None for a blank one. Raises InvalidArgument naming the line's number and text."""
    text = line.strip()
    if not text:
        return None
    match = _LINE.fullmatch(text)
    if not match:
        raise InvalidArgument(
            f"Line {number} of the filter is malformed: {text[:_LONGEST_LINE_SHOWN]!r}; it would be"
            " /studies/STUDY_UID[/series/SERIES_UID[/instances/INSTANCE_UID]]"
        )
    # Millions of lines name few studies and series: one string for each, however many lines have it.
    return tuple(sys.intern(uid) for uid in match.groups() if uid)


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    r"""Yield the lines of a file that is read in chunks: UTF-8, `\n` or `\r\n`, with or without a byte order mark.

    Raises InvalidArgument if it is not UTF-8.
    """
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from map(_decoded, whole)
    yield _decoded(rest)


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument("The filter is no text in UTF-8") from error


def parse(texts: Iterable[str]) -> list[FilterPath]:
    """Return the paths of a filter file, sorted, without those that a wider one contains.

    Raises InvalidArgument naming the first malformed line.
    """
    paths = {path for number, line in enumerate(texts, 1) if (path := parse_line(number, line))}
    widest: list[FilterPath] = []
    for path in sorted(paths):
        if not widest or path[: len(widest[-1])] != widest[-1]:
            widest.append(path)
    return widest


def position_of(paths: Sequence[FilterPath], uids: InstanceUids) -> int | None:
    """Return which of the sorted paths names the instance, or None.

    None of them contains another, so the path that names it, if there is one, is the last that does not sort behind it.
    """
    instance = tuple(uid or "" for uid in (uids.study, uids.series, uids.instance))
    position = bisect_right(paths, instance) - 1
    if position < 0:
        return None
    path = paths[position]
    return position if instance[: len(path)] == path else None


def names_instance(uids: InstanceUids) -> bool:
    """Say whether a line can name this instance and no other: it has all three UIDs, and they are such."""
    return all(uid is not None and _WHOLE_UID.fullmatch(uid) for uid in (uids.study, uids.series, uids.instance))


def display(path: FilterPath) -> str:
    """Return the path as a line of a filter file has it."""
    return str(InstanceUids(*path))

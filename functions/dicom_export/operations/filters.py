"""Filters: the studies, series and instances that an export selects.

Source: the API's reference of `filterConfig.resourcePathsGcsUri`: one
`/studies/STUDY[/series/SERIES[/instances/INSTANCE]]` per line. `filter_files` reads the lines of
files.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import io
import re
import sys
from bisect import bisect_right
from itertools import islice, takewhile
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dicom_export.errors import InvalidArgument
from dicom_export.uids import MALFORMED, PADDING, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dicom_export.uids import InstanceUids

FilterPath = tuple[str, ...]
"""The keys of a Study Instance UID, then a Series Instance UID, then a SOP Instance UID.

The second and third are optional. See `uids.key_of`.
"""

_SEGMENT = r"([^/,]+)"
_PREFIX = re.compile(r"/?(?:dicomWeb/)?studies/")
_LINE, _COMMON_LINE = (
    re.compile(rf"{_PREFIX.pattern}{segment}(?:/series/{segment}(?:/instances/{segment})?)?/?")
    for segment in (_SEGMENT, r"([0-9.]+)")
)
_SHOWN_SEGMENT = re.compile(r" *(?:dicomWeb|studies|series|instances|[0-9.]*) *", re.ASCII)
_DIGEST = re.compile(r"~[0-9a-f]{64}")
# The name of a column, or an expression that a database uses as a name.
_HEADER = re.compile(r"[^\W\d][\w -]{0,299}|(?:[^\W\d]\w*)?\(.*\)")
_EXPECTED = "/studies/STUDY_UID[/series/SERIES_UID[/instances/INSTANCE_UID]]"
_LONGEST_LINE_SHOWN = 200
_SORTED_AT_ONCE = 100_000


def parse(texts: Iterable[str], name: str = "the filter") -> Iterator[FilterPath]:
    """Yield the paths of a filter's lines, in their order; errors call the filter `name`.

    Blank lines are left out, and so is a first line that is a CSV header. Raises InvalidArgument
    naming the first malformed line.
    """
    is_first = True
    for number, line in enumerate(texts, 1):
        text = line.strip()
        field = _unquoted(text)
        if field == "":
            continue
        path = None if field is None else _path(field)
        if path:
            yield path
        elif not is_first or field is None or not _HEADER.fullmatch(field):
            raise _malformed(number, name, field or text)
        is_first = False


def widest(paths: Iterable[FilterPath]) -> Iterator[FilterPath]:
    """Yield the paths in order, each once, without those that a wider one contains.

    Millions of paths take some 20 bytes each: they are sorted in runs, which stay compressed until
    they are merged.
    """
    unsorted = iter(paths)
    runs = []
    while run := sorted(set(islice(unsorted, _SORTED_AT_ONCE))):
        runs.append(gzip.compress("\n".join(map("/".join, run)).encode(), compresslevel=1))
    last: FilterPath | None = None
    for path in heapq.merge(*map(_expanded, runs)):
        if last is None or path[: len(last)] != last:
            yield path
            last = path


def path_of(uids: InstanceUids) -> FilterPath:
    """Return the path of the UIDs: an instance, a series or a study; empty without a study."""
    return tuple(takewhile(bool, (_key_of(uid or "") for uid in uids)))


def position_of(paths: Sequence[FilterPath], instance: FilterPath) -> int | None:
    """Return the position of the sorted path that names the instance, or None.

    No path contains another. So if a path names the instance, it is the last one that does not sort
    after the instance.
    """
    position = bisect_right(paths, instance) - 1
    if position < 0:
        return None
    path = paths[position]
    return position if instance[: len(path)] == path else None


def names_instance(uids: InstanceUids) -> bool:
    """Say whether a line can name exactly this instance: it has all three UIDs."""
    return len(path_of(uids)) == len(uids)


def has_malformed(path: FilterPath) -> bool:
    """Say whether a UID of the path is malformed, so that only its digest is known."""
    return any(key.startswith("~") for key in path)


def line_of(path: FilterPath) -> str:
    """Return the path as a line of a filter, with the digest of a malformed UID."""
    return "".join(f"/{kind}/{key}" for kind, key in zip(("studies", "series", "instances"), path, strict=False))


def display(path: FilterPath) -> str:
    """Return the path as logs show it."""
    return line_of(tuple(MALFORMED if key.startswith("~") else key for key in path))


def _unquoted(text: str) -> str | None:
    """Return the only field of a line of CSV.

    Return None if the line has unbalanced quotation marks or more than one field.
    """
    if not text.startswith('"'):
        return text
    try:
        fields = next(csv.reader([text], strict=True))
    except csv.Error:
        return None
    return fields[0].strip() if len(fields) == 1 else None


def _path(text: str) -> FilterPath | None:
    if match := _COMMON_LINE.fullmatch(text):
        # Many lines name few studies and series: each UID is held in memory once.
        return tuple(sys.intern(uid) for uid in match.groups() if uid)
    match = _LINE.fullmatch(text)
    if not match:
        return None
    keys = tuple(_key(segment) for segment in match.groups() if segment)
    return keys if all(keys) else None


def _key(segment: str) -> str:
    """Return the key of a UID that is written as in a URL path, or as a digest."""
    if _DIGEST.fullmatch(segment):
        return segment
    return _key_of(unquote(segment))


def _key_of(uid: str) -> str:
    stripped = uid.strip(PADDING)
    return key_of(stripped) if stripped else ""


def _expanded(run: bytes) -> Iterator[FilterPath]:
    with io.TextIOWrapper(gzip.GzipFile(fileobj=io.BytesIO(run)), encoding="utf-8") as lines:
        for line in lines:
            yield tuple(line.rstrip("\n").split("/"))


def _malformed(number: int, name: str, text: str) -> InvalidArgument:
    # A wrong file may hold patient data: only lines that begin like a path are shown, and only their valid parts.
    shown = f": {_without_foreign(text)[:_LONGEST_LINE_SHOWN]!r}" if _PREFIX.match(text) else ""
    advice = "; give the file one column, and write a comma in a UID as %2C" if "," in text else ""
    return InvalidArgument(f"Line {number} of {name} is malformed{shown}; expected {_EXPECTED}{advice}")


def _without_foreign(text: str) -> str:
    """Return the line with … for each segment that is not a word of paths or a well-formed UID."""
    return "/".join(part if _SHOWN_SEGMENT.fullmatch(part) else "…" for part in text.split("/"))

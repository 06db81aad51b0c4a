"""The filter of a list: terms such as `done:true`, joined by AND.

A term compares a field: `metadata.createTime>="2026-01-02T03:04:05Z"`. This is the part of
https://google.aip.dev/160 that clients of this API use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dicom_export.errors import InvalidArgument

_TERM = re.compile(
    r"""(?P<field>[A-Za-z][\w.-]*) \s* (?P<compare><=|>=|!=|[:=<>]) \s*
        (?: "(?P<double>[^"]*)" | '(?P<single>[^']*)' | (?P<bare>[^\s"']+) )""",
    re.VERBOSE | re.ASCII,
)
_AND = re.compile(r"\s+AND\s+")
_MAX_LENGTH = 10_000
_MAX_SHOWN_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison, and the position of its first character in the filter."""

    field: str
    compare: str
    value: str
    position: int


def parse_terms(text: str, right: str) -> list[Term]:
    """Return the terms of a filter; an empty filter has none.

    `right` says what is expected. Raises InvalidArgument.
    """
    text = text.strip()
    if len(text) > _MAX_LENGTH:
        raise InvalidArgument(f"The filter has {len(text)} characters; expected at most {_MAX_LENGTH}.")
    terms: list[Term] = []
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if not match:
            raise malformed(text, position, right)
        value = next(group for group in (match["double"], match["single"], match["bare"]) if group is not None)
        terms.append(Term(match["field"], match["compare"], value, position))
        position = match.end()
        joint = _AND.match(text, position)
        if position < len(text) and not joint:
            raise malformed(text, position, right)
        position = joint.end() if joint else position
        if joint and position == len(text):
            raise malformed(text, position, right)
    return terms


def malformed(text: str, position: int, right: str) -> InvalidArgument:
    """Return the error for a filter that is malformed at the position."""
    shown = text.strip()[:_MAX_SHOWN_LENGTH]
    return InvalidArgument(f"The filter {shown!r} is malformed at character {position + 1}; {right}.")

"""Regular expressions: BigQuery's and DuckDB's are both RE2, but groups and a missing match differ."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dicom_export.adapters.local.bigquery_sql.values import text
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.adapters.local.bigquery_sql.call import Call

_ESCAPED_OR_CLASS = re.compile(r"\\Q.*?\\E|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_GROUP = re.compile(r"\((?!\?)|\(\?P?<\w+>")


def _groups(pattern: str) -> int:
    return len(_GROUP.findall(_ESCAPED_OR_CLASS.sub("", pattern)))


def _pattern(call: Call) -> tuple[str, int]:
    """Return the pattern, and the number of the group that is extracted: 0 is the whole match."""
    pattern = str(call[1].constant)
    groups = _groups(pattern)
    if groups > 1:
        raise InvalidArgument(f"{call.name} takes a pattern with at most one group: write (?:…) for the others")
    return text(pattern), groups


def _matches(call: Call) -> str:
    return f"regexp_matches({call.sql(0)}, {text(str(call[1].constant))})"


def _extract(call: Call) -> str:
    pattern, group = _pattern(call)
    source = call.sql(0)
    return f"CASE WHEN regexp_matches({source}, {pattern}) THEN regexp_extract({source}, {pattern}, {group}) END"


def _extract_at(call: Call) -> str:
    pattern, group = _pattern(call)
    start = call.sql(2)
    occurrence = call.sql(3) if len(call.arguments) > 3 else "1"  # noqa: PLR2004 - text, pattern, start, occurrence
    error = call.fail(f"{call.name} takes a positive position and occurrence")
    found = f"list_extract(regexp_extract_all(substring({call.sql(0)}, {start}), {pattern}, {group}), {occurrence})"
    return f"CASE WHEN {start} <= 0 OR {occurrence} <= 0 THEN {error} ELSE {found} END"


def _extract_all(call: Call) -> str:
    pattern, group = _pattern(call)
    return f"regexp_extract_all({call.sql(0)}, {pattern}, {group})"


def _position(call: Call) -> str:
    source, pattern = call.sql(0), str(call[1].constant)
    if _groups(pattern):
        raise InvalidArgument("REGEXP_INSTR takes a pattern without a group here: write (?:…)")
    before = text(f"^((?s:.*?))(?:{pattern})")
    found = f"length(regexp_extract({source}, {before}, 1)) + 1"
    return f"CASE WHEN {source} IS NULL THEN NULL WHEN regexp_matches({source}, {before}) THEN {found} ELSE 0 END"


def _replace(call: Call) -> str:
    return f"regexp_replace({call.sql(0)}, {text(str(call[1].constant))}, {call.sql(2)}, 'g')"


PATTERN_BUILDERS: dict[str, Callable[[Call], str]] = {
    "matches_pattern": _matches,
    "extract_pattern": _extract,
    "extract_pattern_at": _extract_at,
    "extract_all_patterns": _extract_all,
    "position_of_pattern": _position,
    "replace_pattern": _replace,
}

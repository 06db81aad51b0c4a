"""The filter of `operations.list`, such as `done:true AND name:TEXT`.

Times are compared as in `metadata.createTime>="2026-01-02T03:04:05Z"`.
"""

from __future__ import annotations

import operator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument
from dicom_export.protocol.instants import RFC_3339
from dicom_export.protocol.list_filter import Term, malformed, parse_terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.operations.operation import Operation

    Condition = Callable[[Operation], bool]
    # A time to the microsecond, and its further decimals without trailing zeros: exact, and sorted by time.
    Moment = tuple[datetime, str]

_COMPARISONS: dict[str, Callable[[Moment, Moment], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_RIGHT = (
    "expected done:true, done=false, name:TEXT, or metadata.createTime or metadata.endTime with =, <, <=, > or >= and"
    ' a time as "2026-01-02T03:04:05Z", joined by AND'
)


def parse_operations_filter(text: str) -> Condition:
    """Return the condition of the filter for operations. Raises InvalidArgument."""
    conditions = [_condition(text, term) for term in parse_terms(text, _RIGHT)]
    return lambda operation: all(condition(operation) for condition in conditions)


def _condition(text: str, term: Term) -> Condition:
    value = term.value
    match term.field, term.compare:
        case "done", ":" | "=" if value in ("true", "false"):
            return lambda operation: operation.is_done is (value == "true")
        case "name", ":" if value:
            return lambda operation: value in str(operation.name)
        case "metadata.createTime", compare if compare in _COMPARISONS:
            return _compared(lambda operation: operation.create_time, compare, _time(value))
        case "metadata.endTime", compare if compare in _COMPARISONS:
            return _compared(lambda operation: operation.end_time, compare, _time(value))
    raise malformed(text, term.position, _RIGHT)


def _compared(moment: Callable[[Operation], datetime | None], compare: str, bound: Moment) -> Condition:
    def condition(operation: Operation) -> bool:
        at = moment(operation)
        return at is not None and _COMPARISONS[compare]((at, ""), bound)

    return condition


def _time(value: str) -> Moment:
    if match := RFC_3339.fullmatch(value):
        with suppress(ValueError):
            return datetime.fromisoformat(value.upper()), (match["beyond"] or "").rstrip("0")
    raise InvalidArgument(f"{value[:100]!r} in the filter is not a time in RFC 3339; expected 2026-01-02T03:04:05Z.")

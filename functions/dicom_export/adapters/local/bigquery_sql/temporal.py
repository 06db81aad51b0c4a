"""Parts of dates and times: what EXTRACT, …_TRUNC and …_DIFF do with DAY, WEEK(MONDAY) or ISOYEAR."""

from __future__ import annotations

from dicom_export.errors import InvalidArgument

_WEEKDAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
_OF_DATE = ("DAY", "WEEK", "ISOWEEK", "MONTH", "QUARTER", "YEAR", "ISOYEAR")
_OF_TIME = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR")
_MICROSECONDS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}
_EXTRACTED = {
    "YEAR": "year({0})",
    "MONTH": "month({0})",
    "DAY": "day({0})",
    "QUARTER": "quarter({0})",
    "DAYOFWEEK": "dayofweek({0}) + 1",
    "DAYOFYEAR": "dayofyear({0})",
    "ISOWEEK": "week({0})",
    "ISOYEAR": "isoyear({0})",
    "HOUR": "hour({0})",
    "MINUTE": "minute({0})",
    "SECOND": "second({0})",
    "MILLISECOND": "millisecond({0}) % 1000",
    "MICROSECOND": "microsecond({0}) % 1000000",
}
_ONLY_OF_DATES = ("YEAR", "MONTH", "DAY", "QUARTER", "DAYOFWEEK", "DAYOFYEAR", "ISOWEEK", "ISOYEAR", "WEEK")


def first_weekday(part: str) -> int:
    """Return the day on which WEEK or WEEK(MONDAY) begins, Sunday being 0."""
    name = part.removeprefix("WEEK").strip("()") or "SUNDAY"
    if name not in _WEEKDAYS:
        raise InvalidArgument(f"{part} is not a part of a date: expected one of WEEK(SUNDAY) to WEEK(SATURDAY)")
    return _WEEKDAYS.index(name)


def extracted(part: str, kind: str, sql: str) -> str:
    """Return SQL for a part as a whole number. `sql` is a DATE, TIME or DATETIME."""
    base = part.partition("(")[0]
    wrong = base in _ONLY_OF_DATES if kind == "TIME" else kind == "DATE" and base in _OF_TIME
    if wrong or base not in {*_EXTRACTED, "WEEK"}:
        raise InvalidArgument(f"EXTRACT cannot take {part} from a {kind}")
    if base == "WEEK":
        weekday = f"((dayofweek({sql}) + {7 - first_weekday(part)}) % 7)"
        return f"((dayofyear({sql}) + 6 - {weekday}) // 7)"
    return f"CAST({_EXTRACTED[part].replace('{0}', sql)} AS BIGINT)"


def truncated(part: str, kind: str, sql: str) -> str:
    """Return SQL for the start of the part that a value is in, of the value's own type."""
    base = part.partition("(")[0]
    allowed = {"DATE": _OF_DATE, "TIME": _OF_TIME}.get(kind, (*_OF_TIME, *_OF_DATE))
    if base not in allowed:
        raise InvalidArgument(f"A {kind} cannot be truncated to {part}: expected one of {', '.join(allowed)}")
    if kind == "TIME":
        unit = _MICROSECONDS[part]
        return f"CAST(make_timestamp((epoch_us({sql}) // {unit}) * {unit}) AS TIME)"
    return f"CAST({_truncated(part, sql)} AS {'DATE' if kind == 'DATE' else 'TIMESTAMP'})"


def _truncated(part: str, sql: str) -> str:
    day = f"CAST({sql} AS DATE)"
    if part.startswith("WEEK"):
        return f"({day} - CAST((dayofweek({sql}) + {7 - first_weekday(part)}) % 7 AS INTEGER))"
    if part == "ISOYEAR":
        # The ISO year begins with the week of 4 January.
        return f"date_trunc('week', make_date(CAST(isoyear({sql}) AS BIGINT), 1, 4))"
    return f"date_trunc('{'week' if part == 'ISOWEEK' else part.lower()}', {sql})"


def boundaries(part: str, kind: str, end: str, start: str) -> str:
    """Return SQL for the number of boundaries between two values: of months between 31 January and 1 February, 1."""
    base = part.partition("(")[0]
    allowed = {"DATE": _OF_DATE, "TIME": _OF_TIME}.get(kind, (*_OF_TIME, *_OF_DATE))
    if base not in allowed:
        raise InvalidArgument(f"{kind}_DIFF does not count {part}: expected one of {', '.join(allowed)}")
    if base in {"WEEK", "ISOWEEK"}:
        weeks = [f"CAST({_truncated(part, each)} AS DATE)" for each in (end, start)]
        return f"(({weeks[0]} - {weeks[1]}) // 7)"
    if base == "ISOYEAR":
        return f"(CAST(isoyear({end}) AS BIGINT) - isoyear({start}))"
    return f"date_diff('{base.lower()}', {start}, {end})"


def whole_units(part: str, end: str, start: str) -> str:
    """Return SQL for the number of whole units between two TIMESTAMPs."""
    if part not in _MICROSECONDS:
        raise InvalidArgument(f"TIMESTAMP_DIFF does not count {part}: expected one of {', '.join(_MICROSECONDS)}")
    return f"((epoch_us({end}) - epoch_us({start})) // {_MICROSECONDS[part]})"


_UNITS_ADDED = {
    "DATE": ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR"),
    "DATETIME": (*_OF_TIME, "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"),
    "TIME": _OF_TIME,
    "TIMESTAMP": (*_OF_TIME, "DAY"),
}


def check_interval(unit: str, kind: str) -> None:
    """Raise InvalidArgument for a unit that cannot be added to a value of that kind, as months to a TIMESTAMP."""
    if unit not in _UNITS_ADDED[kind]:
        expected = ", ".join(_UNITS_ADDED[kind])
        raise InvalidArgument(f"INTERVAL … {unit} cannot be added to a {kind}: expected one of {expected}")

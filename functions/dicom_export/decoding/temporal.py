"""Parse DA, TM and DT (PS3.5 §6.2). The functions return None for invalid text, and for values that no column can hold."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

# PS3.5 §6.2 asks readers to accept the forms of ACR-NEMA as well: 1993.08.22, 10:45:11.
_DATE = re.compile(r"(\d{4})(\.?)(\d\d)\2(\d\d)", re.ASCII)
_DIGITS_OF_DATE = len("YYYYMMDD")
_DIGITS_OF_TIME = len("HHMMSS")
_LONGEST_TIME = len("HHMMSS.FFFFFF")
_DIGITS_OF_MOMENT = _DIGITS_OF_DATE + _DIGITS_OF_TIME
_LONGEST_MOMENT = _DIGITS_OF_DATE + _LONGEST_TIME
_MIDNIGHT = "24"  # of which later versions of Python make 0 o'clock
_TIME = re.compile(r"(\d\d)(?:(:?)(\d\d)(?:\2(\d\d)(?:\.(\d{1,6}))?)?)?", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?)?)?)?([+-]\d{4})?", re.ASCII
)
_OFFSET = re.compile(r"([+-])(\d\d)([0-5]\d)", re.ASCII)
_WESTMOST = timedelta(hours=-12)
_EASTMOST = timedelta(hours=14)


def parse_date(text: str) -> date | None:
    """Return the date of a DA."""
    try:
        if (
            len(text) == _DIGITS_OF_DATE and text.isascii() and text.isdigit()
        ):  # the usual form takes a third of the time so
            return date.fromisoformat(text)
        match = _DATE.fullmatch(text)
        return date(int(match[1]), int(match[3]), int(match[4])) if match else None
    except ValueError:
        return None


def parse_time(text: str) -> time | None:
    """Return the time of a TM; minutes and seconds that it leaves out are 0. A leap second has no TIME."""
    try:
        digits = text[:6] + text[7:]
        is_usual = len(text) == _DIGITS_OF_TIME or (len(text) == _LONGEST_TIME and text[6] == ".")
        if is_usual and digits.isascii() and digits.isdigit() and digits < _MIDNIGHT:
            return time.fromisoformat(text)
        match = _TIME.fullmatch(text)
        if not match:
            return None
        return time(int(match[1]), int(match[3] or 0), int(match[4] or 0), _microseconds(match[5]))
    except ValueError:
        return None


def parse_date_time(text: str, offset: timezone = UTC) -> datetime | None:
    """Return the time of a DT, in UTC. Missing parts get their first value. Its own offset takes precedence over the given one."""
    if _is_usual(text):
        try:
            moment = datetime.fromisoformat(f"{text[:8]}T{text[8:]}Z")
            return moment if offset is UTC else moment.replace(tzinfo=offset).astimezone(UTC)
        except (ValueError, OverflowError):
            return None
    match = _DATE_TIME.fullmatch(text)
    if not match:
        return None
    own = parse_offset(match[8]) if match[8] else offset
    if own is None:
        return None
    year, month, day, hour, minute, second = (
        int(part) if part else first for part, first in zip(match.groups()[:6], (1, 1, 1, 0, 0, 0), strict=True)
    )
    try:
        moment = datetime(year, month, day, hour, minute, second, _microseconds(match[7]), tzinfo=own)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _is_usual(text: str) -> bool:
    """Return whether a DT is `YYYYMMDDHHMMSS` or `YYYYMMDDHHMMSS.FFFFFF`, which take a third of the time."""
    digits = text[:14] + text[15:]
    is_long = len(text) == _LONGEST_MOMENT and text[14] == "."
    return (
        (is_long or len(text) == _DIGITS_OF_MOMENT) and digits.isascii() and digits.isdigit() and text[8:10] < _MIDNIGHT
    )


def parse_offset(text: str) -> timezone | None:
    """Return the time zone of `+HHMM`, as TimezoneOffsetFromUTC has it: from -1200 to +1400."""
    match = _OFFSET.fullmatch(text)
    if not match:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3])) * (-1 if match[1] == "-" else 1)
    return timezone(offset) if _WESTMOST <= offset <= _EASTMOST else None


def _microseconds(fraction: str | None) -> int:
    return int(fraction.ljust(6, "0")) if fraction else 0

"""Numbers, sizes and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")
_STEP = 1000
_TEN = 10


def count(number: int) -> str:
    """Return a whole number with separators."""
    return f"{number:,}"


def size(number: int) -> str:
    """Return a number of bytes: `214.6 GB`."""
    value, unit = float(number), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value /= _STEP
        unit += 1
    return f"{number:,} bytes" if not unit else f"{value:,.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: `7.1 s`, `4 min 55 s`, `3 h 5 min`."""
    if seconds < _TEN:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    return _two(whole, _HOUR, "h", _MINUTE, "min") if whole < _DAY else _two(whole, _DAY, "d", _HOUR, "h")


def about(seconds: float) -> str:
    """Return a time span in its largest unit, for what is estimated: `3 min`."""
    whole = max(round(seconds), 1)
    for length, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if whole >= 2 * length:
            return f"{round(whole / length)} {unit}"
    return f"{whole} s"


def percent(part: int, whole: int) -> str:
    """Return a share, which is 100 only if nothing is missing and 0 only if nothing is there."""
    if not whole:
        return "0"
    share = 100 * part / whole
    if part == whole:
        return "100"
    if share >= 99:  # noqa: PLR2004 - where a decimal matters
        return f"{min(share, 99.9):.1f}"
    return str(max(int(share), 1 if part else 0))


def moment(time: datetime, now: datetime | None = None) -> str:
    """Return a time in the zone of the server: `today 14:22`, `yesterday 09:40`, `27 Nov 2026, 14:22`."""
    local = time.astimezone()
    recent = _recent_day(local, now)
    return f"{recent} {clock(time)}" if recent else f"{local.day} {local:%b %Y}, {clock(time)}"


def clock(time: datetime) -> str:
    """Return the time of day in the zone of the server."""
    return f"{time.astimezone():%H:%M}"


def day(time: datetime, now: datetime | None = None) -> str:
    """Return the day of a time: `Today, 27 November`."""
    local = time.astimezone()
    recent = _recent_day(local, now)
    date = f"{local.day} {local:%B}"
    return f"{recent.capitalize()}, {date}" if recent else f"{date} {local:%Y}"


def iso(time: datetime) -> str:
    """Return the time for a program."""
    return time.astimezone().isoformat(timespec="seconds")


def _recent_day(local: datetime, now: datetime | None) -> str:
    """Return `today` or `yesterday`, or an empty text for a time of another day."""
    today = (now or datetime.now(UTC)).astimezone().date()
    return {today: "today", today - timedelta(days=1): "yesterday"}.get(local.date(), "")


def _two(whole: int, length: int, unit: str, smaller: int, small: str) -> str:
    large, rest = divmod(whole, length)
    little = rest // smaller
    return f"{large} {unit} {little} {small}" if little else f"{large} {unit}"

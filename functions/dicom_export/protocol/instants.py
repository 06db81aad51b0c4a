"""Instants as text, as RFC 3339 §5.6 writes them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime

from dicom_export.errors import InvalidArgument

RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6}(?P<beyond>\d*))?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_MAX_SHOWN_LENGTH = 100


def parse_instant(text: str) -> datetime:
    """Return the instant in UTC; decimals beyond the microsecond are cut off. Raises InvalidArgument."""
    if RFC_3339.fullmatch(text):
        with suppress(ValueError, OverflowError):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    raise InvalidArgument(
        f"{text[:_MAX_SHOWN_LENGTH]!r} is not a time in RFC 3339: expected a date, a time and a time zone, as in"
        " 2026-01-02T03:04:05Z"
    )

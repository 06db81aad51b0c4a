"""Convert values of a query's result to JSON and to text."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from dicom_export.protocol.operations_json import timestamp

json_text = json.JSONEncoder(ensure_ascii=False).encode
"""Return a result of `json_value` as JSON text."""

_NOT_FINITE = {"inf": "Infinity", "-inf": "-Infinity"}


def json_value(value: object) -> Any:
    """Return the value in a form that JSON has: dates and times as BigQuery's text, NaN and infinities as text, bytes in base64."""
    match value:
        case dict():
            return {str(name): json_value(each) for name, each in value.items()}
        case list() | tuple():
            return _interval(*value) if hasattr(value, "nanoseconds") else [json_value(each) for each in value]
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else _NOT_FINITE.get(str(value), "NaN")
    return _number(value) if isinstance(value, Decimal) else _scalar_text(value)


def plain_text(value: object) -> str:
    """Return the value as BigQuery prints it; NULL is empty, records and arrays are JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime) and value.tzinfo:
        return f"{value.astimezone(UTC).replace(tzinfo=None)} UTC"
    simple = json_value(value)
    return simple if isinstance(simple, str) else json_text(simple)


def _number(value: Decimal) -> int | str:
    """Return DuckDB's sum of integers as an integer, and a NUMERIC as text without padding zeros."""
    if value.as_tuple().exponent == 0:
        return int(value)
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _interval(months: int, days: int, nanoseconds: int) -> str:
    """Return an interval in BigQuery's canonical format, such as `0-1 3 4:5:6.789`."""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    years, months_left = divmod(abs(months), 12)
    clock = f"{seconds // 3600}:{seconds // 60 % 60}:{seconds % 60}{fraction}"
    return f"{'-' * (months < 0)}{years}-{months_left} {days} {'-' * (nanoseconds < 0)}{clock}"


def _scalar_text(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo:
        return timestamp(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, date | time) else str(value)

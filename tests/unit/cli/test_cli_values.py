"""Values of a result as JSON and as text."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest

from dicom_export.rows.result_values import json_value, plain_text

SUMMER = timezone(timedelta(hours=2))


def interval(*months_days_nanoseconds: int) -> object:
    return pa.scalar(months_days_nanoseconds, pa.month_day_nano_interval()).as_py()


def test_values_are_json_as_bigquery_writes_them() -> None:
    values = [
        date(2026, 1, 2),
        time(3, 4, 5, 6),
        datetime(2026, 1, 2, tzinfo=UTC),
        float("nan"),
        float("-inf"),
        b"ab",
        {"a": (1, None)},
        Decimal(12),
        Decimal("12.500000000"),
    ]
    assert json_value(values) == [
        "2026-01-02",
        "03:04:05.000006",
        "2026-01-02T00:00:00.000000Z",
        "NaN",
        "-Infinity",
        "YWI=",
        {"a": [1, None]},
        12,
        "12.5",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05 UTC"),
        (datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=SUMMER), "2026-01-02 01:04:05.678000 UTC"),
        (datetime(7, 1, 2, tzinfo=UTC), "0007-01-02 00:00:00 UTC"),
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),  # noqa: DTZ001 - a DATETIME has no time zone
        (date(7, 1, 2), "0007-01-02"),
        (time(3, 4, 5), "03:04:05"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (1.0, "1.0"),
        (b"\xff\x00", "/wA="),
        (True, "true"),
        (Decimal("0.500000000"), "0.5"),
        (Decimal("100.00"), "100"),
        (Decimal(9_000_000_000_000_000_000_000), "9000000000000000000000"),
        (None, ""),
        ([], "[]"),
        ({"Name": "山", "At": datetime(2026, 1, 2, tzinfo=UTC)}, '{"Name": "山", "At": "2026-01-02T00:00:00.000000Z"}'),
        (interval(14, 3, 3_661_500_000_000), "1-2 3 1:1:1.5"),
        (interval(-1, 0, -1_000_000_000), "-0-1 0 -0:0:1"),
    ],
)
def test_a_value_is_text_as_bigquery_prints_it(value: object, expected: str) -> None:
    assert plain_text(value) == expected

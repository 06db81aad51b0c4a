"""Numbers and times as the pages show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dicom_export.console import numbers


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (214_600_000_000, "214.6 GB"),
        (9_800_000_000_000, "9.8 TB"),
    ],
)
def test_sizes(number: int, text: str) -> None:
    assert numbers.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((-1, "0.0 s"), (7.14, "7.1 s"), (42, "42 s"), (161, "2 min 41 s"), (120, "2 min")),
        *((3 * 3600 + 310, "3 h 5 min"), (90_000, "1 d 1 h"), (86_400, "1 d")),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "1 s"), (59, "59 s"), (119, "119 s"), (185, "3 min"), (8000, "2 h")])
def test_estimates_have_one_unit(seconds: float, text: str) -> None:
    assert numbers.about(seconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "0"), (0, 5, "0"), (1, 10_000, "1"), (62, 100, "62"), (99_999, 100_000, "99.9"), (7, 7, "100")],
)
def test_a_share_is_100_only_if_nothing_is_missing(part: int, whole: int, text: str) -> None:
    assert numbers.percent(part, whole) == text


def test_a_moment_is_named_by_its_day() -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert numbers.moment(now, now) == f"today {now.astimezone():%H:%M}"
    assert numbers.moment(now - timedelta(days=1), now).startswith("yesterday ")
    assert numbers.moment(datetime(2026, 1, 2, 12, tzinfo=UTC), now).startswith("2 Jan 2026, ")
    assert numbers.day(now, now).startswith("Today, 27 November")
    assert numbers.day(now - timedelta(days=1), now).startswith("Yesterday, ")
    assert numbers.day(datetime(2025, 1, 2, 12, tzinfo=UTC), now) == "2 January 2025"

"""The film strip says how far each part of an export is, whatever the size of its plan."""

from __future__ import annotations

import pytest

from dicom_export.console.views.strip import film_strip
from dicom_export.operations.counters import Counters
from dicom_export.state.progress import PageProgress


def test_a_small_plan_has_a_frame_per_task() -> None:
    done = {0: Counters(success=10), 1: Counters(success=9, failure=1)}
    strip = film_strip([PageProgress(3, 30, Counters(success=19, failure=1), done)])
    assert [(frame.kind, frame.has_failures) for frame in strip.frames] == [
        ("done", False),
        ("done", True),
        ("waiting", False),
    ]
    assert strip.objects == 10
    assert strip.kinds == {"done", "waiting", "notch"}


def test_a_large_plan_has_a_frame_per_page_that_fills() -> None:
    pages = [PageProgress(100, 1000, Counters(success=done)) for done in (1000, 250, 0)]
    strip = film_strip(pages)
    assert [(frame.kind, frame.height, frame.y) for frame in strip.frames] == [
        ("done", "8.00", "0.00"),
        ("working", "2.00", "6.00"),
        ("waiting", "0.00", "8.00"),
    ]


@pytest.mark.parametrize("pages", [121, 500, 10_000])
def test_there_are_at_most_120_frames(pages: int) -> None:
    strip = film_strip([PageProgress(100, 7, Counters(success=7))] * pages)
    assert 60 <= strip.width <= 120
    assert {frame.kind for frame in strip.frames} == {"done"}


def test_what_was_cancelled_is_stopped_and_what_is_no_instance_is_done() -> None:
    done = {0: Counters(success=5, cancelled=5), 1: Counters(skipped=10)}
    strip = film_strip([PageProgress(2, 20, Counters(), done)])
    assert [frame.kind for frame in strip.frames] == ["stopped", "done"]


def test_a_plan_that_is_not_made_yet_has_no_frames() -> None:
    assert film_strip([]).frames == ()
    assert film_strip([PageProgress(0, 0)]).frames == ()


def test_frames_do_not_touch_and_stay_in_their_place() -> None:
    for number in (1, 2, 60, 120):
        strip = film_strip([PageProgress(1, 1, Counters(success=1), {0: Counters(success=1)})] * number)
        for position, frame in enumerate(strip.frames):
            assert position < float(frame.x)
            assert float(frame.x) + float(strip.frame_width) < position + 1

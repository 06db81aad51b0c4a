"""With the bound of what is outstanding, no message runs out of attempts because all workers are busy.

What Google does not document is tried both ways: how long Cloud Run holds a push before it refuses
it, whether Pub/Sub pauses the subscription, and whether its retries come at exact times.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from dicom_export.operations.planning import MESSAGES_PER_SLOT, PlanLimits
from support.push_model import Pushes

MESSAGES = 10_000
PLANNER_SECONDS = 10.0
UNBOUNDED = replace(PlanLimits(), outstanding=2 * MESSAGES)
WAYS = [
    {"held_seconds": held, "pauses": pauses, "jitter": jitter}
    for held, pauses, jitter in product((0.0, 10.0), (True, False), (0.0, 0.2))
]


class Export:
    """An export of many messages, whose planner plans a page when there is room for it."""

    def __init__(self, pushes: Pushes, limits: PlanLimits, messages: int = MESSAGES) -> None:
        self._pushes = pushes
        self._messages = messages
        self._limits = limits
        self._planned = 0
        self._sizes: list[int] = []
        self._open: dict[int, int] = {}
        self._page_of: dict[int, int] = {}
        self._is_planning = False
        self.most_outstanding = 0
        pushes.on_end, pushes.on_timer = self._ended, self._plan
        self._wake()

    def _wake(self) -> None:
        if not self._is_planning and self._planned < self._messages and self._limits.has_room(self._outstanding()):
            self._is_planning = True
            self._pushes.call_in(PLANNER_SECONDS)

    def _outstanding(self) -> int:
        return sum(self._sizes[page] for page in self._open)

    def _plan(self) -> None:
        self._is_planning = False
        page, end = len(self._sizes), min(self._messages, self._planned + self._limits.tasks_of_page)
        for message in range(self._planned, end):
            self._pushes.publish(message)
            self._page_of[message] = page
        self._sizes.append(end - self._planned)
        self._open[page] = self._sizes[page]
        self._planned = end
        self.most_outstanding = max(self.most_outstanding, self._outstanding())
        self._wake()

    def _ended(self, message: int) -> None:
        page = self._page_of[message]
        self._open[page] -= 1
        if not self._open[page]:
            del self._open[page]
            self._wake()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_of_ten_thousand_messages_none_is_a_dead_letter_and_none_is_near_it(way: dict[str, float]) -> None:
    for seed in range(2):
        pushes = Pushes(seed=seed, **way)  # type: ignore[arg-type]
        export = Export(pushes, PlanLimits())
        pushes.run()
        assert len(pushes.pushed) == MESSAGES
        assert pushes.dead == []
        assert max(pushes.pushed.values()) <= pushes.attempts // 2
        assert export.most_outstanding <= PlanLimits().outstanding


def test_with_all_messages_published_at_once_most_are_dead_letters() -> None:
    """Except where each refusal comes at once and pauses the whole subscription: that alone keeps the messages back."""
    for held, pauses in ((10.0, True), (0.0, False)):
        pushes = Pushes(held_seconds=held, pauses=pauses)
        Export(pushes, UNBOUNDED)
        pushes.run()
        assert len(pushes.dead) > MESSAGES // 2


def test_more_outstanding_messages_make_an_export_slower() -> None:
    took = []
    for outstanding in (20, 100):
        pushes = Pushes(held_seconds=10.0, pauses=False)
        Export(pushes, replace(PlanLimits(), outstanding=outstanding), 2_000)
        pushes.run()
        took.append(pushes.now)
    assert took[0] < took[1]


@pytest.mark.parametrize("slots", [2, 8, 40, 200])
def test_the_bound_that_terraform_sets_fits_other_numbers_of_workers(slots: int) -> None:
    pushes = Pushes(slots=slots, held_seconds=10.0)
    Export(pushes, replace(PlanLimits(), outstanding=MESSAGES_PER_SLOT * slots), 250 * slots)
    pushes.run()
    assert len(pushes.pushed) == 250 * slots
    assert pushes.dead == []

"""The planner does not run ahead of the workers, whatever is lost, repeated, late or cancelled.

Handlers and state are the real ones; a worker is a result without a row.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.errors import Code, Unavailable
from dicom_export.handlers.record_result import record_dead_letter
from dicom_export.messages import ExportStudy, PlanExport, StudyExported, decode
from support.factories import PARENT
from support.faults import Faults
from support.handlers_alone import EXPECTED, LIMITS, STUDIES, Installation


def messages_of(installation: Installation) -> list[Any]:
    return [decode(*letter) for letter in installation.mailbox.waiting]


def plan_what_has_room(installation: Installation) -> None:
    """Deliver the planner's messages only, as if every worker were busy."""
    while True:
        topics = [topic for topic, _ in installation.mailbox.waiting]
        if PlanExport.topic not in topics:
            return
        installation.deliver(topics.index(PlanExport.topic))


def test_while_workers_are_busy_no_more_is_planned_than_may_be_outstanding() -> None:
    installation = Installation()
    plan_what_has_room(installation)
    studies = [each for each in messages_of(installation) if isinstance(each, ExportStudy)]
    assert len(studies) == installation.outstanding() == LIMITS.outstanding
    assert installation.has_deferred()


def test_an_export_that_never_fills_its_window_is_never_deferred() -> None:
    installation = Installation(limits=replace(LIMITS, outstanding=STUDIES * 2))
    installation.drain()
    installation.assert_exact()
    assert not installation.has_deferred()


@pytest.mark.parametrize("outstanding", [1, 2, 3, 4, 5])
def test_the_page_after_a_sum_is_planned_and_each_message_is_sent_once(outstanding: int) -> None:
    installation = Installation(limits=replace(LIMITS, outstanding=outstanding))
    plan_what_has_room(installation)
    installation.drain()
    installation.assert_exact()
    assert installation.has_deferred()
    assert installation.published["exported"] == STUDIES


def test_results_that_are_told_twice_do_not_repeat_the_work_of_a_page() -> None:
    installation = Installation()
    plan_what_has_room(installation)
    while installation.mailbox.waiting:
        topic, _ = installation.mailbox.waiting[0]
        if topic == StudyExported.topic:
            installation.deliver(again=True)
        installation.deliver()
    installation.assert_exact()
    assert installation.published["exported"] == STUDIES


def test_a_crash_or_a_lost_answer_after_any_effect_changes_nothing() -> None:
    quiet = Installation()
    plan_what_has_room(quiet)
    quiet.drain()
    for point in range(len(quiet.faults.log)):
        for faults in (
            Faults(frozenset({point})),
            Faults(frozenset({point}), Unavailable),
            Faults(denied=frozenset({point})),
            Faults(refused=frozenset({point})),
        ):
            installation = Installation(faults)
            for _ in range(3):
                plan_what_has_room(installation)
            installation.drain()
            installation.assert_exact()


@given(
    seed=st.integers(0, 2**32),
    duplicates=st.floats(0, 0.7),
    crashes=st.frozensets(st.integers(0, 200), max_size=12),
    denied=st.frozensets(st.integers(0, 200), max_size=12),
    outstanding=st.integers(1, 6),
)
def test_any_order_with_duplicates_and_crashes_ends_and_keeps_the_bound(
    seed: int, duplicates: float, crashes: frozenset[int], denied: frozenset[int], outstanding: int
) -> None:
    installation = Installation(Faults(crashes, denied=denied), replace(LIMITS, outstanding=outstanding))
    chance = random.Random(seed)
    for _ in range(200):
        if installation.mailbox.waiting:
            installation.deliver(
                chance.randrange(len(installation.mailbox.waiting)), again=chance.random() < duplicates
            )
    installation.drain()
    installation.assert_exact()


@given(seed=st.integers(0, 2**32), rival=st.sampled_from(["plan", "sum"]), at=st.integers(0, 60))
def test_of_a_sum_and_a_planner_at_the_same_moment_one_plans_the_page(seed: int, rival: str, at: int) -> None:
    """At any effect, the other functions do all that they can before it goes on."""
    installation = Installation()
    chance = random.Random(seed)
    kinds = {"plan": (PlanExport.topic,), "sum": (StudyExported.topic, ExportStudy.topic)}[rival]

    def act(_: str) -> None:
        if len(installation.faults.log) != at:
            return
        for letter in list(installation.mailbox.waiting):
            if letter[0] in kinds and chance.random() < 0.8:
                installation.handlers[letter[0]](decode(*letter))

    installation.faults.on_effect = act
    plan_what_has_room(installation)
    installation.drain()
    installation.assert_exact()


def test_a_wake_up_that_is_lost_is_healed() -> None:
    installation = Installation()
    plan_what_has_room(installation)
    while installation.mailbox.waiting:
        if installation.mailbox.waiting[0][0] == PlanExport.topic:
            installation.mailbox.waiting.pop(0)  # lost
        else:
            installation.deliver()
    name = installation.operation.name
    assert not installation.ended().is_done
    assert not installation.service.get_operation(name).is_done  # it began in January: it is looked after now
    plan = [each for each in messages_of(installation) if isinstance(each, PlanExport)]
    assert len(plan) == 1
    installation.drain()
    installation.assert_exact()


@pytest.mark.parametrize("known", [0, 1, 2])
def test_what_the_version_before_began_is_finished(known: int) -> None:
    """It planned a page as soon as the one before was there, and no page and no message of it has a sender."""
    before = Installation(limits=replace(LIMITS, outstanding=STUDIES * 2, page_tasks=2))
    plan_what_has_room(before)
    installation = Installation()
    name = installation.operation.name
    for page in range(known):
        planned = before.journal.plans.page(name, page)
        assert planned
        installation.journal.plans.create_page(name, page, replace(planned, sender=""))
    installation.mailbox.waiting.clear()
    installation.service.publisher.publish([PlanExport(name, page) for page in range(known + 1)])
    while installation.mailbox.waiting:
        installation.mailbox.deliver(installation.handlers, 0)
    installation.assert_exact()


@pytest.mark.parametrize("delivered", range(0, 16, 2))
def test_a_cancelled_export_ends_although_its_next_page_is_deferred(delivered: int) -> None:
    installation = Installation()
    plan_what_has_room(installation)
    for _ in range(delivered):
        installation.deliver()
    installation.service.cancel_operation(installation.operation.name)
    installation.drain()
    ended = installation.ended()
    assert ended.is_done
    assert ended.counters
    assert ended.counters.pending == 0
    assert ended.counters == EXPECTED or (ended.error and ended.error.code is Code.CANCELLED)


def test_a_message_out_of_attempts_makes_room_too() -> None:
    installation = Installation()
    plan_what_has_room(installation)
    for letter in list(installation.mailbox.waiting):
        if letter[0] == ExportStudy.topic:
            installation.mailbox.waiting.remove(letter)
            record_dead_letter(
                cast("Any", decode(*letter)),
                Unavailable("out of attempts"),
                journal=installation.journal,
                stores=installation.service.stores,
                tables=installation.tables,
                publisher=installation.mailbox,
            )
    installation.drain()
    ended = installation.ended()
    assert ended.is_done
    assert ended.counters
    assert ended.counters.abandoned == LIMITS.outstanding
    assert ended.counters.success == STUDIES - LIMITS.outstanding


def test_a_dead_letter_of_a_page_that_another_message_planned_publishes_nothing() -> None:
    installation = Installation()
    installation.deliver()
    planned = [each for each in messages_of(installation) if isinstance(each, PlanExport)]
    assert [each.page for each in planned] == [1]
    rival = PlanExport.unless_planned(installation.operation.name, 1)
    installation.handlers[PlanExport.topic](rival)
    waiting = list(installation.mailbox.waiting)
    record_dead_letter(
        planned[0],
        Unavailable("out of attempts"),
        journal=installation.journal,
        stores=installation.service.stores,
        tables=installation.tables,
        publisher=installation.mailbox,
    )
    assert installation.mailbox.waiting == waiting
    assert not list(installation.journal.dead_letters.all(PARENT))


def test_a_message_for_a_page_after_the_end_of_the_plan_plans_nothing() -> None:
    installation = Installation()
    installation.drain()
    name = installation.operation.name
    pages = installation.journal.plans.pages(name)
    installation.journal.operations.change(name, lambda current: replace(current, end_time=None, pages=None))
    installation.handlers[PlanExport.topic](PlanExport.unless_planned(name, len(pages)))
    assert installation.journal.plans.pages(name) == pages

"""Whatever the order, the duplicates and the crashes of messages, rows and counters end the same (DESIGN §3)."""

from __future__ import annotations

import random
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicom_export import messages
from dicom_export.bootstrap.wiring import dead_letters_on
from dicom_export.errors import Code, Unavailable
from dicom_export.operations.counters import Counters
from dicom_export.operations.request import WriteDisposition
from support.dicom_files import make_instance
from support.faults import Faults
from support.worlds import LIMITS, ONE_OUTSTANDING, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_export.operations.operation import Operation
    from dicom_export.operations.planning import PlanLimits

STUDIES = {"1.2.1": 1, "1.2.2": 2, "1.2.3": 4}
EXPECTED = Counters(planned=9, success=8, failure=1, skipped=0, studies=3)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three studies of one to four instances, one object twice, and a file that is no DICOM."""
    root = tmp_path_factory.mktemp("store")
    for study, instances in STUDIES.items():
        folder = root / study / "1.3"
        folder.mkdir(parents=True)
        for number in range(instances):
            uid = f"{study}.{number}"
            instance = make_instance(StudyInstanceUID=study, SeriesInstanceUID="1.3", SOPInstanceUID=uid)
            (folder / f"{uid}.dcm").write_bytes(instance)
    (root / "1.2.2/1.3/1.2.2.0-copy.dcm").write_bytes((root / "1.2.2/1.3/1.2.2.0.dcm").read_bytes())
    (root / "1.2.3/1.3/1.2.3.9.dcm").write_bytes(b"\0no DICOM at all")
    return root


EXPECTED_INSTANCES = sorted([f"{study}.{n}" for study, count in STUDIES.items() for n in range(count)] + ["1.2.2.0"])


@pytest.fixture
def open_world(tmp_path: Path, store: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def open_one(faults: Faults | None = None, limits: PlanLimits = LIMITS) -> World:
        root = tmp_path / str(len(worlds))
        root.mkdir()
        worlds.append(World(root, store, faults, limits=limits))
        return worlds[-1]

    yield open_one
    for world in worlds:
        world.close()


def assert_exact(world: World, operation: Operation) -> None:
    with world.faults.disarmed():
        ended = world.ended(operation)
        assert ended.is_done
        assert ended.counters == EXPECTED
        assert world.instances() == EXPECTED_INSTANCES
        assert [failure.object for failure in world.service.failures(operation.name)] == ["1.2.3/1.3/1.2.3.9.dcm"]


def test_an_export_without_any_fault_is_exact(open_world: Callable[..., World]) -> None:
    world = open_world()
    operation = world.export()
    world.drain()
    assert_exact(world, operation)


@pytest.mark.parametrize("disposition", [WriteDisposition.WRITE_APPEND, WriteDisposition.WRITE_TRUNCATE])
def test_a_crash_after_any_effect_changes_nothing(
    open_world: Callable[..., World], disposition: WriteDisposition
) -> None:
    quiet = open_world()
    quiet.export(disposition)
    quiet.drain()
    points = len(quiet.faults.log)
    assert {"create", "open_stream", "append", "finalize", "commit", "publish"} <= set(quiet.faults.log)
    for point in range(points):
        world = open_world(Faults(frozenset({point})))
        operation = world.export(disposition)
        world.drain()
        assert_exact(world, operation)
        world.close()


@pytest.mark.parametrize("disposition", [WriteDisposition.WRITE_APPEND, WriteDisposition.WRITE_TRUNCATE])
def test_an_answer_that_is_lost_after_any_effect_changes_nothing(
    open_world: Callable[..., World], disposition: WriteDisposition
) -> None:
    """The process lives on and cleans up, which a crash does not."""
    quiet = open_world()
    quiet.export(disposition)
    quiet.drain()
    for point in range(len(quiet.faults.log)):
        world = open_world(Faults(frozenset({point}), Unavailable))
        operation = world.export(disposition)
        world.drain()
        assert_exact(world, operation)
        world.close()


def test_being_told_that_another_was_first_when_it_was_us_changes_nothing(open_world: Callable[..., World]) -> None:
    quiet = open_world()
    quiet.export()
    quiet.drain()
    points = [number for number, effect in enumerate(quiet.faults.log) if effect == "create"]
    for point in points:
        world = open_world(Faults(denied=frozenset({point})))
        operation = world.export()
        world.drain()
        assert_exact(world, operation)
        world.close()
    world = open_world(Faults(denied=frozenset(range(1000))))
    operation = world.export()
    world.drain()
    assert_exact(world, operation)


@settings(max_examples=40)
@example(bursts=[(140, 2)], lost=frozenset(), disposition=WriteDisposition.WRITE_APPEND)
@given(
    bursts=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 20)), max_size=6),
    lost=st.frozensets(st.integers(0, 150), max_size=10),
    disposition=st.sampled_from([WriteDisposition.WRITE_APPEND, WriteDisposition.WRITE_TRUNCATE]),
)
def test_bursts_of_refused_calls_and_lost_answers_change_nothing(
    open_world: Callable[..., World],
    bursts: list[tuple[int, int]],
    lost: frozenset[int],
    disposition: WriteDisposition,
) -> None:
    refused = frozenset(start + number for start, length in bursts for number in range(length))
    world = open_world(Faults(lost, Unavailable, refused))
    operation = world.export(disposition)
    world.drain()
    assert_exact(world, operation)
    world.close()


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    duplicates=st.floats(0, 0.7),
    crashes=st.frozensets(st.integers(0, 200), max_size=12),
    disposition=st.sampled_from([WriteDisposition.WRITE_APPEND, WriteDisposition.WRITE_TRUNCATE]),
    limits=st.sampled_from([LIMITS, ONE_OUTSTANDING]),
)
def test_any_order_with_duplicates_and_crashes_changes_nothing(
    open_world: Callable[..., World],
    seed: int,
    duplicates: float,
    crashes: frozenset[int],
    disposition: WriteDisposition,
    limits: PlanLimits,
) -> None:
    world = open_world(Faults(crashes), limits)
    operation = world.export(disposition)
    chance = random.Random(seed)
    for _ in range(300):
        if world.mailbox.waiting:
            world.deliver(chance.randrange(len(world.mailbox.waiting)), again=chance.random() < duplicates)
    world.drain()
    assert_exact(world, operation)
    world.close()


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    before=st.integers(0, 30),
    crashes=st.frozensets(st.integers(0, 100), max_size=6),
    limits=st.sampled_from([LIMITS, ONE_OUTSTANDING]),
)
def test_a_cancelled_export_ends_with_a_row_for_each_success(
    open_world: Callable[..., World], seed: int, before: int, crashes: frozenset[int], limits: PlanLimits
) -> None:
    world = open_world(Faults(crashes), limits)
    operation = world.export()
    chance = random.Random(seed)
    for step in range(1000):
        if step == before:
            armed, world.faults.at = world.faults.at, frozenset()
            world.service.cancel_operation(operation.name)
            world.faults.at = armed
        if world.mailbox.waiting:
            world.deliver(chance.randrange(len(world.mailbox.waiting)))
    ended = world.ended(operation)
    counters = ended.counters
    assert ended.is_done
    assert counters
    assert counters.pending == 0
    assert counters.success == len(world.instances())
    assert (ended.error is not None and ended.error.code is Code.CANCELLED) == (counters != EXPECTED)
    world.close()


@pytest.mark.parametrize("rival", ["worker", "dead letter"])
def test_of_two_at_the_same_message_one_is_committed_and_both_agree(
    open_world: Callable[..., World], rival: str
) -> None:
    """The rival does all of its work between the first worker's finalize and its claim."""
    world = open_world()
    operation = world.export()
    world.deliver()
    export = next(letter for letter in world.mailbox.waiting if letter[0] == "export-study")
    message = messages.decode(*export)

    def act(effect: str) -> None:
        if effect == "finalize":
            world.faults.on_effect = lambda _: None
            if rival == "worker":
                world.handlers[export[0]](message)
            else:
                dead_letters_on(world.ports)(message, Unavailable("out of attempts"))

    world.faults.on_effect = act
    world.handlers[export[0]](message)
    world.drain()
    counters = world.ended(operation).counters
    assert counters
    assert counters.success == len(world.instances())
    assert counters.abandoned == (1 if rival == "dead letter" else 0)
    assert counters.success + counters.failure == EXPECTED.found
    assert not world.stream_folders()


def test_a_dead_letter_and_a_late_worker_agree(open_world: Callable[..., World]) -> None:
    """Each message is given up after its worker died at any of its calls, and delivered once more after that."""
    quiet = open_world()
    quiet.export()
    quiet.deliver()
    quiet.faults.log.clear()
    export = next(n for n, (topic, _) in enumerate(quiet.mailbox.waiting) if topic == "export-study")
    quiet.deliver(export)
    abandoned = set()
    for point in range(len(quiet.faults.log)):
        world = open_world()
        operation = world.export()
        world.deliver()
        world.faults.log.clear()
        world.faults.at = frozenset({point})
        letter = world.mailbox.waiting[export]
        world.deliver(export, again=True)
        world.faults.at = frozenset()
        dead_letters_on(world.ports)(messages.decode(*letter), Unavailable("out of attempts"))
        world.drain()
        counters = world.ended(operation).counters
        assert counters
        assert counters.success == len(world.instances())
        assert counters.success + counters.failure == EXPECTED.found
        abandoned.add(counters.abandoned)
        world.close()
    assert abandoned == {0, 1}


def test_a_dead_letter_of_the_planner_ends_the_operation(open_world: Callable[..., World]) -> None:
    world = open_world()
    operation = world.export()
    topic, data = world.mailbox.waiting.pop()
    dead_letters_on(world.ports)(messages.decode(topic, data), Unavailable("out of attempts"))
    world.drain()
    ended = world.ended(operation)
    assert ended.is_done
    assert ended.error
    assert ended.error.code is Code.UNAVAILABLE


def test_an_operation_whose_messages_are_lost_is_resumed(open_world: Callable[..., World]) -> None:
    for delivered, limits in product(range(12), (LIMITS, ONE_OUTSTANDING)):
        world = open_world(limits=limits)
        operation = world.export()
        for _ in range(delivered):
            world.deliver()
        world.mailbox.waiting.clear()
        current = world.ended(operation)
        if not current.is_done:
            world.service.resume(current)
        world.drain()
        assert_exact(world, operation)
        world.close()

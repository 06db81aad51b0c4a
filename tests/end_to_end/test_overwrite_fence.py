"""An overwrite replaces a table that is streamed into at the same moment: whatever comes between what, no row is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicom_export.errors import FailedPrecondition, Unavailable
from dicom_export.messages import InstanceChanged, ObjectEvent, decode
from dicom_export.names import OperationName, TableName
from dicom_export.operations.request import WriteDisposition
from dicom_export.rows.layout import SchemaKind
from dicom_export.streaming.config import StreamConfig
from support.buckets import Bucket
from support.dicom_files import make_instance
from support.factories import PARENT, STORE, TABLE, make_object
from support.faults import Faults
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STREAM = StreamConfig(TABLE, SchemaKind.JSON)
TRUNCATE = WriteDisposition.WRITE_TRUNCATE


class Race:
    """A bucket with three instances that were streamed, and an overwrite of their table."""

    def __init__(self, root: Path, faults: Faults | None = None) -> None:
        self.bucket = Bucket()
        self.world = World(root, self.bucket, faults, streams=(STREAM,))
        with self.world.faults.disarmed():
            for number in range(1, 4):
                self.upload(f"1.4.{number}")
        self.world.faults.calls.clear()
        self.world.faults.log.clear()

    def upload(self, uid: str) -> None:
        """Write an object, and have its message handled at once."""
        self.write(uid)
        self.world.deliver(-1)

    def write(self, uid: str) -> None:
        """Write an object; its message waits behind all others."""
        self.bucket.tell = self.world.change
        instance = make_instance(StudyInstanceUID="1.2.1", SeriesInstanceUID="1.3.1", SOPInstanceUID=uid)
        self.bucket.write(f"1.2.1/1.3.1/{uid}.dcm", instance)

    def lost(self) -> set[str]:
        """Return the instances that are in the bucket and not in the table."""
        there = {name.rpartition("/")[2].removesuffix(".dcm") for name in self.bucket.objects}
        return there - set(self.world.instances())


@pytest.fixture
def open_race(tmp_path: Path) -> Iterator[Callable[..., Race]]:
    races: list[Race] = []

    def open_one(faults: Faults | None = None) -> Race:
        root = tmp_path / str(len(races))
        root.mkdir()
        races.append(Race(root, faults))
        return races[-1]

    yield open_one
    for race in races:
        race.world.close()


def calls_of(race: Race) -> int:
    """Return how many calls an overwrite makes without anything between."""
    race.world.faults.calls.clear()
    race.world.export(TRUNCATE)
    race.world.drain()
    return len(race.world.faults.calls)


def test_an_upload_before_any_call_of_an_overwrite_has_its_row_at_the_end(open_race: Callable[..., Race]) -> None:
    for point in range(calls_of(open_race())):
        race = open_race()
        faults = race.world.faults

        def act(_: str, race: Race = race, faults: Faults = faults, point: int = point) -> None:
            if len(faults.calls) > point:
                faults.on_call = lambda _: None
                race.upload("1.4.9")

        operation = race.world.export(TRUNCATE)
        faults.on_call = act
        race.world.drain()
        assert race.world.ended(operation).is_done
        assert race.lost() == set(), point
        race.world.close()


def test_an_overwrite_between_any_two_calls_of_an_upload_loses_no_row(open_race: Callable[..., Race]) -> None:
    quiet = open_race()
    quiet.upload("1.4.9")
    points = len(quiet.world.faults.calls)
    assert {"read", "stream"} <= set(quiet.world.faults.calls)
    for point in range(points):
        race = open_race()
        faults = race.world.faults

        def act(_: str, race: Race = race, faults: Faults = faults, point: int = point) -> None:
            if len(faults.calls) > point:
                faults.on_call = lambda _: None
                waiting, race.world.mailbox.waiting = race.world.mailbox.waiting, []
                race.world.export(TRUNCATE)
                race.world.drain()
                race.world.mailbox.waiting = waiting

        faults.on_call = act
        race.upload("1.4.9")
        race.world.drain()
        assert race.lost() == set(), point
        race.world.close()


@settings(max_examples=25)
@example(begin=1, steps=[(2, 1), (3, 20)], crashes=frozenset())
@given(
    begin=st.integers(0, 12),
    steps=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 8)), max_size=6),
    crashes=st.frozensets(st.integers(0, 60), max_size=4),
)
def test_interleaved_step_by_step_and_with_crashes_no_row_is_lost(
    open_race: Callable[..., Race], begin: int, steps: list[tuple[int, int]], crashes: frozenset[int]
) -> None:
    """The overwrite begins before some call of an upload, and after each few more calls of it a few messages are delivered."""
    race = open_race(Faults(crashes))
    world, faults = race.world, race.world.faults
    schedule = [(begin, 0), *steps]

    def act(_: str) -> None:
        if not schedule or len(faults.calls) < schedule[0][0]:
            return
        faults.on_call = lambda _: None
        deliveries = schedule.pop(0)[1]
        if not deliveries:
            world.export(TRUNCATE)
        for _delivery in range(deliveries):
            if len(world.mailbox.waiting) > 1:
                world.deliver(1)
        faults.calls.clear()
        faults.on_call = act

    faults.on_call = act
    race.write("1.4.9")
    world.mailbox.waiting.insert(0, world.mailbox.waiting.pop())
    world.deliver(0)
    faults.on_call = lambda _: None
    world.drain()
    with faults.disarmed():
        assert race.lost() == set()
    world.close()


@pytest.mark.parametrize("error", [None, Unavailable])
def test_a_crash_or_a_lost_answer_after_any_effect_loses_no_row(
    open_race: Callable[..., Race], error: type[Unavailable] | None
) -> None:
    def run(race: Race) -> None:
        race.world.export(TRUNCATE)
        race.world.deliver()
        race.write("1.4.9")
        race.world.mailbox.waiting.insert(0, race.world.mailbox.waiting.pop())
        race.world.drain()

    quiet = open_race()
    run(quiet)
    effects = list(quiet.world.faults.log)
    assert "stream" in effects[effects.index("replace") :]
    for point in range(len(effects)):
        at = frozenset({point})
        race = open_race(Faults(at, error) if error else Faults(at))
        run(race)
        assert race.lost() == set(), (point, effects[point])
        race.world.close()


def test_a_deletion_during_an_overwrite_has_its_row_at_the_end(open_race: Callable[..., Race]) -> None:
    race = open_race()
    race.world.export(TRUNCATE)
    race.world.deliver()
    race.bucket.tell = race.world.change
    race.bucket.delete("1.2.1/1.3.1/1.4.2.dcm")
    race.world.deliver(-1)
    race.world.drain()
    deleted = [row["SOPInstanceUID"] for row in race.world.rows(TABLE) if row["Type"] == "DELETE"]
    assert set(deleted) == {"1.4.2"}


def test_a_cancelled_overwrite_leaves_the_streamed_rows_where_they_are(open_race: Callable[..., Race]) -> None:
    race = open_race()
    operation = race.world.export(TRUNCATE)
    race.world.deliver()
    race.upload("1.4.9")
    race.world.service.cancel_operation(operation.name)
    race.world.drain()
    assert race.lost() == set()


def test_only_an_overwrite_that_runs_gets_records(open_race: Callable[..., Race]) -> None:
    race = open_race()
    first = race.world.export(TRUNCATE)
    overwrites = race.world.ports.journal.overwrites
    assert overwrites.running(TABLE) == [first.name]
    assert overwrites.running(TableName("local", "main", "another")) == []
    race.world.drain()
    assert overwrites.running(TABLE) == []
    race.upload("1.4.9")
    assert list(overwrites.recorded(first.name)) == []
    second = race.world.export(TRUNCATE)
    third = race.world.export(TRUNCATE)
    assert overwrites.running(TABLE) == [second.name, third.name]


def test_an_overwrite_that_is_about_to_be_created_counts(open_race: Callable[..., Race]) -> None:
    overwrites = open_race().world.ports.journal.overwrites
    name = OperationName(PARENT, "7")
    for _ in range(2):
        overwrites.begin(TABLE, name)
    assert overwrites.running(TABLE) == [name]


def test_a_change_is_recorded_once_and_comes_back_as_it_was(open_race: Callable[..., Race]) -> None:
    overwrites = open_race().world.ports.journal.overwrites
    name = OperationName(PARENT, "7")
    changes = [InstanceChanged(STORE, event, make_object("a/é")) for event in ObjectEvent]
    for change in (*changes, *changes):
        overwrites.record(name, change)
    assert sorted(overwrites.recorded(name), key=lambda each: each.event, reverse=True) == changes


def test_an_export_into_a_table_that_keeps_the_latest_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, Bucket(), streams=(StreamConfig(TABLE, SchemaKind.JSON, tracks_changes=True),))
    for disposition in WriteDisposition:
        with pytest.raises(FailedPrecondition, match="has the rows of the changeDataCaptureConfig"):
            world.export(disposition)
    world.close()


def test_a_message_of_ours_is_what_a_record_holds(open_race: Callable[..., Race]) -> None:
    race = open_race()
    operation = race.world.export(TRUNCATE)
    race.write("1.4.9")
    topic, data = race.world.mailbox.waiting[-1]
    race.world.deliver(-1)
    assert list(race.world.ports.journal.overwrites.recorded(operation.name)) == [decode(topic, data)]

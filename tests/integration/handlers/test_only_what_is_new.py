"""Exports of what changed: after a time, or without a row in a table that names the objects of its rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from dicom_export.errors import Unavailable
from dicom_export.exporting import survey
from dicom_export.names import GcsUri
from dicom_export.operations.counters import Counters
from dicom_export.operations.planning import PlanLimits
from dicom_export.operations.request import WriteDisposition
from dicom_export.rows.layout import SchemaKind
from support.buckets import Bucket
from support.dicom_files import make_instance
from support.factories import STORE
from support.faults import Faults
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_export.operations.operation import Operation

SMALL = PlanLimits(bundle=3, split=4, page_tasks=2, page_objects=6)


class CountedBucket(Bucket):
    """A bucket that counts the ranges that were read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.on_read = self._count

    def _count(self) -> None:
        self.reads += 1


@pytest.fixture
def bucket() -> CountedBucket:
    bucket = CountedBucket()
    for number in range(4):
        write(bucket, number)
    return bucket


@pytest.fixture
def open_world(tmp_path: Path, bucket: CountedBucket) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def open_one(faults: Faults | None = None, limits: PlanLimits = SMALL) -> World:
        root = tmp_path / str(len(worlds))
        (root / "filters").mkdir(parents=True)
        worlds.append(World(root, bucket, faults, limits=limits))
        return worlds[-1]

    yield open_one
    for world in worlds:
        world.close()


def write(bucket: Bucket, number: int, **elements: Any) -> None:
    folder = "a" if number % 2 else "b"
    bucket.write(f"{folder}/{number}.dcm", make_instance(SOPInstanceUID=f"1.2.3.{number}", **elements))


def cool(bucket: Bucket) -> None:
    """Move all objects to a cold class, as a lifecycle rule does: their generations stay."""
    for name, (stored, content) in bucket.objects.items():
        bucket.objects[name] = stored._replace(storage_class="NEARLINE"), content


def exported(world: World, **options: Any) -> Operation:
    """Export to the end, and return the operation."""
    operation = world.export(**options)
    world.drain()
    ended = world.ended(operation)
    assert ended.is_done
    assert ended.error is None
    assert world.tables.describe(ended.objects) is None
    return ended


@pytest.mark.parametrize("schema", [SchemaKind.FLATTENED, SchemaKind.JSON])
def test_the_same_export_again_adds_only_what_is_new(
    open_world: Callable[..., World], bucket: CountedBucket, schema: SchemaKind
) -> None:
    world = open_world(limits=PlanLimits())
    named: dict[str, Any] = {"include_source_object": True, "schema": schema}
    assert exported(world, **named).counters == Counters(planned=4, success=4, studies=1)
    bucket.reads = 0
    again = exported(world, **named)
    assert again.counters == Counters(unchanged=4)
    assert bucket.reads == 0
    for number in range(100, 110):
        write(bucket, number, PatientComments="a column that the table lacks")
    # A client that does not ask for the columns: the table has them, so that the next export must not add these rows again.
    assert exported(world, schema=schema).counters == Counters(planned=10, success=10, studies=1, unchanged=4)
    assert bucket.reads == 10
    assert exported(world, **named).counters == Counters(unchanged=14)
    assert len(world.instances()) == len(set(world.instances())) == 14
    write(bucket, 3)
    assert exported(world, **named).counters == Counters(planned=1, success=1, studies=1, unchanged=13)


@pytest.mark.parametrize("compared_at_once", [1, 3, 100])
def test_cold_objects_that_have_a_row_are_not_read_and_do_not_count(
    open_world: Callable[..., World], bucket: CountedBucket, monkeypatch: pytest.MonkeyPatch, compared_at_once: int
) -> None:
    monkeypatch.setattr(survey, "_COMPARED", compared_at_once)
    world = open_world()
    exported(world, include_source_object=True)
    cool(bucket)
    cast("Any", world.ports.stores)[STORE] = replace(world.ports.stores[STORE], allow_cold_reads=False)
    write(bucket, 100)
    assert exported(world).counters == Counters(planned=1, success=1, studies=1, unchanged=4)
    write(bucket, 101)
    cool(bucket)
    bucket.reads = 0
    operation = world.export()
    world.drain()
    ended = world.ended(operation)
    assert ended.error
    assert "1 in NEARLINE" in ended.error.message
    assert world.tables.describe(ended.objects) is None
    assert bucket.reads == 0


@pytest.mark.parametrize("disposition", [WriteDisposition.WRITE_EMPTY, WriteDisposition.WRITE_TRUNCATE])
def test_other_exports_write_all_rows(open_world: Callable[..., World], disposition: WriteDisposition) -> None:
    world = open_world()
    assert exported(world, disposition=disposition, include_source_object=True).counters.success == 4  # type: ignore[union-attr]
    if disposition is WriteDisposition.WRITE_TRUNCATE:
        assert exported(world, disposition=disposition).counters == Counters(planned=4, success=4, studies=1)


def test_rows_of_deletions_and_rows_without_an_object_do_not_count(
    open_world: Callable[..., World],
) -> None:
    world = open_world()
    exported(world)
    assert exported(world, include_source_object=True).counters == Counters(planned=4, success=4, studies=1)
    assert exported(world, include_source_object=True).counters == Counters(unchanged=4)
    assert exported(world, repeats_rows=True).counters == Counters(planned=4, success=4, studies=1)
    assert len(world.instances()) == 12


def test_a_fault_at_any_effect_leaves_each_new_object_one_row(
    open_world: Callable[..., World], bucket: CountedBucket
) -> None:
    def begun(faults: Faults | None = None) -> tuple[World, Operation]:
        world = open_world(faults)
        with world.faults.disarmed():
            exported(world, include_source_object=True)
            return world, world.export()

    for number in range(10, 14):
        bucket.objects.pop(f"{'a' if number % 2 else 'b'}/{number}.dcm", None)
    quiet, _ = begun()
    for number in range(10, 14):
        write(bucket, number)
    quiet.drain()
    new = {name: bucket.objects[name] for name in list(bucket.objects)[4:]}
    expected = sorted(f"1.2.3.{number}" for number in (*range(4), *range(10, 14)))
    assert quiet.instances() == expected
    effects = len(quiet.faults.log)
    assert quiet.faults.log.count("keep_objects") >= 1
    for point in range(0, effects, 6):
        for name in new:
            bucket.objects.pop(name, None)
        at = frozenset({point})
        world, operation = begun(Faults(at, Unavailable) if point % 2 else Faults(at))
        bucket.objects |= new
        world.drain()
        ended = world.ended(operation)
        assert ended.counters == Counters(planned=4, success=4, studies=1, unchanged=4), point
        assert world.instances() == expected, point
        world.close()


def test_a_plan_that_is_repeated_after_its_rows_are_there_plans_the_same(
    open_world: Callable[..., World], bucket: CountedBucket
) -> None:
    world = open_world()
    exported(world, include_source_object=True)
    write(bucket, 11)
    operation = world.export()
    plan = world.mailbox.waiting[0]
    while len(world.instances()) < 5:
        world.deliver()
    world.mailbox.waiting.insert(0, plan)
    world.drain()
    assert world.ended(operation).counters == Counters(planned=1, success=1, studies=1, unchanged=4)
    assert len(world.instances()) == 5


def test_only_objects_after_a_time_are_exported(open_world: Callable[..., World], bucket: CountedBucket) -> None:
    world = open_world()
    times = sorted(stored.updated for stored, _ in bucket.objects.values())
    assert exported(world, since=times[1]).counters == Counters(planned=2, success=2, studies=1)
    just_before = times[1] - timedelta(microseconds=1)
    assert exported(world, since=just_before, disposition=WriteDisposition.WRITE_TRUNCATE).counters == Counters(
        planned=3, success=3, studies=1
    )
    bucket.reads = 0
    assert exported(world, since=times[-1]).counters == Counters()
    assert bucket.reads == 0


@pytest.mark.parametrize("layout", ["{uid}.dcm", "1.2.3/1.2.3.4/{uid}.dcm"])
def test_a_path_of_the_filter_whose_object_is_left_out_is_not_reported_as_unmatched(
    open_world: Callable[..., World], bucket: CountedBucket, caplog: pytest.LogCaptureFixture, layout: str
) -> None:
    bucket.objects.clear()
    for number in (1, 2):
        uid = f"1.2.3.4.{number}"
        bucket.write(layout.format(uid=uid), make_instance(SOPInstanceUID=uid))
    world = open_world()
    (world.file.parent / "filters" / "paths.txt").write_text(
        "/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.1\n/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.2\n"
    )
    options: dict[str, Any] = {"filter_uri": GcsUri("filters", "paths.txt"), "include_source_object": True}
    latest = max(stored.updated for stored, _ in bucket.objects.values())
    assert exported(world, **options, since=latest - timedelta(microseconds=1)).counters.success == 1  # type: ignore[union-attr]
    again = exported(world, **options).counters
    assert again
    assert (again.success, again.unchanged) == (1, 1)
    assert "matched nothing" not in caplog.text

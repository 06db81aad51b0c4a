"""Verifications of tables that name their objects: the listing tells which headers need not be read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.adapters.local.duckdb.definitions import table_sql
from dicom_export.decoding.many import decode_in_turn
from dicom_export.handlers.start_export import start_batch_export
from dicom_export.names import OperationName
from dicom_export.operations.counters import DifferenceCounts
from dicom_export.operations.planning import PlanLimits
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import UID_COLUMNS, Field, FieldType, Schema, common_columns
from dicom_export.stores import DeclaredStore
from dicom_export.verifying.compare import repair_name
from dicom_export.verifying.reconciliation import DifferenceKind
from dicom_export.verifying.verify import Verification
from support.buckets import Bucket
from support.dicom_files import make_instance
from support.factories import PARENT, STORE, TABLE
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = OperationName(PARENT, "4711")
REPORT = replace(TABLE, table="differences")
MANY = 10_000
LIMITS = PlanLimits(bundle=10, page_objects=15)


class CountedBucket(Bucket):
    """A bucket that remembers which objects were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_names: list[str] = []

    def read(self, stored, start, length):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - as above
        self.read_names.append(stored.name)
        return super().read(stored, start, length)


@pytest.fixture
def bucket() -> CountedBucket:
    return CountedBucket()


@pytest.fixture
def open_world(tmp_path: Path, bucket: CountedBucket) -> Iterator[Callable[[PlanLimits], World]]:
    worlds: list[World] = []

    def open_one(limits: PlanLimits = LIMITS) -> World:
        worlds.append(World(tmp_path, bucket, limits=limits))
        return worlds[-1]

    yield open_one
    for world in worlds:
        world.close()


def write(bucket: Bucket, number: int, **elements: Any) -> None:
    bucket.write(f"folder/{number}.dcm", make_instance(SOPInstanceUID=f"1.2.3.{number}", **elements))


def verify(world: World, name: OperationName = NAME, *, repair: bool = False) -> DifferenceCounts | None:
    request = {"tableUri": str(TABLE), "reportTableUri": str(REPORT), "repair": repair}
    start_batch_export(json.dumps({"name": str(STORE), "verify": request}).encode(), name.operation, world.service)
    world.drain()
    operation = world.service.get_operation(name)
    assert operation.error is None
    assert operation.counters
    assert operation.counters.success == len(world.ports.stores[STORE].objects.objects)  # type: ignore[attr-defined]
    for table in (operation.target, operation.objects):
        assert world.tables.describe(table) is None
    return operation.differences


def found(world: World) -> list[tuple[str, str, str | None]]:
    return sorted((row["Difference"], row["SOPInstanceUID"][-1], row["Object"]) for row in world.rows(REPORT))


@pytest.mark.parametrize("schema", [SchemaKind.FLATTENED, SchemaKind.JSON])
def test_only_headers_of_new_and_changed_objects_are_read(
    open_world: Callable[..., World], bucket: CountedBucket, schema: SchemaKind
) -> None:
    for number in range(20):
        write(bucket, number)
    world = open_world()
    world.export(schema=schema, include_source_object=True)
    world.drain()
    bucket.read_names.clear()
    assert verify(world) == DifferenceCounts()
    assert bucket.read_names == []

    bucket.delete("folder/7.dcm")
    write(bucket, 3, PatientID="changed")
    write(bucket, 20)
    again = OperationName(PARENT, "4712")
    assert verify(world, again, repair=True) == DifferenceCounts(missing=1, stale=1, orphaned=1)
    assert found(world) == [("MISSING", "0", "folder/20.dcm"), ("ORPHANED", "7", None), ("STALE", "3", "folder/3.dcm")]
    repaired = world.service.get_operation(repair_name(again))
    assert repaired.counters
    assert (repaired.counters.success, repaired.error) == (2, None)
    assert len(world.instances()) == 22

    bucket.read_names.clear()
    assert verify(world, OperationName(PARENT, "4713")) == DifferenceCounts(orphaned=1)
    assert bucket.read_names == [], "the rows of a repair name their objects too"


def test_rows_without_an_object_have_their_headers_read(
    open_world: Callable[..., World], bucket: CountedBucket
) -> None:
    write(bucket, 0)
    world = open_world()
    world.export()
    world.drain()
    write(bucket, 1)
    world.export(include_source_object=True)
    world.drain()
    with world.tables.transaction(TABLE) as cursor:
        cursor.execute(f"DELETE FROM {table_sql(TABLE)} WHERE SourceObject LIKE '%/0.dcm'")  # noqa: S608 - our own
    bucket.read_names.clear()
    assert verify(world) == DifferenceCounts()
    assert bucket.read_names == ["folder/0.dcm"]


def test_rows_that_vanish_during_the_verification_leave_their_objects_missing(
    open_world: Callable[..., World], bucket: CountedBucket
) -> None:
    for number in range(3):
        write(bucket, number)
    world = open_world()
    world.export(include_source_object=True)
    world.drain()
    request = {"tableUri": str(TABLE), "reportTableUri": str(REPORT), "repair": True}
    start_batch_export(json.dumps({"name": str(STORE), "verify": request}).encode(), NAME.operation, world.service)
    world.deliver()  # the plan
    with world.tables.transaction(TABLE) as cursor:
        cursor.execute(f"DELETE FROM {table_sql(TABLE)}")  # noqa: S608 - our own
    world.drain()
    assert world.service.get_operation(NAME).differences == DifferenceCounts(missing=3)
    (reason,) = {each.obstacle for each in world.tables.differences(REPORT)}
    assert "verify again" in reason


COLUMNS: Schema = (
    *(Field(name, FieldType.STRING) for name in UID_COLUMNS),
    *common_columns(SchemaKind.FLATTENED, has_source_store=False, has_source_object=True)[2:],
)


def test_ten_thousand_objects_are_verified_without_one_header(
    open_world: Callable[..., World], bucket: CountedBucket
) -> None:
    rows = []
    for number in range(MANY):
        stored = bucket.write(f"{number % 100}/{number}.dcm", b"unreadable")
        uids = dict(zip(UID_COLUMNS, ("1.2", f"1.2.{number % 100}", f"1.2.3.{number}"), strict=True))
        source = {"SourceObject": bucket.uri(stored.name), "SourceGeneration": stored.generation}
        about = {"Type": "CREATE", "LastUpdated": stored.updated, "StorageClass": "STANDARD"}
        rows.append({**uids, **about, "BlobStorageSize": stored.size, **source})
    world = open_world(PlanLimits())
    world.tables.prepare(TABLE, COLUMNS)
    world.tables.stream(TABLE, record_batch(rows, COLUMNS))
    assert verify(world) == DifferenceCounts()

    local = Verification(TABLE, world.tables, decode_in_turn)
    with local.inventory(STORE, DeclaredStore(bucket), lambda _: None) as inventory:
        assert local.summary(inventory, 10).counts == DifferenceCounts()
        assert inventory.instances == MANY
    bucket.delete("5/5.dcm")
    with local.inventory(STORE, DeclaredStore(bucket), lambda _: None) as inventory:
        (orphan,) = local.summary(inventory, 10).first
    assert (orphan.kind, orphan.uids.instance) == (DifferenceKind.ORPHANED, "1.2.3.5")
    assert bucket.read_names == []

"""Rows of changes on their way to a table: how few appends they take, and whom a row that fails costs its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.errors import (
    DicomExportError,
    FailedPrecondition,
    InvalidArgument,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    RowsRefused,
    TooManyColumns,
    Unavailable,
)
from dicom_export.messages import InstanceChanged, ObjectEvent
from dicom_export.ports import TableInfo
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.partitioning import Partitioning, PartitionType
from dicom_export.rows.schema import Field, FieldType
from dicom_export.state.overwrites import Overwrites
from dicom_export.streaming.change_row import ChangeRow
from dicom_export.streaming.config import StreamConfig
from dicom_export.streaming.writing import ChangeWriter, ChangeWriters
from dicom_export.uids import InstanceUids
from support.factories import STORE, TABLE, make_object

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from dicom_export.names import TableName
    from dicom_export.ports import Version
    from dicom_export.rows.schema import Schema

FLAT = StreamConfig(TABLE)
LATEST = StreamConfig(TABLE, SchemaKind.JSON, tracks_changes=True)


class Warehouse:
    """One table that takes the columns it was prepared with; `unknown` are those that it will know in a while."""

    def __init__(self) -> None:
        self.columns: set[str] = set()
        self.unknown: set[str] = set()
        self.refused: set[str] = set()
        self.clash = ""
        self.appends: list[list[str]] = []
        self.schemas: list[set[str]] = []
        self.prepared = 0
        self.partitioning: object = None
        self.versions: list[Version] = []
        self.is_forbidden = False
        self.is_full = False

    def describe(self, _: TableName) -> TableInfo | None:
        if self.is_forbidden:
            raise PermissionDenied("The table may not be described")
        schema = tuple(Field(name, FieldType.STRING) for name in self.columns)
        return TableInfo(schema, 0) if schema else None

    def prepare(self, _: TableName, schema: Schema, partitioning: object = None) -> None:
        self.partitioning = partitioning
        self.prepared += 1
        names = {field.name for field in schema}
        if self.clash in names:
            raise FailedPrecondition(f"Column {self.clash} is another type in the table")
        if self.is_full and names - self.columns:
            raise TooManyColumns("Too many total leaf fields: 10001")
        self.columns |= names

    prepare_changes = prepare

    def annotate(self, _: TableName, *, views: bool) -> None:
        del views

    def stream(self, table: TableName, batch: pa.RecordBatch) -> None:
        names = set(batch.schema.names)
        if not self.columns:
            raise NotFound(f"Table {table} was not found")
        if names - self.columns:
            raise InvalidArgument(f"{table} has no column {names - self.columns}")
        if names & self.unknown:
            raise Unavailable("does not know all columns yet")
        ids = [str(each) for each in batch.column("SOPInstanceUID").to_pylist()]
        wrong = [index for index, each in enumerate(ids) if each in self.refused]
        if wrong:
            raise RowsRefused(f"{len(wrong)} rows", (wrong[0],))
        self.appends.append(ids)
        self.schemas.append(names)

    def change(self, table: TableName, batch: pa.RecordBatch, versions: Sequence[Version]) -> None:
        self.stream(table, batch)
        self.versions += versions


def row(uid: str, config: StreamConfig = FLAT, **columns: Any) -> ChangeRow:
    change = InstanceChanged(STORE, ObjectEvent.WRITTEN, make_object(uid, generation=int(uid)))
    return ChangeRow(change, config, {"SOPInstanceUID": uid, **columns}, InstanceUids(instance=uid))


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


def writer(warehouse: Any, config: StreamConfig = FLAT) -> ChangeWriter:
    return ChangeWriter(config, warehouse)


def kinds(outcomes: Sequence[DicomExportError | None]) -> list[type | None]:
    return [type(outcome) if outcome else None for outcome in outcomes]


def test_rows_that_come_together_are_one_append_and_the_table_is_prepared_once(warehouse: Warehouse) -> None:
    made = writer(warehouse)
    assert made.write([row("1"), row("2", PatientID="x")]) == [None, None]
    assert made.write([row("3")]) == [None]
    assert warehouse.appends == [["1", "2"], ["3"]]
    assert warehouse.schemas[0] == warehouse.schemas[1]
    assert warehouse.prepared == 1


def test_a_new_column_does_not_hold_up_rows_without_it(warehouse: Warehouse) -> None:
    made = writer(warehouse)
    made.write([row("1")])
    warehouse.unknown = {"PatientID"}
    assert kinds(made.write([row("2"), row("3", PatientID="x"), row("4")])) == [None, Unavailable, None]
    assert kinds(made.write([row("3", PatientID="x"), row("5")])) == [Unavailable, None]
    warehouse.unknown = set()
    assert made.write([row("3", PatientID="x"), row("6")]) == [None, None]
    assert [each for append in warehouse.appends for each in append] == ["1", "2", "4", "5", "6", "3"]


def test_rows_that_the_table_refuses_cost_no_other(warehouse: Warehouse) -> None:
    warehouse.refused = {"2", "4"}
    outcomes = writer(warehouse).write([row(each) for each in "12345"])
    assert kinds(outcomes) == [None, RowsRefused, None, RowsRefused, None]
    assert warehouse.appends == [["1", "3", "5"]]


def test_a_column_of_another_type_costs_those_that_have_it(warehouse: Warehouse) -> None:
    warehouse.clash = "PatientID"
    outcomes = writer(warehouse).write([row("1"), row("2", PatientID="x"), row("3")])
    assert kinds(outcomes) == [None, FailedPrecondition, None]


def test_a_row_that_no_request_takes_costs_no_other(warehouse: Warehouse) -> None:
    large = row("2", PatientID="x" * 8_000_001)
    assert kinds(writer(warehouse).write([row("1"), large, row("3")])) == [None, LimitExceeded, None]


def test_a_table_that_takes_no_further_column_gets_the_values_in_those_that_it_has(warehouse: Warehouse) -> None:
    made = writer(warehouse)
    made.write([row("1", PatientID="x")])
    warehouse.is_full = True
    assert made.write([row("2", PatientID="y"), row("3", PatientComments="z"), row("4")]) == [None] * 3
    assert made.write([row("5", PatientComments="z")]) == [None]
    assert sorted(each for append in warehouse.appends for each in append) == [*"12345"]
    assert "PatientComments" not in warehouse.columns
    assert warehouse.prepared == 2


def test_a_full_table_without_the_columns_of_every_row_costs_the_rows(warehouse: Warehouse) -> None:
    warehouse.columns, warehouse.is_full = {"Another"}, True
    assert kinds(writer(warehouse).write([row("1"), row("2")])) == [TooManyColumns] * 2


@pytest.mark.parametrize("left", [set(), {"SOPInstanceUID"}])
def test_a_table_that_was_dropped_or_replaced_is_prepared_again(warehouse: Warehouse, left: set[str]) -> None:
    made = writer(warehouse)
    made.write([row("1", PatientID="x")])
    warehouse.columns = left
    assert made.write([row("2", PatientID="x")]) == [None]
    assert warehouse.prepared == 2


def test_a_table_is_prepared_with_the_partitions_of_its_config(warehouse: Warehouse) -> None:
    partitioning = Partitioning(PartitionType.DAY, 86_400_000)
    writer(warehouse, replace(FLAT, partitioning=partitioning)).write([row("1")])
    assert warehouse.partitioning == partitioning


def test_changes_go_with_their_versions(warehouse: Warehouse) -> None:
    deleted = row("2", LATEST)
    deleted = replace(deleted, change=replace(deleted.change, event=ObjectEvent.DELETED))
    assert writer(warehouse, LATEST).write([row("1", LATEST), deleted]) == [None, None]
    assert [(version.generation, version.is_deletion) for version in warehouse.versions] == [(1, False), (2, True)]
    assert "Type" not in warehouse.columns


def test_a_table_that_may_not_be_described_costs_the_rows_that_need_it_and_no_others(warehouse: Warehouse) -> None:
    made = writer(warehouse)
    assert made.write([row("1")]) == [None]
    warehouse.is_forbidden = True
    assert kinds(made.write([row("2"), row("3", PatientID="x"), row("4", StudyID="x")])) == [
        None,
        PermissionDenied,
        PermissionDenied,
    ]
    warehouse.is_forbidden = False
    assert made.write([row("5", PatientID="x")]) == [None]


def test_rows_of_many_threads_are_each_there_once(warehouse: Warehouse, tmp_path: Path) -> None:
    tables: Any = warehouse
    writers = ChangeWriters(tables, Overwrites(FolderState(tmp_path), lambda _: None))
    with ThreadPoolExecutor(16) as pool:
        for future in [pool.submit(writers.write, row(str(number))) for number in range(500)]:
            future.result()
    assert sorted(int(each) for append in warehouse.appends for each in append) == list(range(500))

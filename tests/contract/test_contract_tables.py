"""What every warehouse does with tables and streams, whatever it is made of."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_export.adapters.gcp.bigquery.table_catalog import reference, rest_client
from dicom_export.adapters.gcp.bigquery.tables import BigQueryTables
from dicom_export.adapters.local.duckdb.definitions import table_sql
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.errors import DicomExportError, FailedPrecondition, InvalidArgument, NotFound, PermanentError
from dicom_export.names import DatasetName, StoreName, TableName
from dicom_export.operations.counters import DifferenceCounts
from dicom_export.ports import Version
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.inventory import inventory_row, known_row
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import INVENTORY, SOURCE_OBJECT, Field, FieldType, Mode, Schema, common_columns, ordered
from dicom_export.stored_object import ObjectVersion, StoredObject
from dicom_export.uids import InstanceUids
from dicom_export.verifying.reconciliation import Difference, DifferenceKind
from support.factories import STORE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.cloud.bigquery import Client

    from dicom_export.ports import Warehouse as Tables
    from support.emulators.bigquery import BigQuery

TABLE = TableName("my-project", "imaging", "dicom")
STAGING = TableName("my-project", "imaging", "dicom_staging_1")
STRING, RECORD = FieldType.STRING, FieldType.RECORD
PATIENT_ID = Field("PatientID", STRING)
OTHER_ELEMENTS = Field(
    "OtherElements",
    RECORD,
    Mode.REPEATED,
    (Field("Tag", STRING, Mode.REQUIRED), Field("Data", STRING, Mode.REPEATED)),
)
EVERY_TYPE: Schema = ordered(
    (
        PATIENT_ID,
        Field("ImageType", STRING, Mode.REPEATED),
        Field("PatientName", RECORD, fields=(Field("Alphabetic", RECORD, fields=(Field("FamilyName", STRING),)),)),
        Field("StudyDate", FieldType.DATE),
        Field("StudyTime", FieldType.TIME),
        Field("Rows", FieldType.INTEGER),
        Field("SliceThickness", FieldType.FLOAT),
        Field("Metadata", FieldType.JSON),
        Field("LastUpdated", FieldType.TIMESTAMP),
        OTHER_ELEMENTS,
    )
)

INSTANCE_COLUMNS = tuple(
    Field(name, FieldType.TIMESTAMP if name == "LastUpdated" else FieldType.STRING)
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Type", "LastUpdated")
)


class LocalWarehouse:
    """Tables in a DuckDB file, and a way to look into them."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._folder: Path = request.getfixturevalue("tmp_path")
        self._open()

    def _open(self) -> None:
        self.tables = DuckDbTables(directory=self._folder, streams=self._folder / "streams")

    def create_dataset(self) -> Tables:
        self.tables.create_dataset(TABLE.project, TABLE.dataset)
        return self.tables

    def restart(self) -> Tables:
        self.tables.close()
        self._open()
        return self.tables

    def rows(self, table: TableName = TABLE) -> list[dict[str, Any]]:
        with self.tables._catalogs.cursor(table.project, table.dataset) as cursor:
            rows: list[dict[str, Any]] = cursor.sql(f"FROM {table_sql(table)}").to_arrow_table().to_pylist()
        return sorted(rows, key=lambda row: str(row["PatientID"]))

    def ids(self, table: TableName = TABLE) -> list[str]:
        return [row["PatientID"] for row in self.rows(table)]

    def has(self, relation: TableName) -> bool:
        with self.tables._catalogs.cursor(relation.project, relation.dataset) as cursor:
            named = "SELECT 1 FROM duckdb_views() WHERE view_name = ?"
            return bool(cursor.execute(named, [relation.table]).fetchall())

    def patients(self, view: TableName) -> list[str]:
        return self.ids(view)

    def close(self) -> None:
        self.tables.close()


class BigQueryWarehouse:
    """The same in the emulator, which all tests of this process share: the dataset of the one before is deleted."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._emulator: BigQuery = request.getfixturevalue("bigquery_emulator")
        self._installation = f"installation-{uuid.uuid4().hex}"
        self._client: Client = rest_client(self._installation, is_emulated=True)
        self._dataset = f"{TABLE.project}.{TABLE.dataset}"
        self._client.delete_dataset(self._dataset, delete_contents=True, not_found_ok=True)
        self._open()

    def _open(self) -> None:
        self.tables = BigQueryTables(self._installation, write_endpoint=self._emulator.write_endpoint)

    def create_dataset(self) -> Tables:
        self._client.create_dataset(self._dataset, exists_ok=True)
        return self.tables

    def restart(self) -> Tables:
        self._open()
        return self.tables

    def rows(self, table: TableName = TABLE) -> list[dict[str, Any]]:
        found = self._client.get_table(reference(table))
        json_columns = [field.name for field in found.schema if field.field_type == "JSON"]
        rows = [dict(row) for row in self._client.list_rows(found)]
        texts = [{name: json.dumps(row[name]) for name in json_columns} for row in rows]
        both = [row | text for row, text in zip(rows, texts, strict=True)]
        return sorted(both, key=lambda row: str(row["PatientID"]))

    def ids(self, table: TableName = TABLE) -> list[str]:
        return [row["PatientID"] for row in self.rows(table)]

    def has(self, relation: TableName) -> bool:
        return relation.table in [each.table_id for each in self._client.list_tables(self._dataset)]

    def patients(self, view: TableName) -> list[str]:
        """Query the view: the rows of a view cannot be listed."""
        rows = self._client.query_and_wait(f"SELECT PatientID FROM `{self._dataset}.{view.table}`")  # noqa: S608 - names of ours
        return [row["PatientID"] for row in rows]

    def close(self) -> None:
        self._client.close()


Warehouse = LocalWarehouse | BigQueryWarehouse

only_local = pytest.mark.parametrize("warehouse", [LocalWarehouse], indirect=True)


@pytest.fixture(params=[LocalWarehouse, BigQueryWarehouse])
def warehouse(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    made: Warehouse = request.param(request)
    yield made
    made.close()


@pytest.fixture
def tables(warehouse: Warehouse) -> Tables:
    tables = warehouse.create_dataset()
    tables.prepare(TABLE, (PATIENT_ID, OTHER_ELEMENTS))
    return tables


def batch(*ids: str) -> pa.RecordBatch:
    return pa.record_batch({"PatientID": list(ids)})


def make_stream(tables: Tables, *ids: str, table: TableName = TABLE) -> str:
    stream = tables.open_stream(table)
    tables.append(stream, 0, batch(*ids))
    tables.finalize(stream)
    return stream


def commit(tables: Tables, *ids: str, table: TableName = TABLE) -> None:
    tables.commit(table, make_stream(tables, *ids, table=table))


def schema(tables: Tables, table: TableName = TABLE) -> Schema:
    info = tables.describe(table)
    assert info
    return info.schema


def test_without_its_dataset_a_table_is_not_found(warehouse: Warehouse) -> None:
    for action in (warehouse.tables.describe, warehouse.tables.open_stream, warehouse.tables.drop):
        with pytest.raises(NotFound, match=r"Dataset my-project\.imaging was not found; create it"):
            action(TABLE)
    with pytest.raises(NotFound, match=r"Dataset my-project\.imaging was not found"):
        warehouse.tables.prepare(TABLE, (PATIENT_ID,))


def test_a_table_that_is_not_there_is_none_and_takes_no_stream(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    assert tables.describe(TABLE) is None
    with pytest.raises(NotFound, match="dicom"):
        tables.open_stream(TABLE)


def test_a_table_has_exactly_the_columns_it_was_prepared_with(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    tables.prepare(TABLE, EVERY_TYPE)
    assert schema(tables) == EVERY_TYPE
    tables.prepare(TABLE, EVERY_TYPE)
    assert schema(warehouse.restart()) == EVERY_TYPE


def test_columns_and_nested_fields_are_added_at_any_depth(warehouse: Warehouse, tables: Tables) -> None:
    def sequence(*fields: Field) -> tuple[Field, ...]:
        return (Field("A", RECORD, Mode.REPEATED, (Field("B", RECORD, fields=fields),)),)

    tables.prepare(TABLE, sequence(Field("c", STRING)))
    stream = tables.open_stream(TABLE)
    tables.append(stream, 0, pa.record_batch({"PatientID": ["1"], "A": [[{"B": {"c": "x"}}]]}))
    tables.finalize(stream)
    tables.commit(TABLE, stream)
    inner = Field("e", RECORD, Mode.REPEATED, (Field("Id", STRING, Mode.REQUIRED),))
    tables.prepare(TABLE, (*sequence(Field("d", STRING), inner), Field("ImageType", STRING, Mode.REPEATED)))
    assert schema(tables) == (
        PATIENT_ID,
        OTHER_ELEMENTS,
        *sequence(Field("c", STRING), Field("d", STRING), inner),
        Field("ImageType", STRING, Mode.REPEATED),
    )
    (row,) = warehouse.rows()
    assert row["A"] == [{"B": {"c": "x", "d": None, "e": []}}]
    assert row["ImageType"] == []


def test_a_column_never_changes_its_type_or_mode(tables: Tables) -> None:
    for changed in (Field("PatientID", FieldType.INTEGER), Field("PatientID", STRING, Mode.REPEATED)):
        with pytest.raises(FailedPrecondition, match="PatientID"):
            tables.prepare(TABLE, (Field("New", STRING), changed))
    assert schema(tables) == (PATIENT_ID, OTHER_ELEMENTS)


def test_columns_that_many_add_at_once_are_all_there(tables: Tables) -> None:
    def prepare(number: int) -> None:
        tables.prepare(TABLE, (Field(f"C{number}", STRING), Field("Shared", STRING)))

    threads = [threading.Thread(target=prepare, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {field.name for field in schema(tables)} >= {"Shared", *(f"C{number}" for number in range(6))}


def test_values_of_every_type_come_out_as_they_went_in(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    tables.prepare(TABLE, EVERY_TYPE)
    values = pa.record_batch(
        {
            "PatientID": ["é"],
            "ImageType": [["ORIGINAL", ""]],
            "PatientName": [{"Alphabetic": {"FamilyName": "Doe"}}],
            "StudyDate": pa.array([20000], pa.date32()),
            "StudyTime": pa.array([86_399_999_999], pa.time64("us")),
            "Rows": [-(2**63)],
            "SliceThickness": [0.1],
            "Metadata": ['{"00100020": {"vr": "LO"}}'],
            "LastUpdated": pa.array([1_700_000_000_123_456], pa.timestamp("us", "UTC")),
            "OtherElements": [[{"Tag": "Tag_00091002", "Data": ["x"]}]],
        }
    )
    stream = tables.open_stream(TABLE)
    tables.append(stream, 0, values)
    tables.finalize(stream)
    tables.commit(TABLE, stream)
    assert warehouse.rows() == values.to_pylist()


def test_what_a_batch_lacks_is_null_or_an_empty_list(warehouse: Warehouse, tables: Tables) -> None:
    stream = tables.open_stream(TABLE)
    tables.append(stream, 0, batch("1"))
    tables.append(stream, 1, pa.record_batch({"OtherElements": [[{"Tag": "a"}], None]}))
    assert tables.finalize(stream) == 3
    tables.commit(TABLE, stream)
    assert warehouse.rows() == [
        {"PatientID": "1", "OtherElements": []},
        {"PatientID": None, "OtherElements": [{"Tag": "a", "Data": []}]},
        {"PatientID": None, "OtherElements": []},
    ]


@pytest.mark.parametrize("content", [{"Nope": ["x"]}, {"OtherElements": [[{"Nope": "x"}]]}])
def test_a_batch_with_a_column_too_many_is_refused_before_it_can_be_claimed(
    tables: Tables, content: dict[str, list[Any]]
) -> None:
    with pytest.raises(InvalidArgument, match="Nope"):
        tables.append(tables.open_stream(TABLE), 0, pa.record_batch(content))


def test_nothing_shows_before_the_commit(warehouse: Warehouse, tables: Tables) -> None:
    stream = make_stream(tables, "1")
    assert warehouse.ids() == []
    tables.commit(TABLE, stream)
    assert warehouse.ids() == ["1"]


def test_a_stream_is_committed_once_however_often(warehouse: Warehouse, tables: Tables) -> None:
    stream = make_stream(tables, "1", "2")
    for _ in range(3):
        tables.commit(TABLE, stream)
    tables.discard(stream)
    tables.commit(TABLE, stream)
    assert warehouse.ids() == ["1", "2"]


def test_another_process_commits_a_finalized_stream(warehouse: Warehouse, tables: Tables) -> None:
    streams = [make_stream(tables, "1"), make_stream(tables, "2")]
    tables.commit(TABLE, streams[0])
    restarted = warehouse.restart()
    for stream in streams:
        restarted.commit(TABLE, stream)
    assert warehouse.ids() == ["1", "2"]


def test_an_append_again_at_its_offset_changes_nothing(warehouse: Warehouse, tables: Tables) -> None:
    stream = tables.open_stream(TABLE)
    for _ in range(2):
        tables.append(stream, 0, batch("1", "2"))
        tables.append(stream, 2, batch("3"))
    assert [tables.finalize(stream), tables.finalize(stream)] == [3, 3]
    tables.commit(TABLE, stream)
    assert warehouse.ids() == ["1", "2", "3"]


@pytest.mark.parametrize("offset", [1, 3])
def test_neither_a_gap_nor_an_overlap_becomes_rows(tables: Tables, offset: int) -> None:
    stream = tables.open_stream(TABLE)
    tables.append(stream, 0, batch("1", "2"))
    with suppress(DicomExportError):
        tables.append(stream, offset, batch("3"))
    assert tables.finalize(stream) == 2


def test_a_gap_is_an_error(tables: Tables) -> None:
    stream = tables.open_stream(TABLE)
    tables.append(stream, 0, batch("1", "2"))
    with pytest.raises(DicomExportError, match=r"at row 3|at 2, not at 3"):
        tables.append(stream, 3, batch("3"))


@only_local
@pytest.mark.parametrize("offset", [1, 3])
def test_a_gap_and_an_overlap_are_errors(tables: Tables, offset: int) -> None:
    stream = tables.open_stream(TABLE)
    tables.append(stream, 0, batch("1", "2"))
    with pytest.raises(InvalidArgument, match=f"the next append is at 2, not at {offset}"):
        tables.append(stream, offset, batch("3"))


def test_a_finalized_stream_takes_no_more_and_an_open_one_is_not_committed(tables: Tables) -> None:
    with pytest.raises(FailedPrecondition, match="is finalized"):
        tables.append(make_stream(tables, "1"), 1, batch("2"))
    with pytest.raises(FailedPrecondition, match="not finalized"):
        tables.commit(TABLE, tables.open_stream(TABLE))


def test_a_discarded_stream_takes_no_more_rows_and_shows_none(warehouse: Warehouse, tables: Tables) -> None:
    stream = make_stream(tables, "1")
    tables.discard(stream)
    tables.discard(stream)
    with pytest.raises(PermanentError):
        tables.append(stream, 1, batch("1"))
    assert warehouse.ids() == []


@only_local
def test_a_discarded_stream_is_gone(warehouse: Warehouse, tables: Tables) -> None:
    stream = make_stream(tables, "1")
    tables.discard(stream)
    tables.discard(stream)
    with pytest.raises(NotFound):
        tables.commit(TABLE, stream)
    with pytest.raises(NotFound):
        tables.append(stream, 0, batch("1"))
    assert warehouse.ids() == []


def test_an_empty_stream_is_committed(warehouse: Warehouse, tables: Tables) -> None:
    stream = tables.open_stream(TABLE)
    assert tables.finalize(stream) == 0
    tables.commit(TABLE, stream)
    assert warehouse.ids() == []


def test_committed_rows_are_counted(tables: Tables) -> None:
    commit(tables, "1", "2")
    info = tables.describe(TABLE)
    assert info
    assert info.row_count == 2


@settings(max_examples=15)
@given(order=st.lists(st.integers(0, 4), max_size=15), grown_at=st.integers(0, 15))
def test_in_whatever_order_and_however_often_each_stream_counts_once(
    warehouse: Warehouse, order: list[int], grown_at: int
) -> None:
    tables = warehouse.create_dataset()
    tables.drop(TABLE)
    tables.prepare(TABLE, (PATIENT_ID,))
    streams = [make_stream(tables, str(number), str(number)) for number in range(5)]
    for step, number in enumerate(order):
        if step == grown_at:
            tables.prepare(TABLE, (OTHER_ELEMENTS,))
        tables.commit(TABLE, streams[number])
    assert warehouse.ids() == sorted(str(number) for number in {*order} for _ in range(2))


def test_commits_of_many_threads_lose_and_double_nothing(warehouse: Warehouse, tables: Tables) -> None:
    streams = [make_stream(tables, f"{number:02}") for number in range(12)]

    def commit_all(first: int) -> None:
        for stream in streams[first:] + streams[:first]:
            tables.commit(TABLE, stream)

    threads = [threading.Thread(target=commit_all, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warehouse.ids() == [f"{number:02}" for number in range(12)]


def test_streamed_rows_show_at_once_and_lack_what_their_batch_lacks(warehouse: Warehouse, tables: Tables) -> None:
    tables.stream(TABLE, batch("1"))
    assert warehouse.rows() == [{"PatientID": "1", "OtherElements": []}]
    tables.stream(TABLE, pa.record_batch({"PatientID": ["2"], "OtherElements": [[{"Tag": "a"}]]}))
    tables.stream(TABLE, batch("3", "4"))
    assert warehouse.ids() == ["1", "2", "3", "4"]
    assert warehouse.rows()[1]["OtherElements"] == [{"Tag": "a", "Data": []}]


def test_streamed_rows_see_a_column_that_was_added(warehouse: Warehouse, tables: Tables) -> None:
    tables.stream(TABLE, batch("1"))
    tables.prepare(TABLE, (Field("Rows", FieldType.INTEGER),))
    tables.stream(TABLE, pa.record_batch({"PatientID": ["2"], "Rows": [512]}))
    assert [row["Rows"] for row in warehouse.rows()] == [None, 512]


def test_rows_are_streamed_to_a_table_that_is_there_only(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    with pytest.raises(NotFound, match="dicom was not found"):
        tables.stream(TABLE, batch("1"))
    tables.prepare(TABLE, (PATIENT_ID,))
    with pytest.raises(InvalidArgument, match="Nope"):
        tables.stream(TABLE, pa.record_batch({"Nope": ["1"]}))


def test_rows_that_many_stream_at_once_are_all_there(warehouse: Warehouse, tables: Tables) -> None:
    threads = [threading.Thread(target=tables.stream, args=(TABLE, batch(f"{number:02}"))) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warehouse.ids() == [f"{number:02}" for number in range(12)]


KEY = Field("SOPInstanceUID", STRING)


def change(tables: Tables, *changes: tuple[str, int, str | None]) -> None:
    """Send a row of each instance, generation and value, or its deletion if there is none."""
    keys, generations, values = zip(*changes, strict=True)
    versions = [Version(each, value is None) for each, value in zip(generations, values, strict=True)]
    tables.change(TABLE, pa.record_batch({"SOPInstanceUID": keys, "PatientID": pa.array(values, pa.utf8())}), versions)


@only_local
@settings(max_examples=25)
@given(
    sent=st.lists(
        st.lists(st.tuples(st.sampled_from(["1.2", "1.3"]), st.integers(1, 4), st.booleans()), min_size=1, max_size=4),
        max_size=8,
    )
)
def test_of_each_instance_the_highest_version_stands_in_whatever_order_and_however_often(
    warehouse: Warehouse, sent: list[list[tuple[str, int, bool]]]
) -> None:
    tables = warehouse.create_dataset()
    dataset_is_new = tables.describe(TABLE) is None
    table = TABLE if dataset_is_new else replace(TABLE, table=f"dicom_{uuid.uuid4().hex}")
    tables.prepare_changes(table, (KEY, PATIENT_ID))
    latest: dict[str, tuple[int, bool]] = {}
    for number, changes in enumerate(sent):
        keys = [key for key, _, _ in changes]
        versions = [Version(generation, is_deletion) for _, generation, is_deletion in changes]
        values = [f"{generation}" for _, generation, _ in changes]
        if number == 3:
            tables = warehouse.restart()
        tables.change(table, pa.record_batch({"SOPInstanceUID": keys, "PatientID": values}), versions)
        for key, generation, is_deletion in changes:
            latest[key] = max(latest.get(key, (0, False)), (generation, is_deletion))
    expected = {key: str(generation) for key, (generation, is_deletion) in latest.items() if not is_deletion}
    assert {row["SOPInstanceUID"]: row["PatientID"] for row in warehouse.rows(table)} == expected
    assert len(warehouse.rows(table)) == len(expected)


@only_local
def test_a_late_event_undoes_nothing(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    tables.prepare_changes(TABLE, (KEY, PATIENT_ID))
    change(tables, ("1.2", 2, "new"))
    change(tables, ("1.2", 1, "old"), ("1.2", 1, None))
    assert warehouse.ids() == ["new"]
    change(tables, ("1.2", 2, None), ("1.2", 2, "new"))
    assert warehouse.ids() == []


def test_a_replacement_has_the_staging_tables_columns_and_rows(warehouse: Warehouse, tables: Tables) -> None:
    commit(tables, "old")
    new = (PATIENT_ID, Field("Rows", FieldType.INTEGER), OTHER_ELEMENTS)
    tables.prepare_staging(STAGING, new, TABLE)
    commit(tables, "1", "2", table=STAGING)
    assert warehouse.ids() == ["old"]
    for _ in range(2):
        tables.replace(TABLE, STAGING, expected_rows=2, job="job-1")
    assert warehouse.ids() == ["1", "2"]
    assert set(schema(tables)) == set(new)
    assert tables.describe(STAGING) is None
    commit(tables, "3")
    tables.replace(TABLE, STAGING, expected_rows=2, job="job-1")
    assert warehouse.ids() == ["1", "2", "3"]


def test_a_replacement_makes_a_table_that_was_not_there(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    tables.prepare_staging(STAGING, (PATIENT_ID,), TABLE)
    tables.replace(TABLE, STAGING, expected_rows=0, job="job-1")
    assert warehouse.ids() == []


def test_a_staging_table_that_lacks_rows_replaces_nothing(warehouse: Warehouse, tables: Tables) -> None:
    commit(tables, "old")
    tables.prepare_staging(STAGING, (PATIENT_ID,), TABLE)
    commit(tables, "1", table=STAGING)
    with pytest.raises(FailedPrecondition, match="has 1 rows, not the 2"):
        tables.replace(TABLE, STAGING, expected_rows=2, job="job-1")
    assert warehouse.ids() == ["old"]
    tables.replace(TABLE, STAGING, expected_rows=1, job="job-1")
    assert warehouse.ids() == ["1"]


def test_views_of_a_table_are_defined_kept_up_and_not_created_unasked(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    view = replace(TABLE, table=f"{TABLE.table}View")
    tables.annotate(TABLE, views=True)
    tables.prepare(TABLE, INSTANCE_COLUMNS)
    tables.annotate(TABLE, views=False)
    assert not warehouse.has(view)

    tables.annotate(TABLE, views=True)
    tables.prepare(TABLE, (*INSTANCE_COLUMNS, PATIENT_ID))
    tables.annotate(TABLE, views=False)
    commit(tables, "a")

    assert warehouse.patients(view) == ["a"]


def test_a_staging_table_is_dropped_once_and_again(tables: Tables) -> None:
    tables.prepare_staging(STAGING, (PATIENT_ID,), TABLE)
    tables.drop(STAGING)
    tables.drop(STAGING)
    assert tables.describe(STAGING) is None


REPORTED = TableName("my-project", "imaging", "differences")
INSTANCES: Schema = (
    Field("StudyInstanceUID", STRING),
    Field("SeriesInstanceUID", STRING),
    Field("SOPInstanceUID", STRING),
    Field("Type", STRING),
    Field("LastUpdated", FieldType.TIMESTAMP),
    Field("BlobStorageSize", FieldType.INTEGER),
    Field("SourceDicomStore", STRING),
)
OTHER_STORE = StoreName(DatasetName("p", "l", "d"), "other")


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)


def listed(instance: str, second: int, size: int = 1, name: str = "") -> dict[str, Any]:
    stored = StoredObject(name or f"{instance}.dcm", second, size, at(second))
    return inventory_row(stored, InstanceUids("1", "2", instance))


def recorded(
    instance: str, second: int, kind: str = "CREATE", size: int = 1, store: StoreName = STORE
) -> dict[str, Any]:
    row = listed(instance, second, size) | {"Type": kind, "SourceDicomStore": str(store)}
    return {field.name: row[field.name] for field in INSTANCES}


def fill(tables: Tables, table: TableName, columns: Schema, rows: list[dict[str, Any]]) -> None:
    tables.prepare(table, columns)
    if rows:
        tables.stream(table, record_batch(rows, columns))


def report_of(tables: Tables, job: str = "1") -> list[tuple[str, str | None, str | None]]:
    tables.compare(TABLE, STAGING, REPORTED, STORE, before=at(1000), job=job)
    return [(each.kind.value, each.uids.instance, each.object) for each in tables.differences(REPORTED)]


def test_a_comparison_reports_what_the_latest_rows_lack_and_have_too_much(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    objects = [
        *(
            listed("right", 5),
            listed("new", 5),
            listed("changed", 9),
            listed("grown", 5, size=2),
            listed("deleted row", 5),
        ),
        *(
            listed("twice", 5, name="a"),
            listed("twice", 7, name="b"),
            listed("later row", 5, size=3),
            listed("changing", 9),
        ),
    ]
    rows = [
        *(recorded("right", 3, size=7), recorded("right", 5), recorded("changed", 5), recorded("grown", 5)),
        *(recorded("deleted row", 5), recorded("deleted row", 6, "DELETE"), recorded("twice", 7), recorded("gone", 5)),
        *(
            recorded("gone and told", 5),
            recorded("gone and told", 6, "DELETE"),
            recorded("another's", 5, store=OTHER_STORE),
        ),
        *(recorded("later row", 8), recorded("changing", 2000, size=2), recorded("uploaded since", 1000)),
    ]
    fill(tables, STAGING, INVENTORY, objects)
    fill(tables, TABLE, INSTANCES, rows)
    assert report_of(tables) == [
        ("MISSING", "deleted row", "deleted row.dcm"),
        ("MISSING", "new", "new.dcm"),
        ("ORPHANED", "gone", None),
        ("STALE", "changed", "changed.dcm"),
        ("STALE", "grown", "grown.dcm"),
        ("STALE", "later row", "later row.dcm"),
    ]
    assert tables.count_differences(REPORTED) == DifferenceCounts(missing=2, stale=3, orphaned=1, outranked=3)
    stale = next(each for each in tables.differences(REPORTED) if each.uids.instance == "changed")
    assert stale == Difference(DifferenceKind.STALE, InstanceUids("1", "2", "changed"), "changed.dcm", 9, at(9), at(5))


def test_a_comparison_takes_the_place_of_another_report_once(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    fill(tables, STAGING, INVENTORY, [listed("new", 5)])
    fill(tables, TABLE, INSTANCES, [])
    tables.prepare(REPORTED, (PATIENT_ID,))
    assert report_of(tables) == [("MISSING", "new", "new.dcm")]
    fill(tables, TABLE, INSTANCES, [recorded("new", 5)])
    tables.drop(STAGING)
    restarted = warehouse.restart()
    assert report_of(restarted) == [("MISSING", "new", "new.dcm")]
    fill(restarted, STAGING, INVENTORY, [listed("new", 5)])
    assert report_of(restarted, job="2") == []
    assert restarted.count_differences(REPORTED) == DifferenceCounts()


def test_a_table_without_instances_lacks_them_all_and_another_kind_of_table_is_refused(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    fill(tables, STAGING, INVENTORY, [listed("new", 5)])
    with pytest.raises(NotFound, match="dicom"):
        report_of(tables)
    tables.prepare(TABLE, (PATIENT_ID,))
    with pytest.raises(FailedPrecondition, match="no column LastUpdated"):
        report_of(tables)
    tables.prepare(TABLE, common_columns(SchemaKind.FLATTENED, has_source_store=False))
    assert report_of(tables) == [("MISSING", "new", "new.dcm")]
    with pytest.raises(NotFound):
        list(tables.differences(replace(REPORTED, table="nowhere")))


OBJECTS = TableName("my-project", "imaging", "objects")
NAMED: Schema = (*INSTANCES, *SOURCE_OBJECT)
NAMES = ("a", "a b", "a%20b", "a/b", "\u00fc", "z")


def version(name: str, generation: int, size: int = 1) -> ObjectVersion:
    return ObjectVersion(f"gs://bucket/{name}", generation, size)


def named(name: str, generation: int, kind: str = "CREATE", size: int = 1, instance: str = "") -> dict[str, Any]:
    source = {"SourceObject": f"gs://bucket/{name}", "SourceGeneration": generation}
    return recorded(instance or f"of {name}", generation, kind, size) | source


def test_objects_with_a_row_are_known_from_a_copy_and_from_the_table_itself(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    rows = [
        *(named(name, 5) for name in NAMES),
        *(named("a", 7, size=3), named("gone", 5, "DELETE"), named("z", 5)),
        recorded("without an object", 5) | dict.fromkeys(("SourceObject", "SourceGeneration")),
    ]
    fill(tables, TABLE, NAMED, rows)
    tables.keep_objects(TABLE, OBJECTS, job="1")
    uris = [f"gs://bucket/{name}" for name in (*NAMES, "gone", "never", "\U0001f600")]
    expected = {version(name, 5) for name in NAMES} | {version("a", 7, 3)}
    for objects in (OBJECTS, TABLE):
        assert set(tables.known_objects(objects, uris)) == expected
        assert set(tables.known_objects(objects, ["gs://bucket/a/b"])) == {version("a/b", 5)}
        assert list(tables.known_objects(objects, ["gs://bucket/never"])) == []
        assert list(tables.known_objects(objects, [])) == []


def test_objects_are_copied_once_for_a_job_as_they_were_then(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    fill(tables, TABLE, NAMED, [named("a", 5)])
    tables.keep_objects(TABLE, OBJECTS, job="1")
    tables.stream(TABLE, record_batch([named("b", 5)], NAMED))
    restarted = warehouse.restart()
    restarted.keep_objects(TABLE, OBJECTS, job="1")
    uris = ["gs://bucket/a", "gs://bucket/b"]
    assert set(restarted.known_objects(OBJECTS, uris)) == {version("a", 5)}
    restarted.drop(OBJECTS)
    with pytest.raises(NotFound):
        list(restarted.known_objects(OBJECTS, uris))
    restarted.keep_objects(TABLE, OBJECTS, job="2")
    assert set(restarted.known_objects(OBJECTS, uris)) == {version("a", 5), version("b", 5)}


def test_a_table_whose_rows_do_not_name_their_objects_is_refused(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()
    with pytest.raises(NotFound):
        tables.keep_objects(TABLE, OBJECTS, job="1")
    fill(tables, TABLE, INSTANCES, [recorded("a", 5)])
    with pytest.raises(FailedPrecondition, match="no columns SourceObject and SourceGeneration"):
        tables.keep_objects(TABLE, OBJECTS, job="2")


def test_an_object_that_was_not_read_is_compared_by_the_uids_of_its_row(warehouse: Warehouse) -> None:
    tables = warehouse.create_dataset()

    def known(name: str, second: int, size: int = 1) -> dict[str, Any]:
        return known_row(StoredObject(name, second, size, at(second)), f"gs://bucket/{name}")

    rows = [
        *(named("right", 5), named("deleted", 5), named("deleted", 6, "DELETE", instance="of deleted")),
        *(named("copy of right", 4, instance="of right"), named("renamed", 5), named("gone", 5)),
        *(named("changed", 5), named("double", 5), named("double", 5)),
    ]
    inventory = [
        *(known("right", 5), known("copy of right", 4), known("deleted", 5), known("double", 5)),
        *(listed("of renamed", 5), listed("of changed", 9, name="changed"), listed("new", 5)),
        *(known("row removed", 5), known("row removed too", 5)),
    ]
    fill(tables, TABLE, NAMED, rows)
    fill(tables, STAGING, INVENTORY, inventory)
    assert report_of(tables) == [
        ("MISSING", "of deleted", "deleted"),
        ("MISSING", "new", "new.dcm"),
        ("MISSING", None, "row removed"),
        ("MISSING", None, "row removed too"),
        ("ORPHANED", "of gone", None),
        ("STALE", "of changed", "changed"),
    ]

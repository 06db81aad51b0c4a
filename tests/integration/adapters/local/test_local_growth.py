"""Tables in DuckDB files that gain columns and nested fields: nothing that they hold is changed by it, whatever happens meanwhile."""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_export.adapters.local.duckdb.conform import conform
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.adapters.local.duckdb.types import growth
from dicom_export.errors import FailedPrecondition
from dicom_export.names import TableName
from dicom_export.rows.arrow import arrow_schema, record_batch
from dicom_export.rows.schema import Field, FieldType, Mode, Schema

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = TableName("local", "main", "dicom")
NAMES = ("a", "B", "item0", "a'b\"c", "Größe")
ITEM = (Field("Text", FieldType.STRING), Field("Numbers", FieldType.INTEGER, Mode.REPEATED))
NESTED = (
    Field("Id", FieldType.STRING),
    Field("Outer", FieldType.RECORD, Mode.REPEATED, (Field("Inner", FieldType.RECORD, Mode.REPEATED, ITEM[:1]),)),
    Field("Name", FieldType.RECORD, fields=(Field("Family", FieldType.STRING),)),
)
GROWN = (
    *NESTED[:1],
    Field(
        "Outer",
        FieldType.RECORD,
        Mode.REPEATED,
        (Field("Inner", FieldType.RECORD, Mode.REPEATED, ITEM), *ITEM),
    ),
    Field("Name", FieldType.RECORD, fields=(Field("Family", FieldType.STRING), *ITEM)),
    *ITEM,
)
ROWS: list[dict[str, Any]] = [
    {"Id": "1", "Outer": [{"Inner": [{"Text": "x"}, {"Text": None}]}, {"Inner": []}], "Name": {"Family": "f"}},
    {"Id": "2", "Outer": [], "Name": None},
]
ROWS_GROWN = [
    {
        "Id": "1",
        "Outer": [
            {"Inner": [{"Text": "x", "Numbers": []}, {"Text": None, "Numbers": []}], "Text": None, "Numbers": []},
            {"Inner": [], "Text": None, "Numbers": []},
        ],
        "Name": {"Family": "f", "Text": None, "Numbers": []},
        "Text": None,
        "Numbers": [],
    },
    {"Id": "2", "Outer": [], "Name": None, "Text": None, "Numbers": []},
]


def opened(folder: Path) -> DuckDbTables:
    tables = DuckDbTables({"local": folder / "x.duckdb"}, streams=folder / "streams")
    tables.create_dataset("local", "main")
    return tables


def read(file: Path) -> list[dict[str, Any]]:
    with duckdb.connect(file, read_only=True) as connection:
        rows: list[dict[str, Any]] = connection.sql("FROM dicom ORDER BY ALL").to_arrow_table().to_pylist()
        return rows


def fields(depth: int) -> st.SearchStrategy[Schema]:
    """Fields of which those of one name have one type and mode, so that any two schemas of them can be merged."""
    modes = dict(zip(NAMES, (Mode.NULLABLE, Mode.REPEATED, Mode.REPEATED, Mode.NULLABLE, Mode.REPEATED), strict=True))
    types = (FieldType.STRING, FieldType.RECORD, FieldType.RECORD, FieldType.RECORD, FieldType.INTEGER)

    def field(name: str, type_: FieldType) -> st.SearchStrategy[Field]:
        if type_ is not FieldType.RECORD:
            return st.just(Field(name, type_, modes[name]))
        if not depth:
            return st.just(Field(name, type_, modes[name], ITEM[:1]))
        return fields(depth - 1).map(lambda nested: Field(name, type_, modes[name], (*ITEM[:1], *nested)))

    each = [st.none() | field(name, type_) for name, type_ in zip(NAMES, types, strict=True)]
    return st.tuples(*each).map(lambda found: tuple(filter(None, found)))


def value(field: Field, number: int) -> Any:
    """Return a value that has NULLs, empty lists and items of every kind among those of a few numbers."""
    if field.mode is Mode.REPEATED:
        single = field._replace(mode=Mode.NULLABLE)
        return [value(single, number + each) for each in range(number % 3)]
    if field.type is FieldType.RECORD:
        return {nested.name: value(nested, number + 1) for nested in field.fields} if number % 4 else None
    return {FieldType.STRING: f"text {number}", FieldType.INTEGER: number}[field.type] if number % 3 else None


@settings(max_examples=25, deadline=None)
@given(first=fields(2), second=fields(2))
def test_rows_are_after_a_growth_what_they_would_be_in_a_table_that_had_all_columns(
    first: Schema, second: Schema
) -> None:
    first = (Field("Id", FieldType.INTEGER), *first)
    rows = [{"Id": number} | {field.name: value(field, number) for field in first[1:]} for number in range(8)]
    with tempfile.TemporaryDirectory() as name:
        with opened(Path(name)) as tables:
            tables.prepare(TABLE, first)
            tables.stream(TABLE, record_batch(rows, first))
            tables.prepare(TABLE, second)
            grown = tables.describe(TABLE)
            assert grown
        found = read(Path(name) / "x.duckdb")
    batch = record_batch(rows, first)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    expected = {
        field.name: conform(columns.get(field.name), field.type, len(rows)).to_pylist()
        for field in arrow_schema(grown.schema)
    }
    assert found == [dict(zip(expected, values, strict=True)) for values in zip(*expected.values(), strict=True)]


def test_a_growth_is_one_statement_for_each_column_however_many_fields_it_gains(tmp_path: Path) -> None:
    by_us(tmp_path)
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        relation = connection.sql("FROM dicom")
        columns = list(zip(relation.columns, relation.types, strict=True))
    assert [statement.split()[:3] for statement in growth(columns, GROWN)] == [
        ["ALTER", "COLUMN", '"Outer"'],
        ["ALTER", "COLUMN", '"Name"'],
        ["ADD", "COLUMN", '"Text"'],
        ["ADD", "COLUMN", '"Numbers"'],
    ]
    assert list(growth(columns, NESTED)) == []


def test_fields_of_another_tool_are_kept_whatever_their_type(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute(
            """CREATE TABLE dicom (Id VARCHAR, "Name" STRUCT("Family" VARCHAR, raw BLOB, map MAP(VARCHAR, INTEGER), kind ENUM ('a', 'b')))"""
        )
        connection.execute(
            "INSERT INTO dicom VALUES ('1', {Family: 'f', raw: 'r'::BLOB, map: MAP {'k': 1}, kind: 'b'})"
        )
    with opened(tmp_path) as tables:
        tables.prepare(TABLE, GROWN)
    name = {"Family": "f", "raw": b"r", "map": [("k", 1)], "kind": "b", "Text": None, "Numbers": []}
    assert read(tmp_path / "x.duckdb")[0]["Name"] == name


@pytest.mark.parametrize("type_", ["BLOB", "INTEGER[][]", "MAP(VARCHAR, VARCHAR)"])
@pytest.mark.parametrize("column", ["{}", "STRUCT(Text {})", "STRUCT(Text {})[]"])
def test_what_another_tool_gave_another_type_is_named(tmp_path: Path, column: str, type_: str) -> None:
    with opened(tmp_path):
        pass
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute(f"CREATE TABLE dicom (Name {column.format(type_)}, Other STRUCT(Other INTEGER))")
    mode = Mode.REPEATED if column.endswith("[]") else Mode.NULLABLE
    with opened(tmp_path) as tables, pytest.raises(FailedPrecondition, match="Name"):
        tables.prepare(TABLE, (Field("Name", FieldType.RECORD, mode, ITEM),))


def killed(folder: Path, copy: Path) -> None:
    """Copy the files of a writer as they are, as a kill leaves them: nothing was written into the database yet but its log."""
    copy.mkdir()
    for file in folder.glob("x.duckdb*"):
        shutil.copy(file, copy)


def test_a_growth_is_in_the_log_that_a_killed_process_leaves(tmp_path: Path) -> None:
    folder, copy = tmp_path / "a", tmp_path / "b"
    folder.mkdir()
    with opened(folder) as tables:
        tables.prepare(TABLE, NESTED)
        tables.stream(TABLE, record_batch(ROWS, NESTED))
        tables.prepare(TABLE, GROWN)
        killed(folder, copy)
    assert (copy / "x.duckdb.wal").stat().st_size
    assert read(folder / "x.duckdb") == read(copy / "x.duckdb") == ROWS_GROWN


def by_us(folder: Path) -> None:
    with opened(folder) as tables:
        tables.prepare(TABLE, NESTED)


def by_another(folder: Path) -> None:
    columns = '"Id" VARCHAR, "Outer" STRUCT("Inner" STRUCT("Text" VARCHAR)[])[], "Name" STRUCT("Family" VARCHAR)'
    with duckdb.connect(folder / "x.duckdb") as connection:
        connection.execute(f"CREATE TABLE dicom ({columns})")
        connection.execute("COMMENT ON TABLE dicom IS 'mine'")


@pytest.mark.parametrize("made", [by_us, by_another])
def test_an_empty_table_that_was_there_before_keeps_what_others_said_of_it(
    tmp_path: Path, made: Callable[[Path], None]
) -> None:
    made(tmp_path)
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute("COMMENT ON COLUMN dicom.Id IS 'the identity'")
    with opened(tmp_path) as tables:
        tables.prepare(TABLE, GROWN)
        tables.stream(TABLE, record_batch(ROWS, NESTED))
    assert read(tmp_path / "x.duckdb") == ROWS_GROWN
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        comments = connection.sql("SELECT comment FROM duckdb_columns() WHERE comment IS NOT NULL").fetchall()
    assert comments == [("the identity",)]


@pytest.mark.parametrize("is_written", [False, True])
def test_a_table_of_this_process_grows_alike_before_and_after_its_first_row(
    tmp_path: Path, *, is_written: bool
) -> None:
    with opened(tmp_path) as tables:
        tables.prepare(TABLE, NESTED)
        write = partial(tables.stream, TABLE, record_batch(ROWS, NESTED))
        if is_written:
            write()
        tables.prepare(TABLE, GROWN)
        if not is_written:
            write()
        described = tables.describe(TABLE)
    assert described
    assert described.schema == GROWN
    assert read(tmp_path / "x.duckdb") == ROWS_GROWN

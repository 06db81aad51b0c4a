from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import duckdb
import pytest

from support.command_line import make_folder, run
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an exported table, and beside it one of the user's own."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "1.dcm").write_bytes(make_instance(PatientName="Doe^Jane", StudyDate="20260102"))
    file = tmp_path_factory.mktemp("out") / "scans.duckdb"
    assert run("export", folder, "--to", file).exit_code == 0
    with duckdb.connect(file) as connection:
        connection.execute(
            "CREATE SCHEMA research; CREATE TABLE research.reads (Reader VARCHAR, Agrees BOOLEAN, Moments TIMESTAMP[],"
            " Thumbnail BLOB, Dose DECIMAL(9, 2), Score STRUCT(Value DOUBLE, Notes VARCHAR[])[], Odd MAP(VARCHAR, INT))"
        )
    return file


def columns(file: Path, *arguments: str) -> dict[str, dict[str, str]]:
    result = run("columns", *arguments, "--from", file, "--format", "json")
    assert result.exit_code == 0, result.output
    return {column["name"]: column for column in json.loads(result.stdout)}


def test_columns_are_listed_with_bigquerys_type_and_what_the_dictionary_says(file: Path) -> None:
    listed = columns(file)
    assert listed["StudyDate"] == {
        "name": "StudyDate",
        "type": "DATE",
        "mode": "NULLABLE",
        "description": "Study Date (0008,0020), DA, VM 1",
    }
    assert listed["PatientName"]["type"] == "RECORD"
    assert listed["LastUpdated"]["type"] == "TIMESTAMP"
    assert listed["BlobStorageSize"]["description"] == "Size of the object in bytes"


def test_nested_fields_are_dotted_paths_after_their_record(file: Path) -> None:
    names = list(columns(file))
    start = names.index("PatientName")
    assert names[start : start + 3] == [
        "PatientName",
        "PatientName.Alphabetic",
        "PatientName.Alphabetic.FamilyName",
    ]


def test_modes_are_bigquerys_required_fields_included(file: Path) -> None:
    listed = columns(file, "OtherElements")
    assert {name: column["mode"] for name, column in listed.items()} == {
        "OtherElements": "REPEATED",
        "OtherElements.Tag": "REQUIRED",
        "OtherElements.Data": "REPEATED",
    }


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("studydate", ["StudyDate"]),
        ("STUDY DATE", ["StudyDate"]),
        ("(0008,0020)", ["StudyDate"]),
        ("in bytes", ["BlobStorageSize"]),
        ("xyzzy", []),
    ],
)
def test_a_word_filters_by_name_and_description_in_any_case(file: Path, word: str, expected: list[str]) -> None:
    assert list(columns(file, word)) == expected


def test_a_table_of_the_users_own_is_listed_too(file: Path) -> None:
    listed = columns(file, "--table", "research.reads")
    assert {name: (column["type"], column["mode"]) for name, column in listed.items()} == {
        "Reader": ("STRING", "NULLABLE"),
        "Agrees": ("BOOLEAN", "NULLABLE"),
        "Moments": ("DATETIME", "REPEATED"),
        "Thumbnail": ("BYTES", "NULLABLE"),
        "Dose": ("NUMERIC", "NULLABLE"),
        "Score": ("RECORD", "REPEATED"),
        "Score.Value": ("FLOAT", "NULLABLE"),
        "Score.Notes": ("STRING", "REPEATED"),
        "Odd": ("MAP(VARCHAR, INTEGER)", "NULLABLE"),
    }
    assert not any(column["description"] for column in listed.values())


def test_columns_are_text_or_csv_as_well(file: Path) -> None:
    assert run("columns", "studydate", "--from", file).stdout.splitlines() == [
        "name       type  mode      description",
        "---------  ----  --------  --------------------------------",
        "StudyDate  DATE  NULLABLE  Study Date (0008,0020), DA, VM 1",
        "(1 row)",
    ]
    lines = run("columns", "studydate", "--from", file, "--format", "csv").stdout.splitlines()
    assert list(csv.DictReader(lines)) == list(columns(file, "studydate").values())


def test_the_json_schema_is_described(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "scans")
    assert run("export", folder, "--to", tmp_path / "a.duckdb", "--schema", "json").exit_code == 0
    listed = columns(tmp_path / "a.duckdb")
    assert listed["Metadata"]["type"] == "JSON"
    assert listed["DroppedTags"]["mode"] == "REPEATED"
    assert all(column["description"] for column in listed.values())


def test_a_misspelt_table_is_answered_with_those_that_there_are(file: Path) -> None:
    result = run("columns", "--from", file, "--table", "dicm")
    assert result.exit_code == 2
    assert result.stderr.endswith(
        "has: dicom, dicomPrivate, dicomSeries, dicomStudies, dicomView, research.reads. Did you mean dicom?\n"
    )


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no database, and long enough to be taken for none")
    result = run("columns", "--from", tmp_path / "a.txt")
    assert result.exit_code == 2
    assert "is not a DuckDB file" in result.stderr


def test_columns_are_listed_without_changing_the_file(file: Path) -> None:
    before = file.read_bytes()
    columns(file)
    assert file.read_bytes() == before

"""One instance that needs thousands of columns costs only itself: the table takes what it may, and the next export."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.errors import TooManyColumns
from dicom_export.folder_export import request
from dicom_export.operations.planning import PlanLimits
from dicom_export.rows.schema import covers
from support.command_line import make_folder, rows, run
from support.dicom_files import element, make_file, make_instance

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_export.names import TableName
    from dicom_export.rows.schema import Schema

LACKING = {"00104000": ("first", "second"), "00280010": ("1",)}
"""The elements, by tag, that only later instances have."""


def make_wide(sequences: int, uid: str = "1.2.9") -> bytes:
    """Return an instance with so many private sequences."""
    item = element(0xFFFEE000, None, element(0x00080060, "CS", b"MR"))
    parts = [element(0x00110000 + 0x1000 + number, "SQ", item) for number in range(sequences)]
    return make_file(*parts, sop_instance_uid=uid)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = make_folder(tmp_path / "store", 20)
    (folder / "wide.dcm").write_bytes(make_wide(10_000))
    return folder


def columns_of(file: Path) -> int:
    return int(
        rows(file, "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'dicom' AND database_name <> 'system'")[0][
            0
        ]
    )


def test_instance_with_ten_thousand_private_sequences_is_a_row_and_lists_what_it_lost(
    folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "out.duckdb"
    result = run("export", folder, "--to", file)
    assert (result.exit_code, "21 of 21 instances" in result.stdout) == (0, True), result.output
    assert columns_of(file) < 1_100
    ((dropped,),) = rows(file, "SELECT len(DroppedTags) FROM dicom WHERE SOPInstanceUID = '1.2.9'")
    assert 9_000 < dropped < 10_000


@pytest.mark.parametrize("command", ["export", "watch"])
def test_table_takes_the_next_instances_too(
    folder: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DICOM_EXPORT_MAX_INSTANCE_COLUMNS", "100")
    file = tmp_path / "out.duckdb"
    assert run("export", folder, "--to", file).exit_code == 0
    more = tmp_path / "more"
    more.mkdir()
    for number in range(3):
        (more / f"{number}.dcm").write_bytes(make_wide(200, f"1.2.8.{number}"))
    options = ["--write-disposition", "write-append"] if command == "export" else ["--once"]
    result = run(command, more, "--to", file, *options)
    assert result.exit_code == 0, result.output
    assert rows(file, "SELECT count(*) FROM dicom WHERE SOPInstanceUID LIKE '1.2.8.%'") == [(3,)]
    assert columns_of(file) < 500


def test_limits_are_settings(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "out.duckdb"
    monkeypatch.setenv("DICOM_EXPORT_MAX_TABLE_COLUMNS", "60")
    monkeypatch.setenv("DICOM_EXPORT_MAX_ELEMENTS", "5000")
    result = run("export", folder, "--to", file)
    assert "The header has more than 5,000 elements" in result.stdout
    assert columns_of(file) <= 60
    ((others,),) = rows(file, "SELECT len(OtherElements) FROM dicom LIMIT 1")
    assert others == 0
    monkeypatch.setenv("DICOM_EXPORT_MAX_ELEMENTS", "many")
    result = run("export", folder, "--to", file)
    assert (result.exit_code, "Invalid DICOM_EXPORT_MAX_ELEMENTS 'many'" in result.stderr) == (2, True)


def test_columns_without_room_leave_the_text_in_other_elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "out.duckdb"
    monkeypatch.setenv("DICOM_EXPORT_MAX_TABLE_COLUMNS", "16")
    assert run("export", make_folder(tmp_path / "store"), "--to", file, "--format", "json").exit_code == 0
    found = rows(file, "SELECT OtherElements FROM dicom")
    tags = {each["Tag"]: each["Data"] for (others,) in found for each in others}
    assert json.dumps(tags)
    assert tags["Tag_00100020"] == ["P1"]


def test_a_table_that_takes_no_further_column_takes_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BigQuery counts dropped columns for a while, so that it refuses columns for which our own limit leaves room."""
    file, more = tmp_path / "out.duckdb", tmp_path / "more"
    assert run("export", make_folder(tmp_path / "store"), "--to", file).exit_code == 0
    prepare = DuckDbTables.prepare

    def refuse(tables: DuckDbTables, table: TableName, schema: Schema, *more: Any) -> None:
        found = tables.describe(table)
        if found and not covers(found.schema, schema):
            raise TooManyColumns("Too many total leaf fields: 10001")
        prepare(tables, table, schema, *more)

    monkeypatch.setattr(DuckDbTables, "prepare", refuse)
    # Workers, too, meet columns that the table lacks.
    monkeypatch.setattr(request, "local_limits", lambda: PlanLimits(sample=1))
    more.mkdir()
    values: list[dict[str, Any]] = [{"PatientComments": "first"}, {"PatientComments": "second", "Rows": 1}]
    for number, each in enumerate(values):
        content = make_instance(SOPInstanceUID=f"1.2.7.{number}", **each)
        (more / f"{number}.dcm").write_bytes(content)
    result = run("export", more, "--to", file, "--write-disposition", "write-append")
    assert (result.exit_code, "2 of 2 instances" in result.stdout) == (0, True), result.output
    found = rows(file, "SELECT OtherElements FROM dicom WHERE SOPInstanceUID LIKE '1.2.7.%'")
    tags = sorted((each["Tag"], each["Data"]) for (others,) in found for each in others)
    assert tags == [(f"Tag_{tag}", [text]) for tag, texts in LACKING.items() for text in texts]

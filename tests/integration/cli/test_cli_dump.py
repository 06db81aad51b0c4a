from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.data import get_testdata_file

from dicom_export.cli import main
from support.command_line import run, subcommands
from support.dicom_files import make_data_set, make_instance

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    data_set = make_data_set(PatientID="P1", StudyDate="20260102")
    data_set.add_new(0x00090010, "LO", "OURS")
    data_set.add_new(0x00091002, "SH", "SECRET")
    data_set.add_new(0x7FE00010, "OW", b"ab")
    data_set.BitsAllocated = 8
    (tmp_path / "a.dcm").write_bytes(make_instance(data_set))
    return tmp_path / "a.dcm"


def dumped(*arguments: object) -> dict[str, Any]:
    result = run("dump", *arguments)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_the_row_is_what_an_export_would_write(file: Path) -> None:
    row = dumped(file)["row"]
    assert row["PatientID"] == "P1"
    assert row["StudyDate"] == "2026-01-02"
    assert row["BlobStorageSize"] == file.stat().st_size
    assert {"Tag": "Tag_00091002", "Data": ["SECRET"]} in row["OtherElements"]


def test_the_notes_say_where_elements_went_and_not_their_values(file: Path) -> None:
    notes = {note["element"]: note for note in dumped(file)["notes"]}
    assert notes["Tag_00091002"]["fate"] == "OtherElements"
    assert notes["PixelData"]["fate"] == "DroppedTags"
    assert "SECRET" not in str(notes)


def test_the_json_schema_can_be_looked_at(file: Path) -> None:
    row = dumped(file, "--schema", "json")["row"]
    assert json.loads(row["Metadata"])["00100020"]["Value"] == ["P1"]


def test_a_directory_says_why_it_is_no_row() -> None:
    assert "DICOMDIR" in dumped(get_testdata_file("DICOMDIR"))["skipped"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(bytes(400), "Not DICOM"), (b"", "empty"), (make_instance(PatientID="P1")[:-3], "Cut short")],
)
def test_what_is_no_instance_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    result = run("dump", tmp_path / "a")
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    result = run("dump", tmp_path / "none")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_every_command_explains_itself() -> None:
    for command in subcommands(main):
        assert run(command, "--help").exit_code == 0

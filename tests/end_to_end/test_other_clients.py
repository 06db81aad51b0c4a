"""Files of ours in the hands of other DuckDB clients, of this version and of the oldest that still gets updates."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.names import TableName
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.schema import Field, FieldType, Mode, Schema
from support.command_line import run
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = TableName("local", "main", "dicom")
CODES = Field(
    "Codes",
    FieldType.RECORD,
    Mode.REPEATED,
    (Field("CodeValue", FieldType.STRING), Field("Numbers", FieldType.FLOAT, Mode.REPEATED)),
)
FIRST: Schema = (
    Field("Id", FieldType.STRING),
    Field("Date", FieldType.DATE),
    Field("Time", FieldType.TIME),
    Field("Updated", FieldType.TIMESTAMP),
    Field("Name", FieldType.RECORD, fields=(Field("Family", FieldType.STRING),)),
    Field("Metadata", FieldType.JSON),
    CODES,
)
GROWN: Schema = (
    Field("Codes", FieldType.RECORD, Mode.REPEATED, (*CODES.fields, CODES)),
    Field("Size", FieldType.INTEGER),
)
ROWS: list[dict[str, Any]] = [
    {
        "Id": "1",
        "Date": date(2024, 2, 29),
        "Time": time(13, 1, 2, 345678),
        "Updated": datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "Name": {"Family": "Größe"},
        "Metadata": '{"00080060":{"vr":"CS","Value":["CT"]}}',
        "Codes": [{"CodeValue": "a", "Numbers": [1.5, 2.0]}, {"CodeValue": None, "Numbers": []}],
    },
    {"Id": "2"},
]
SIZED: list[dict[str, Any]] = [
    {
        "Id": "3",
        "Size": 7,
        "Codes": [{"CodeValue": "b", "Numbers": [], "Codes": [{"CodeValue": "c", "Numbers": [3.0]}]}],
    }
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with every type of ours, whose table has gained columns and nested fields since its first rows."""
    with DuckDbTables({"local": tmp_path / "x.duckdb"}, streams=tmp_path / "streams") as tables:
        tables.create_dataset("local", "main")
        tables.prepare(TABLE, FIRST)
        tables.stream(TABLE, record_batch(ROWS, FIRST))
        tables.prepare(TABLE, GROWN)
        tables.stream(TABLE, record_batch(SIZED, (FIRST[0], *GROWN)))
    return tmp_path / "x.duckdb"


def read(python: Path, file: Path, table: str = "dicom") -> dict[str, Any]:
    client = Path(__file__).parents[1] / "support" / "duckdb_client.py"
    # -I: neither our code nor what this environment has, only that of the client's.
    command = [str(python), "-I", str(client), str(file), table]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def test_duckdb_with_long_term_support_reads_every_value(file: Path, duckdb_lts: Path) -> None:
    found = read(duckdb_lts, file)
    assert found["version"].startswith("1.4.")
    first, second, third = found["fetchall"]
    assert first == {
        "Id": "1",
        "Date": "2024-02-29",
        "Time": "13:01:02.345678",
        "Updated": "2024-01-02 03:04:05.678901+00:00",
        "Name": {"Family": "Größe"},
        "Metadata": ROWS[0]["Metadata"],
        "Codes": [
            {"CodeValue": "a", "Numbers": [1.5, 2.0], "Codes": []},
            {"CodeValue": None, "Numbers": [], "Codes": []},
        ],
        "Size": None,
    }
    assert second == dict.fromkeys(first) | {"Id": "2", "Codes": []}
    assert third == dict.fromkeys(first) | {
        "Id": "3",
        "Size": 7,
        "Codes": [{"CodeValue": "b", "Numbers": [], "Codes": [{"CodeValue": "c", "Numbers": [3.0]}]}],
    }
    assert found["fetchone"] == first
    assert found["pl"] == found["fetchall"]
    assert [row["Codes"] for row in found["df"]] == [row["Codes"] for row in found["fetchall"]]
    assert [row["Updated"] for row in found["df"]] == [first["Updated"], "NaT", "NaT"]


@pytest.mark.parametrize("schema", ["flattened", "json"])
def test_duckdb_with_long_term_support_reads_an_export(tmp_path: Path, duckdb_lts: Path, schema: str) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "1.dcm").write_bytes(make_instance(PatientName="Doe^Jane", SOPInstanceUID="1.2.3"))
    run("export", str(folder), "--to", str(tmp_path / "x.duckdb"), "--schema", schema)
    found = read(duckdb_lts, tmp_path / "x.duckdb")
    assert found["fetchone"] == found["pl"][0] == found["fetchall"][0]
    assert found["fetchone"]["SOPInstanceUID"] == "1.2.3"


def test_this_environment_reads_a_row_too(file: Path) -> None:
    with duckdb.connect(file, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert connection.execute("SELECT Updated FROM dicom WHERE Id = '1'").fetchone() == (ROWS[0]["Updated"],)


def of_todays_default(file: Path) -> None:
    with duckdb.connect(file):
        pass


def of_an_old_version(file: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{file}' AS old (STORAGE_VERSION 'v1.0.0')")


def version(file: Path) -> str:
    with duckdb.connect(file, read_only=True) as connection:
        tags: list[tuple[dict[str, str]]] = connection.sql(
            "SELECT tags FROM duckdb_databases() WHERE NOT internal"
        ).fetchall()
    return tags[0][0]["storage_version"]


@pytest.mark.parametrize("made", [of_todays_default, of_an_old_version])
def test_a_file_of_another_storage_version_keeps_it_and_takes_exports(
    tmp_path: Path, made: Callable[[Path], None]
) -> None:
    file = tmp_path / "x.duckdb"
    made(file)
    before = version(file)
    for _ in range(2):
        with DuckDbTables({"local": file}, streams=tmp_path / "streams") as tables:
            tables.create_dataset("local", "main")
            tables.prepare(TABLE, FIRST)
            tables.stream(TABLE, record_batch(ROWS, FIRST))
            tables.prepare(TABLE, GROWN)
    with duckdb.connect(file) as connection:
        assert connection.sql("SELECT count(*) FROM dicom").fetchall() == [(4,)]
    assert version(file) == before


def test_a_new_file_is_one_for_clients_since_1_2(tmp_path: Path) -> None:
    of_todays_default(tmp_path / "default.duckdb")
    with DuckDbTables({"local": tmp_path / "x.duckdb"}, streams=tmp_path / "streams") as tables:
        tables.create_dataset("local", "main")
    assert version(tmp_path / "x.duckdb").startswith("v1.2.")
    assert version(tmp_path / "default.duckdb") != version(tmp_path / "x.duckdb")

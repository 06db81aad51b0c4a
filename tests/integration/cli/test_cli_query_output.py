"""The result of a query as a file: parquet, CSV or JSON."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import duckdb
import pytest
from pyarrow import parquet

from dicom_export.adapters.local.duckdb import result_files
from support.command_line import run

if TYPE_CHECKING:
    from pathlib import Path

NESTED = "SELECT SOPInstanceUID, Items, LastUpdated, Ratio, Pixels FROM dicom ORDER BY SOPInstanceUID"
FAILING_LATE = (
    "SELECT CAST(IF(n = 190000, 'x', CAST(n AS STRING)) AS INT64) AS x FROM UNNEST(GENERATE_ARRAY(0, 200000)) AS n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "scans.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "CREATE TABLE dicom (SOPInstanceUID VARCHAR, Items STRUCT(Tag VARCHAR, Data VARCHAR[])[],"
            " LastUpdated TIMESTAMPTZ, Ratio DOUBLE, Pixels BLOB)"
        )
        connection.execute(
            "INSERT INTO dicom VALUES ('1.1', [{'Tag': 'A', 'Data': ['x', 'y']}], '2026-01-02 03:04:05Z', 'nan', 'ab'::BLOB),"
            " ('1.2', [], NULL, 0.5, NULL)"
        )
    return file


def written(file: Path, name: str, sql: str = NESTED, *options: str) -> Path:
    target = file.with_name(name)
    result = run("query", sql, "--from", file, "--output", target, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"written to {target}\n")
    return target


def left_beside(file: Path) -> set[str]:
    return {each.name for each in file.parent.iterdir()} - {file.name}


def test_parquet_keeps_types_and_nested_values(file: Path) -> None:
    table = parquet.read_table(written(file, "out.parquet"))
    assert [str(field.type) for field in table.schema][2:] == ["timestamp[us, tz=UTC]", "double", "binary"]
    first, second = table.to_pylist()
    assert first["Items"] == [{"Tag": "A", "Data": ["x", "y"]}]
    assert (second["Items"], second["LastUpdated"], second["Pixels"]) == ([], None, None)
    [(tag,)] = duckdb.execute(f"SELECT Items[1].Tag FROM '{file.with_name('out.parquet')}' LIMIT 1").fetchall()  # noqa: S608
    assert tag == "A"


def test_json_keeps_nested_values(file: Path) -> None:
    assert json.loads(written(file, "out.json").read_text()) == [
        {
            "SOPInstanceUID": "1.1",
            "Items": [{"Tag": "A", "Data": ["x", "y"]}],
            "LastUpdated": "2026-01-02T03:04:05.000000Z",
            "Ratio": "NaN",
            "Pixels": "YWI=",
        },
        {"SOPInstanceUID": "1.2", "Items": [], "LastUpdated": None, "Ratio": 0.5, "Pixels": None},
    ]


def test_csv_has_a_header_unless_told_otherwise(file: Path) -> None:
    rows = [
        ["1.1", '[{"Tag": "A", "Data": ["x", "y"]}]', "2026-01-02 03:04:05 UTC", "NaN", "YWI="],
        ["1.2", "[]", "", "0.5", ""],
    ]
    header = ["SOPInstanceUID", "Items", "LastUpdated", "Ratio", "Pixels"]
    assert list(csv.reader(written(file, "out.CSV").open())) == [header, *rows]
    assert list(csv.reader(written(file, "bare.csv", NESTED, "--no-header").open())) == rows
    printed = run("query", NESTED, "--from", file, "--format", "csv", "--no-header").stdout
    assert list(csv.reader(printed.splitlines())) == rows


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json"])
def test_no_rows_are_a_file_with_the_columns(file: Path, suffix: str) -> None:
    target = written(file, f"out.{suffix}", "SELECT SOPInstanceUID, Items FROM dicom WHERE FALSE")
    match suffix:
        case "parquet":
            assert parquet.read_table(target).column_names == ["SOPInstanceUID", "Items"]
        case "csv":
            assert target.read_text() == "SOPInstanceUID,Items\n"
        case _:
            assert json.loads(target.read_text()) == []


def test_many_rows_become_several_row_groups(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_files, "_ROW_GROUP_ROWS", 4000)
    target = written(file, "out.parquet", "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 10000)) AS n ORDER BY n")
    assert parquet.ParquetFile(target).num_row_groups > 1
    assert parquet.read_table(target)["n"].to_pylist() == list(range(1, 10001))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json"])
def test_a_query_that_fails_leaves_the_old_file_and_no_other(file: Path, suffix: str) -> None:
    target = written(file, f"out.{suffix}")
    before = target.read_bytes()
    result = run("query", FAILING_LATE, "--from", file, "--output", target)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert target.read_bytes() == before
    assert left_beside(file) == {target.name}


def test_a_file_is_replaced_and_keeps_its_mode(file: Path) -> None:
    target = file.with_name("out.csv")
    target.write_text("old")
    target.chmod(0o640)
    written(file, "out.csv", "SELECT 1 AS n")
    assert target.read_text() == "n\n1\n"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(file: Path) -> None:
    file.with_name("out.csv").symlink_to("real.csv")
    written(file, "out.csv", "SELECT 1 AS n")
    assert file.with_name("out.csv").is_symlink()
    assert file.with_name("real.csv").read_text() == "n\n1\n"


@pytest.mark.parametrize("name", ["out.xlsx", "out.txt", "out", "csv", ".csv", "out.csv.gz", "-"])
def test_an_unknown_suffix_is_refused_with_those_that_there_are(file: Path, name: str) -> None:
    result = run("query", NESTED, "--from", file, "--output", file.with_name(name))
    assert result.exit_code == 2
    assert ".parquet, .csv or .json" in result.stderr
    assert not left_beside(file)


WRONG = {
    "no header of JSON": (("--output", "{folder}/a.json", "--no-header"), "--no-header is for CSV only"),
    "no header of parquet": (("--output", "{folder}/a.parquet", "--no-header"), "--no-header is for CSV only"),
    "no header of text": (("--no-header",), "--no-header is for CSV only"),
    "two formats": (("--output", "{folder}/a.csv", "--format", "json"), "whose suffix decides"),
    "no folder": (("--output", "{folder}/none/a.csv"), "does not exist"),
    "a folder": (("--output", "{folder}/folder.csv"), "is a directory"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_usage_is_told_and_does_nothing(file: Path, options: tuple[str, ...], message: str) -> None:
    file.with_name("folder.csv").mkdir()
    result = run("query", NESTED, "--from", file, *(each.format(folder=file.parent) for each in options))
    assert result.exit_code == 2
    assert message in result.stderr
    assert left_beside(file) == {"folder.csv"}


def test_the_file_that_is_queried_is_not_replaced(file: Path) -> None:
    renamed = file.rename(file.with_name("scans.json"))
    before = renamed.read_bytes()
    result = run("query", NESTED, "--from", renamed, "--output", renamed)
    assert result.exit_code == 2
    assert "names the file that is queried" in result.stderr
    assert renamed.read_bytes() == before


def test_what_parquet_has_no_type_for_is_told(file: Path) -> None:
    target = file.with_name("out.parquet")
    result = run("query", "SELECT INTERVAL 3 DAY AS i", "--from", file, "--dialect", "duckdb", "--output", target)
    assert result.exit_code == 2
    assert "cast it to text" in result.stderr
    assert not left_beside(file)

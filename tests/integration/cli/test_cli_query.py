from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from urllib.parse import unquote

import pytest

from support.command_line import run
from support.dicom_files import make_data_set, make_instance

QUERIES = Path(__file__).parents[3] / "queries"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with two studies: the older has two instances, the newer one a private element."""
    folder = tmp_path_factory.mktemp("store")
    older = {"PatientID": "1CT1", "StudyDate": "20250102"}
    newer = make_data_set(PatientID="P^2", StudyDate="20260102", StudyTime="", StudyInstanceUID="1.2.4")
    newer.add_new(0x00090010, "LO", "OURS")
    newer.add_new(0x00091002, "SH", "CT01")
    (folder / "1.dcm").write_bytes(
        make_instance(make_data_set(**older, StudyTime="030405", SOPInstanceUID="1.2.3.4.1"))
    )
    (folder / "2.dcm").write_bytes(
        make_instance(make_data_set(**older, StudyTime="030400", SOPInstanceUID="1.2.3.4.2"))
    )
    (folder / "3.dcm").write_bytes(make_instance(newer))
    file = tmp_path_factory.mktemp("out") / "out.duckdb"
    assert run("export", folder, "--to", file).exit_code == 0
    return file


def sample(name: str) -> str:
    return (QUERIES / f"{name}.sql").read_text()


def test_the_newest_studies_are_found(file: Path) -> None:
    result = run("query", "-", "--from", file, "--format", "json", stdin=sample("newest-studies"))
    assert result.exit_code == 0, result.output
    newest = {"PatientID": "P^2", "StudyInstanceUID": "1.2.4", "InstanceCount": 1}
    older = {"PatientID": "1CT1", "StudyInstanceUID": "1.2.3", "InstanceCount": 2}
    # Without a time the CONCAT is NULL, which BigQuery sorts last when the order is descending.
    assert json.loads(result.stdout) == [
        {"StudyDateTime": "2025-01-02 03:04:00", **older},
        {"StudyDateTime": None, **newest},
    ]


def test_the_dicomweb_paths_of_a_patient_are_found(file: Path) -> None:
    result = run("query", sample("dicomweb-paths"), "--from", file, "--format", "csv")
    assert sorted(result.stdout.splitlines()) == [
        "/dicomWeb/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.1",
        "/dicomWeb/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.2",
        "DICOMwebPath",
    ]


def test_the_files_of_a_cohort_are_listed_for_copies(tmp_path: Path) -> None:
    folder, file = tmp_path / "the store", tmp_path / "out.duckdb"
    (folder / "a").mkdir(parents=True)
    for number, modality in ((1, "CT"), (2, "CT"), (3, "MR"), (4, "CT")):
        path = folder / "a" / f"{number} %.dcm"
        path.write_bytes(make_instance(SOPInstanceUID=f"1.{number}", Modality=modality))
    assert run("watch", folder, "--to", file, "--once").exit_code == 0
    (folder / "a" / "4 %.dcm").unlink()
    assert run("watch", folder, "--to", file, "--once").exit_code == 0
    result = run("query", sample("cohort-files"), "--from", file, "--format", "csv", "--no-header")
    listed = result.stdout.splitlines()
    assert listed == [(folder / "a" / f"{number} %.dcm").as_uri() for number in (1, 2)]
    assert all(Path(unquote(uri.removeprefix("file://"))).is_file() for uri in listed)


def test_a_private_element_is_found(file: Path) -> None:
    result = run("query", sample("private-element"), "--from", file, "--format", "json")
    assert json.loads(result.stdout) == [{"Data": ["CT01"]}]


def test_text_is_a_table(file: Path) -> None:
    result = run("query", "SELECT PatientID, COUNT(*) AS n FROM dicom GROUP BY PatientID ORDER BY n", "--from", file)
    assert result.stdout.splitlines() == ["PatientID  n", "---------  -", "P^2        1", "1CT1       2", "(2 rows)"]


def test_csv_has_json_for_what_is_nested(file: Path) -> None:
    sql = "SELECT OtherElements, PatientName FROM dicom WHERE StudyInstanceUID = '1.2.4'"
    result = run("query", sql.replace(", PatientName", ""), "--from", file, "--format", "csv")
    [[header], [value]] = csv.reader(io.StringIO(result.stdout))
    assert header == "OtherElements"
    assert {"Tag": "Tag_00091002", "Data": ["CT01"]} in json.loads(value)


def test_no_rows_are_no_rows(file: Path) -> None:
    sql = "SELECT PatientID FROM dicom WHERE PatientID = 'none'"
    assert json.loads(run("query", sql, "--from", file, "--format", "json").stdout) == []
    assert run("query", sql, "--from", file, "--format", "csv").stdout == "PatientID\n"
    assert "(0 rows)" in run("query", sql, "--from", file).stdout


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT PatientNam FROM dicom", "PatientNam"),
        ("SELECT * FROM nothing", "nothing"),
        ("SELEC 1", "line 1, column 7"),
        ("DROP TABLE dicom", "Only one SELECT"),
    ],
)
def test_a_mistake_in_the_query_is_told(file: Path, sql: str, message: str) -> None:
    result = run("query", sql, "--from", file)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no database, and long enough to be taken for none")
    result = run("query", "SELECT 1", "--from", tmp_path / "a.txt")
    assert result.exit_code == 2
    assert "is not a DuckDB file" in result.stderr


@pytest.mark.parametrize(
    "comment", ["-- a comment", "--a comment", "--comment", "--", "-- from=x", "--rows=all of them"]
)
def test_sql_may_begin_with_a_comment(comment: str, file: Path) -> None:
    sql = f"{comment}\nSELECT COUNT(*) AS n FROM dicom"
    for arguments in ((sql, "--from", file), ("--from", file, sql), ("--from", file, "--", sql)):
        result = run("query", *arguments, "--format", "csv") if "--" not in arguments else run("query", *arguments)
        assert result.exit_code == 0, result.output
        assert "3" in result.stdout.split()


def test_the_value_of_an_option_is_not_taken_for_sql(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, option in enumerate((("--output", "-- my rows.csv"), ("--output=-- my rows.csv",))):
        result = run("query", f"SELECT {number} AS n", "--from", file, *option)
        assert result.exit_code == 0, result.output
        assert (tmp_path / "-- my rows.csv").read_text().split() == ["n", str(number)]


def test_a_misspelt_option_before_sql_is_not_taken_for_a_comment(file: Path) -> None:
    result = run("query", "--fromat", "csv", "SELECT 1", "--from", file)
    assert result.exit_code == 2
    assert "'--format'" in result.stderr

"""BigQuery's SQL over a DuckDB file."""

# ruff: noqa: S608 - the SQL is the tests' own

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, cast

import duckdb
import pytest

from dicom_export.adapters.local.duckdb.query import run_query
from dicom_export.errors import FailedPrecondition, InvalidArgument, NotFound

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "[{'Tag': 'Tag_00091002', 'Data': ['x', 'y']}, {'Tag': 'Tag_00091010', 'Data': ['z']}]"
CREATE = """
CREATE TABLE dicom (
    StudyInstanceUID VARCHAR, SeriesInstanceUID VARCHAR, SOPInstanceUID VARCHAR, PatientID VARCHAR, StudyDate DATE,
    StudyTime TIME, "Rows" BIGINT, OtherElements STRUCT(Tag VARCHAR, "Data" VARCHAR[])[], LastUpdated TIMESTAMPTZ, Metadata JSON
)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "my-project.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(CREATE)
        connection.execute(
            "INSERT INTO dicom VALUES "
            f"('1', '1.1', '1.1.1', 'p', '2020-01-02', '10:11:12', 512, {OTHER}, '2020-01-02 03:04:05Z', "
            '\'{"00100020": {"Value": ["p"]}}\'), '
            "('1', '1.1', '1.1.2', 'p', NULL, '09:00:00', 256, [], NULL, NULL), "
            "('2', '2.1', NULL, 'q', '2021-01-01', '00:00:00', NULL, [], NULL, NULL)"
        )
        connection.execute('CREATE SCHEMA imaging; CREATE TABLE imaging.dicom AS SELECT 7 AS "Rows"')
        connection.execute(
            'CREATE SCHEMA "my-project"; CREATE TABLE "my-project"."my-project".dicom AS SELECT 8 AS "Rows"'
        )
    return file


def rows(sql: str, file: Path) -> list[tuple[Any, ...]]:
    return list(run_query(sql, file).rows)


def test_the_documented_path_query_runs_unchanged(file: Path) -> None:
    result = run_query(
        "SELECT CONCAT('/dicomWeb/studies/', StudyInstanceUID, '/series/', SeriesInstanceUID, '/instances/', SOPInstanceUID) "
        "AS DICOMwebPath FROM dicom WHERE PatientID = 'p' ORDER BY 1",
        file,
    )
    assert result.columns == ("DICOMwebPath",)
    assert list(result.rows) == [
        ("/dicomWeb/studies/1/series/1.1/instances/1.1.1",),
        ("/dicomWeb/studies/1/series/1.1/instances/1.1.2",),
    ]


def test_the_documented_newest_studies_query_runs_unchanged(file: Path) -> None:
    sql = (
        "SELECT MIN(CONCAT(StudyDate, ' ', StudyTime)) AS StudyDateTime, MIN(PatientID) AS PatientID, StudyInstanceUID, "
        "COUNT(*) AS InstanceCount FROM dicom GROUP BY StudyInstanceUID ORDER BY StudyDateTime DESC LIMIT 20"
    )
    assert rows(sql, file) == [("2021-01-01 00:00:00", "q", "2", 1), ("2020-01-02 10:11:12", "p", "1", 2)]


def test_the_documented_private_element_query_runs_unchanged(file: Path) -> None:
    sql = "SELECT o.Data FROM dicom, UNNEST(OtherElements) o WHERE o.Tag = 'Tag_00091002'"
    assert rows(sql, file) == [(["x", "y"],)]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("dicom", [None, 256, 512]),
        ("main.dicom", [None, 256, 512]),
        ("`my-project.main.dicom`", [None, 256, 512]),
        ("my-project.main.dicom", [None, 256, 512]),
        ("`my-project`.imaging.dicom", [7]),
        ("imaging.dicom", [7]),
        ("`my-project.my-project.dicom`", [8]),
        ("`my-project`.dicom", [8]),
    ],
)
def test_a_table_is_named_as_in_bigquery(file: Path, table: str, expected: list[int | None]) -> None:
    assert rows(f"SELECT t.Rows FROM {table} AS t ORDER BY 1", file) == [(value,) for value in expected]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CONCAT('a', SOPInstanceUID)", [None, "a1.1.1", "a1.1.2"]),
        ("CONCAT(`Rows`, '/', StudyDate)", [None, "512/2020-01-02", None]),
        ("FORMAT_DATE('%Y%m', StudyDate)", ["202101", "202001", None]),
        ("EXTRACT(YEAR FROM StudyDate)", [2021, 2020, None]),
        ("ARRAY_LENGTH(OtherElements)", [0, 2, 0]),
        ("OtherElements[SAFE_OFFSET(0)].Data[SAFE_OFFSET(1)]", [None, "y", None]),
        ("EXISTS(SELECT 1 FROM UNNEST(OtherElements) o WHERE 'z' IN UNNEST(o.Data))", [False, True, False]),
        ("JSON_VALUE(Metadata, '$.00100020.Value[0]')", [None, "p", None]),
        ("SAFE_CAST(PatientID AS INT64)", [None, None, None]),
        ("LastUpdated", [None, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), None]),
        ("StudyDate", [date(2021, 1, 1), date(2020, 1, 2), None]),
        ("`Rows` / 3", [None, 512 / 3, 256 / 3]),
    ],
)
def test_an_expression_means_what_it_means_in_bigquery(file: Path, expression: str, expected: list[object]) -> None:
    assert rows(f"SELECT {expression} AS x FROM dicom ORDER BY SOPInstanceUID", file) == [
        (value,) for value in expected
    ]


@pytest.mark.parametrize("order", ["WITH OFFSET AS k", "WITH OFFSET k"])
def test_an_offset_begins_at_zero(file: Path, order: str) -> None:
    sql = (
        f"SELECT d, k FROM dicom t, t.OtherElements o, UNNEST(o.Data) d {order} WHERE o.Tag = 'Tag_00091002' ORDER BY k"
    )
    assert rows(sql, file) == [("x", 0), ("y", 1)]
    assert rows(sql.replace("ORDER BY k", "AND k = 1"), file) == [("y", 1)]


def test_columns_without_a_name_are_numbered(file: Path) -> None:
    result = run_query(
        "SELECT COUNT(*), PatientID, MAX(`Rows`) AS m, 1, MAX(OtherElements[SAFE_OFFSET(0)]).Tag FROM dicom GROUP BY 2",
        file,
    )
    assert result.columns == ("f0_", "PatientID", "m", "f1_", "Tag")


def test_a_with_and_a_union_are_queries(file: Path) -> None:
    sql = "WITH w AS (SELECT DISTINCT PatientID FROM dicom) SELECT COUNT(*) AS n FROM w UNION ALL SELECT 5 ORDER BY n"
    assert rows(sql, file) == [(2,), (5,)]


def test_rows_are_read_while_they_are_used(file: Path) -> None:
    result = run_query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 2500)) AS n ORDER BY n", file)
    assert [n for (n,) in result.rows] == list(range(1, 2501))


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE dicom",
        "DELETE FROM dicom WHERE true",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; DELETE FROM dicom WHERE true",
        "INSERT INTO dicom (PatientID) VALUES ('x')",
        "EXPLAIN SELECT 1",
        "",
    ],
)
def test_only_a_select_runs(file: Path, sql: str, caplog: pytest.LogCaptureFixture) -> None:
    before = file.read_bytes()
    with pytest.raises(InvalidArgument, match="SELECT"):
        run_query(sql, file)
    assert file.read_bytes() == before
    assert not caplog.records


@pytest.mark.parametrize("source", ["read_csv('/etc/passwd')", "`/etc/passwd`", "glob('/*')"])
def test_no_other_file_is_read(file: Path, source: str) -> None:
    with pytest.raises(InvalidArgument):
        rows(f"SELECT * FROM {source}", file)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT a FROM dicom\nWHERE (a = 1 AND", "at line 2, column 16"),
        ("SELECT 'a", "not closed"),
        ("SELECT PatientID,\n  Nope FROM dicom", r"Nope.*\(line 2, column 3\)"),
        ("SELECT * FROM nope", r"nope.*\(line 1, column 15\)"),
        ("SELECT NOPE(1)", r"(?i)nope.*\(line 1, column 8\)"),
        ("SELECT PatientID + 1 FROM dicom", r"\+ cannot take STRING and INT64 \(line 1, column 8\): use CAST"),
        ("SELECT PatientID FROM dicom GROUP BY 1, 7", "no column 7"),
        ("SELECT PatientID FROM dicom WHERE PatientID = @patient", "the parameter @patient"),
        ("SELECT PatientID, COUNT(*) AS patientid FROM dicom GROUP BY 1", "the same name: patientid"),
    ],
)
def test_a_mistake_is_told_with_its_place(file: Path, sql: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        rows(sql, file)


def test_no_value_is_quoted_in_an_error(file: Path) -> None:
    with pytest.raises(
        InvalidArgument, match="not a whole number, as CAST AS INT64 takes it: SAFE_CAST gives NULL"
    ) as caught:
        rows("SELECT CAST(CONCAT(PatientID, '-secret') AS INT64) FROM dicom", file)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "duckdb_expression"),
    [
        ("CAST(x AS INT64)", "x::INT"),
        ("PARSE_DATE('%Y', x)", "strptime(x, '%Y')"),
        ("FORMAT_TIMESTAMP('%c', TIMESTAMP '2026-01-02', x)", "timezone(x, now())"),
        ("PARSE_JSON(x)", "x::JSON"),
        ("ERROR(x)", "error(x)"),
        ("REGEXP_CONTAINS(x, x)", "regexp_matches(x, x)"),
    ],
)
def test_no_value_is_quoted_in_an_error_whatever_it_looks_like(
    tmp_path: Path, expression: str, duckdb_expression: str
) -> None:
    file = tmp_path / "x.duckdb"
    for value in ("[DOE^JOHN", "BigQuery: [DOE^JOHN", "already exists read-only [DOE^JOHN"):
        file.unlink(missing_ok=True)
        with duckdb.connect(str(file)) as database:
            database.execute("CREATE TABLE t AS SELECT ? AS x", [value])
        for each, dialect in ((expression, "bigquery"), (duckdb_expression, "duckdb")):
            with pytest.raises(InvalidArgument) as error:
                list(run_query(f"SELECT {each} AS y FROM t", file, cast("Any", dialect)).rows)
            assert "DOE" not in error.value.message


@pytest.mark.parametrize(("name", "text"), [("text.duckdb", "text"), ("lines.jsonl", '{"a": 1}\n')])
def test_a_file_that_is_not_there_or_not_duckdb_is_told(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(NotFound, match="missing"):
        run_query("SELECT 1", tmp_path / "missing.duckdb")
    (tmp_path / name).write_text(text)
    with pytest.raises(FailedPrecondition, match="not a DuckDB file"):
        run_query("SELECT 1", tmp_path / name)


@pytest.mark.parametrize("name", ["temp", "it's", "example.com%3Ax", "system"])
def test_a_file_of_any_name_is_queried(file: Path, name: str) -> None:
    renamed = file.rename(file.with_name(f"{name}.duckdb"))
    project = name.replace("%3A", ":")
    assert rows(f"SELECT r.Rows FROM `{project}`.imaging.dicom r", renamed) == [(7,)]

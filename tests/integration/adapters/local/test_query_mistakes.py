"""What a query that cannot be run is answered."""

# ruff: noqa: S608 - the SQL is the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from dicom_export.adapters.local.duckdb.query import run_query
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_export.adapters.local.duckdb.query import Dialect


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("out") / "scans.duckdb"
    code = "STRUCT(CodeValue VARCHAR, CodeMeaning VARCHAR)[]"
    name = "STRUCT(Alphabetic STRUCT(FamilyName VARCHAR, GivenName VARCHAR))"
    with duckdb.connect(file) as connection:
        connection.execute(
            f"CREATE TABLE dicom (SOPInstanceUID VARCHAR, PatientName {name}, SliceThickness VARCHAR,"
            f" ConceptNameCodeSequence {code}, ContentSequence STRUCT(ConceptNameCodeSequence {code})[])"
        )
        connection.execute("INSERT INTO dicom (SOPInstanceUID) SELECT i::VARCHAR FROM range(10) t(i)")
        connection.execute("CREATE SCHEMA research; CREATE VIEW research.phantoms AS SELECT 1 AS Site")
        connection.execute("CREATE SCHEMA dicom_export; CREATE TABLE dicom_export.files (name VARCHAR)")
    return file


def mistake(sql: str, file: Path, dialect: Dialect = "bigquery") -> str:
    with pytest.raises(InvalidArgument) as caught:
        list(run_query(sql, file, dialect).rows)
    return caught.value.message


@pytest.mark.parametrize("dialect", ["bigquery", "duckdb"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT SliceThicknes FROM dicom",
        "SELECT d.sliceTickness FROM dicom d",
        "SELECT 1 FROM dicom WHERE SlicThickness = '5'",
        "SELECT COUNT(*) FROM dicom GROUP BY SliceThicknes",
        "SELECT * EXCEPT (SliceThicknes) FROM dicom",
    ],
)
def test_a_misspelt_column_gets_a_suggestion_and_its_place(file: Path, sql: str, dialect: Dialect) -> None:
    sql = sql if dialect == "bigquery" else sql.replace("EXCEPT", "EXCLUDE")
    message = mistake(sql, file, dialect)
    assert message.startswith("Column ")
    assert "(line 1, column " in message
    assert message.endswith("Did you mean SliceThickness?")


@pytest.mark.parametrize(
    ("sql", "meant"),
    [
        ("SELECT PatientName.Alphabetc FROM dicom", "Alphabetic"),
        ("SELECT d.PatientName.Alphabetic.FamlyName FROM dicom d", "FamilyName"),
        ("SELECT c.CodeValu FROM dicom, UNNEST(ConceptNameCodeSequence) c", "CodeValue"),
        ("SELECT ConceptNameCodeSequence[SAFE_OFFSET(0)].CodeValu FROM dicom", "CodeValue"),
    ],
)
def test_a_misspelt_nested_field_gets_a_suggestion(file: Path, sql: str, meant: str) -> None:
    assert mistake(sql, file).endswith(f"Did you mean {meant}?")


def test_a_nested_field_that_is_taken_for_a_column_is_found(file: Path) -> None:
    assert mistake("SELECT CodeValue FROM dicom", file) == (
        "Column CodeValue was not found (line 1, column 8). It is a nested field: "
        "ConceptNameCodeSequence.CodeValue, ContentSequence.ConceptNameCodeSequence.CodeValue"
    )


def test_a_keyword_that_no_instance_has_is_not_called_misspelt(file: Path) -> None:
    assert mistake("SELECT\n  PatientAge FROM dicom", file) == (
        "Column PatientAge was not found (line 2, column 3): no exported instance has this element"
    )


def test_a_keyword_of_the_json_schema_is_told_how_to_read_it(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "json.duckdb") as connection:
        connection.execute("CREATE TABLE dicom (SOPInstanceUID VARCHAR, Metadata JSON)")
        connection.execute("""INSERT INTO dicom VALUES ('1', '{"00080060": {"vr": "CS", "Value": ["CT"]}}')""")
    advice = mistake("SELECT Modality FROM dicom", tmp_path / "json.duckdb").partition("read it with ")[2]
    assert list(run_query(f"SELECT {advice} AS x FROM dicom", tmp_path / "json.duckdb").rows) == [("CT",)]


def test_a_column_that_only_the_table_has_is_not_called_missing_from_it(file: Path) -> None:
    message = mistake("WITH w AS (SELECT SOPInstanceUID FROM dicom) SELECT SliceThickness FROM w", file)
    assert message.endswith("the table has it, but not the subquery or alias that is read there")


def test_a_view_of_a_column_that_is_gone_is_told(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "a.duckdb") as connection:
        connection.execute("CREATE TABLE dicom AS SELECT 1 AS SliceThickness, 2 AS n")
        connection.execute("CREATE VIEW thin AS SELECT SliceThickness FROM dicom")
        connection.execute("ALTER TABLE dicom DROP SliceThickness")
    assert "SliceThickness was not found" in mistake("SELECT * FROM thin", tmp_path / "a.duckdb")


def test_what_resembles_no_column_is_told_how_to_list_them(file: Path) -> None:
    assert "dicom-export columns --from FILE" in mistake("SELECT xyzzy FROM dicom", file)


@pytest.mark.parametrize("table", ["dicm", "main.dicm", "scans.main.dicm", "`my-project.research.dicm`"])
def test_a_misspelt_table_is_answered_with_those_that_there_are(file: Path, table: str) -> None:
    message = mistake(f"SELECT * FROM {table}", file)
    assert message.startswith("Table ")
    assert "scans.duckdb' has: dicom, research.phantoms" in message
    assert "dicom_export" not in message


def test_a_misspelt_alias_gets_a_suggestion(file: Path) -> None:
    message = mistake("SELECT studis.SOPInstanceUID FROM dicom AS studies", file)
    assert message.endswith("(line 1, column 8). Did you mean studies?")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM [my-project:imaging.dicom]",
        "SELECT COUNT(*) FROM [project1:imaging.dicom] WHERE Modality = 'CT'",
        "SELECT * FROM [imaging.dicom] LIMIT 5",
        "SELECT a.x FROM [p:d.t] a JOIN EACH [p:d.u] b ON a.x = b.x",
        "SELECT * FROM TABLE_DATE_RANGE([p:d.t_], TIMESTAMP('2026-01-01'), CURRENT_TIMESTAMP())",
        "#legacySQL\nSELECT 1",
    ],
)
def test_legacy_sql_is_answered_with_one_sentence(file: Path, sql: str) -> None:
    message = mistake(sql, file)
    assert message.startswith("Legacy SQL, such as [project:dataset.table], cannot be run: ")
    assert "\n" not in message


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '[p:d.t]' AS x",
        "#standardSQL\nSELECT [1, 2][OFFSET(0)] AS x -- FROM [p:d.t]",
        "SELECT x FROM UNNEST(['a:b.c']) AS x",
    ],
)
def test_brackets_that_googlesql_has_are_not_taken_for_legacy_sql(file: Path, sql: str) -> None:
    assert len(list(run_query(sql, file).rows)) == 1


@pytest.mark.parametrize("dialect", ["bigquery", "duckdb"])
def test_a_value_that_fails_late_is_a_mistake_that_does_not_quote_it(file: Path, dialect: Dialect) -> None:
    """DuckDB's error reaches us by way of Arrow when the first rows have been read."""
    text, number, rows = ("STRING", "INT64", "UNNEST(GENERATE_ARRAY(0, 200000)) AS n")
    if dialect == "duckdb":
        text, number, rows = ("VARCHAR", "BIGINT", "range(200000) t(n)")
    sql = f"SELECT CAST(IF(n = 190000, 'secret', CAST(n AS {text})) AS {number}) AS x FROM {rows}"
    assert "secret" not in mistake(sql, file, dialect)


def test_a_date_out_of_range_is_refused(file: Path) -> None:
    assert "before year 1" in mistake("SELECT DATE '0001-01-01' - 400 AS d", file, "duckdb")

"""DuckDB's own SQL, run unchanged and as harmless as BigQuery's."""

# ruff: noqa: S608 - the SQL is the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from dicom_export.adapters.local.duckdb.query import run_query
from dicom_export.errors import InvalidArgument
from support.command_line import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "scans.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute("CREATE TABLE dicom AS SELECT ['CT', 'MR'][i] AS Modality, i AS n FROM range(1, 3) t(i)")
    return file


def rows(sql: str, file: Path) -> list[tuple[Any, ...]]:
    return list(run_query(sql, file, "duckdb").rows)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("FROM dicom ORDER BY n", [("CT", 1), ("MR", 2)]),
        ("SELECT ['a', 'b'][1] AS x, 7 // 2 AS y", [("a", 3)]),
        ("PIVOT dicom ON Modality USING sum(n::INT)::INT", [(1, 2)]),
        ("SELECT max(COLUMNS('n')) AS n FROM scans.main.dicom", [(2,)]),
        ("VALUES (1); -- and nothing else", [(1,)]),
    ],
)
def test_duckdbs_own_sql_runs_unchanged(file: Path, sql: str, expected: list[tuple[Any, ...]]) -> None:
    assert rows(sql, file) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE dicom",
        "DELETE FROM dicom",
        "INSERT INTO dicom VALUES ('x', 1)",
        "WITH a AS (INSERT INTO dicom VALUES ('x', 1) RETURNING n) SELECT * FROM a",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; DELETE FROM dicom",
        "SET threads = 1",
        "COPY dicom TO 'dicom.csv'",
        "ATTACH 'other.duckdb'",
        "INSTALL spatial",
        "",
    ],
)
def test_only_a_select_runs(file: Path, sql: str) -> None:
    before = file.read_bytes()
    with pytest.raises(InvalidArgument, match="Only one SELECT can be run"):
        rows(sql, file)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "source", ["read_csv('/etc/passwd')", "'/etc/passwd'", "glob('/*')", "read_text('/etc/passwd')"]
)
def test_no_other_file_is_read(file: Path, source: str) -> None:
    with pytest.raises(InvalidArgument):
        rows(f"SELECT * FROM {source}", file)


def test_a_parameter_is_refused_by_name(file: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"the parameter \$patient"):
        rows("SELECT * FROM dicom WHERE Modality = $patient", file)


def test_a_mistake_is_shown_where_duckdb_found_it(file: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"LINE 2: WHERE FROM"):
        rows("SELECT n FROM dicom\nWHERE FROM", file)


def test_the_dialect_is_an_option(file: Path) -> None:
    result = run("query", "FROM dicom SELECT count(*)::INT AS n", "--from", file, "--dialect", "duckdb")
    assert result.stdout.splitlines() == ["n", "-", "2", "(1 row)"]
    refused = run("query", "SELECT n AS x FROM dicom QUALIFY 7 // 2 = 3", "--from", file)
    assert refused.exit_code == 2

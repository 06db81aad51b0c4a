"""What BigQuery's documentation says that an expression gives, `query` gives."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dicom_export.adapters.local.bigquery_sql import translate
from dicom_export.adapters.local.bigquery_sql.aggregation import AGGREGATE_NAMES
from dicom_export.adapters.local.bigquery_sql.macros import define
from dicom_export.adapters.local.bigquery_sql.parsing import parse
from dicom_export.adapters.local.bigquery_sql.reference import reference
from dicom_export.adapters.local.bigquery_sql.signatures import overloads
from dicom_export.adapters.local.query import run_query
from dicom_export.errors import InvalidArgument
from query_answers import ERROR, KINDS, REFUSED

ROWS = [pytest.param(sql, answer, id=f"{kind}: {sql}") for kind, rows in KINDS.items() for sql, answer in rows]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("answers") / "file.duckdb"
    duckdb.connect(file).close()
    return file


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float):
        both_nan = isinstance(found, float) and math.isnan(found) and math.isnan(expected)
        return type(found) is float and (both_nan or math.isclose(found, expected, rel_tol=1e-15) or found == expected)
    return type(found) is type(expected) and bool(found == expected)


@pytest.mark.parametrize(("sql", "answer"), ROWS)
def test_an_expression_gives_what_bigquery_documents(file: Path, sql: str, answer: object) -> None:
    if answer is REFUSED:
        with pytest.raises(InvalidArgument):
            run_query(f"SELECT {sql}", file)
    elif answer is ERROR:
        with pytest.raises(InvalidArgument):
            list(run_query(f"SELECT {sql}", file).rows)
    else:
        [(found,)] = run_query(f"SELECT {sql}", file).rows
        assert same(found, answer), f"{found!r} instead of {answer!r}"


def test_every_function_on_the_list_has_a_documented_answer() -> None:
    answered = {
        name.upper()
        for rows in KINDS.values()
        for sql, answer in rows
        if answer is not REFUSED
        for name in re.findall(r"\b(\w+)\(", sql)
    }
    assert not {*overloads(), *AGGREGATE_NAMES} - answered


def test_the_page_of_functions_is_that_of_the_tables() -> None:
    page = Path(__file__).parents[1] / "docs" / "reference" / "query-functions.md"
    assert page.read_text() == reference()


@pytest.mark.parametrize("kind", KINDS)
def test_the_type_that_is_known_is_the_type_that_duckdb_gives(kind: str) -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for sql, answer in KINDS[kind]:
        if answer is REFUSED:
            continue
        select = f"SELECT {sql}"
        translation = translate(parse(select), select, connection, project="p", catalog="memory")
        if "bigquery_sha512" in translation.required and kind == "text":
            define(connection, translation.required)
        [known] = translation.columns.values()
        [given] = connection.sql(translation.sql).types
        [expected] = connection.sql(f"SELECT CAST(NULL AS {known.duckdb})").types
        assert known.name == "ANY" or str(given) == str(expected), sql


@pytest.mark.parametrize("content", ["", "a", "x" * 111, "y" * 112, "é" * 64, "z" * 300])
def test_sha512_is_that_of_the_standard(file: Path, content: str) -> None:
    [(found,)] = run_query(f"SELECT SHA512('{content}')", file).rows
    assert found == hashlib.sha512(content.encode()).digest()

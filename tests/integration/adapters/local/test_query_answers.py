"""What BigQuery's documentation says that an expression gives, `query` gives."""

# ruff: noqa: S608 - the SQL is the tests' own

from __future__ import annotations

import contextlib
import hashlib
import math
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_export.adapters.local.bigquery_sql import translate
from dicom_export.adapters.local.bigquery_sql.aggregation import AGGREGATE_NAMES
from dicom_export.adapters.local.bigquery_sql.macros import define
from dicom_export.adapters.local.bigquery_sql.parsing import parse
from dicom_export.adapters.local.bigquery_sql.reference import reference
from dicom_export.adapters.local.bigquery_sql.signatures import overloads
from dicom_export.adapters.local.duckdb.query import run_query
from dicom_export.errors import InvalidArgument
from support.query_answers import ERROR, KINDS, REFUSED

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
    page = Path(__file__).parents[4] / "docs" / "reference" / "query-functions.md"
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


@settings(max_examples=15, deadline=None)
@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
def test_a_number_is_read_back_from_its_text(file: Path, numbers: list[float]) -> None:
    listed = ", ".join(map(repr, numbers))
    sql = f"SELECT LOGICAL_AND(x = CAST(CAST(x AS STRING) AS FLOAT64)) FROM UNNEST([{listed}]) AS x"
    assert list(run_query(sql, file).rows) == [(True,)]


@settings(max_examples=15, deadline=None)
@given(
    content=st.text("abcé", max_size=6), start=st.integers(-8, 8), length=st.integers(0, 8), offset=st.integers(-7, 7)
)
def test_positions_are_counted_as_documented(file: Path, content: str, start: int, length: int, offset: int) -> None:
    first = start - 1 if start > 0 else 0 if start == 0 else max(len(content) + start, 0)
    sql = (
        f"SELECT SUBSTR('{content}', {start}, {length}), SPLIT('{content}', '')[SAFE_OFFSET({offset})], "
        f"ARRAY(SELECT x FROM UNNEST(SPLIT('{content}', '')) AS x WITH OFFSET AS i WHERE i <= {offset} ORDER BY i)"
    )
    items = list(content) or [""]
    item = items[offset] if 0 <= offset < len(items) else None
    assert list(run_query(sql, file).rows) == [(content[first : first + length], item, items[: max(offset + 1, 0)])]


EDGES = {
    "STRING": ["''", "'é%_\\\\\\\\'", "'9999999999999999999999'"],
    "INT64": ["-9223372036854775807", "9223372036854775807", "0"],
    "FLOAT64": ["1e308", "CAST('nan' AS FLOAT64)", "CAST('-inf' AS FLOAT64)"],
    "NUMERIC": ["NUMERIC '99999999999999999999999999999.999999999'", "NUMERIC '0'"],
    "BOOL": ["TRUE", "FALSE"],
    "BYTES": ["b'\\xff'", "b''"],
    "DATE": ["DATE '0001-01-01'", "DATE '9999-12-31'"],
    "TIME": ["TIME '23:59:59.999999'"],
    "DATETIME": ["DATETIME '0001-01-01 00:00:00'", "DATETIME '9999-12-31 23:59:59'"],
    "TIMESTAMP": ["TIMESTAMP '0001-01-01 00:00:00'", "TIMESTAMP '9999-12-31 23:59:59'"],
    "JSON": ["JSON 'null'", 'JSON \'{"a": [1e400, "x"]}\''],
    "INTERVAL": ["INTERVAL 9999999 DAY", "INTERVAL -9999999 MICROSECOND"],
    "PART": ["DAY", "WEEK(MONDAY)", "MICROSECOND"],
    "ZONE": ["'UTC'", "'Nowhere/Land'"],
    "ARRAY<T>": ["[1, NULL]", "CAST([] AS ARRAY<STRING>)"],
    "ARRAY<STRING>": ["['a', NULL]"],
    "ARRAY<INT64>": ["[-1]"],
    "T": ["'a'", "9223372036854775807"],
    "ANY": ["STRUCT(1)", "[1.5]"],
}


@pytest.mark.parametrize("name", sorted(set(overloads()) - AGGREGATE_NAMES))
def test_no_call_ends_in_a_traceback(file: Path, name: str) -> None:
    for overload in overloads()[name]:
        for number in range(2):
            values = [EDGES[each.removesuffix("!")] for each in overload.parameters]
            arguments = ", ".join(each[number % len(each)] for each in values)
            with contextlib.suppress(InvalidArgument):
                list(run_query(f"SELECT {name}({arguments})", file).rows)

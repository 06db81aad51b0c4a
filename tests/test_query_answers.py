"""What BigQuery's documentation says that an expression gives, `query` gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from dicom_export.adapters.local.query import run_query
from dicom_export.errors import InvalidArgument
from query_answers import ERROR, KINDS, REFUSED

if TYPE_CHECKING:
    from pathlib import Path

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

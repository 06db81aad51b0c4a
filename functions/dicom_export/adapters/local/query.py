"""A query in BigQuery's SQL over a DuckDB file, which it cannot change."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import duckdb

from dicom_export.adapters.local.bigquery_sql import translate
from dicom_export.adapters.local.bigquery_sql.macros import define
from dicom_export.adapters.local.bigquery_sql.parsing import parse
from dicom_export.adapters.local.bigquery_sql.values import MARK
from dicom_export.adapters.local.catalogs import path_literal, translated
from dicom_export.adapters.local.duckdb_types import quoted
from dicom_export.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

Dialect = Literal["bigquery", "duckdb"]

_ROWS_AT_ONCE = 1000
_NAME_IN_ERROR = re.compile(r'"([^"]+)"|[Nn]ame (\S+) does')
_RESERVED = {"memory", "system", "temp"}
# A value that does not fit the query is not quoted in the error: it may be a patient's.
_VALUE_ERRORS = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)


@dataclass(frozen=True, slots=True)
class Result:
    """A query's answer: the columns' names, and the rows as they are read, each with Python values in that order.

    A RECORD is a dict, a REPEATED column a list, a TIMESTAMP a datetime in UTC, JSON is text.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


def run_query(sql: str, file: Path, dialect: Dialect = "bigquery") -> Result:
    """Run one SELECT. A table is `TABLE` of dataset `main`, `DATASET.TABLE`, or that with the file's stem before it.

    With the dialect `duckdb` the SQL runs unchanged.
    Raises InvalidArgument for a mistake in the SQL, NotFound without the file, FailedPrecondition if the file is no DuckDB
    file or is open in another process.
    """
    if not file.exists():
        raise NotFound(f"{str(file)!r} was not found")
    project = unquote(file.stem)
    catalog = f"{project}_" if project.lower() in _RESERVED else project
    script = parse(sql) if dialect == "bigquery" else None
    connection = duckdb.connect(":memory:", config={"python_enable_replacements": False})
    try:
        with _errors(sql, file):
            _attach(connection, file, catalog)
            if script:
                translation = translate(script, sql, connection, project=project, catalog=catalog)
                define(connection, translation.required)
            statement = translation.sql if script else _one_select(connection, sql)
            reader = connection.sql(statement).to_arrow_reader(_ROWS_AT_ONCE)
            _check_names(reader.schema.names)
    except BaseException:
        connection.close()
        raise
    return Result(tuple(reader.schema.names), _rows(connection, reader, sql, file))


def _one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return DuckDB's SQL if it is one SELECT: what else there is (COPY, ATTACH, SET) is refused before it runs."""
    statements = connection.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise InvalidArgument("Only one SELECT can be run: nothing is ever changed by a query")
    return sql


def _attach(connection: duckdb.DuckDBPyConnection, file: Path, catalog: str) -> None:
    """Open the file and nothing else: the query may name no other file, and may not change that."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"ATTACH {path_literal(file)} AS {quoted(catalog)} (TYPE duckdb, READ_ONLY)")
    connection.execute(f"USE {quoted(catalog)}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _rows(
    connection: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader, sql: str, file: Path
) -> Iterator[tuple[Any, ...]]:
    with connection, _errors(sql, file):
        for batch in reader:
            yield from _as_python(batch)


def _as_python(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Yield the rows. Raises InvalidArgument for a date or time that Python does not have, nor BigQuery."""
    try:
        yield from zip(*map(_values, batch.columns), strict=True)
    except (OverflowError, ValueError) as error:
        raise InvalidArgument("A date or time of the result is outside the years 1 to 9999") from error


def _values(column: pa.Array[Any]) -> list[Any]:
    values = column.to_pylist()
    return [value and _shortest(value) for value in values] if str(column.type).startswith("decimal") else values


def _shortest(number: Decimal) -> Decimal:
    """Return a NUMERIC without zeros at the end of its fraction, as BigQuery shows it."""
    plain = f"{number:f}"
    return Decimal(plain.rstrip("0").rstrip(".")) if "." in plain else number


def _check_names(columns: Sequence[str]) -> None:
    """Raise InvalidArgument for columns of one name, as BigQuery does: JSON would have only one of them."""
    times = Counter(map(str.lower, columns))
    if twice := sorted(name for name, count in times.items() if count > 1):
        raise InvalidArgument(f"Two columns of the result have the same name: {', '.join(twice)}; name them with AS")


@contextmanager
def _errors(sql: str, file: Path) -> Iterator[None]:
    try:
        yield
    except _VALUE_ERRORS as error:
        raise InvalidArgument(_value_error(str(error), file)) from error
    except duckdb.PermissionException as error:
        raise InvalidArgument(f"A query reads {str(file)!r} and no other file") from error
    except (duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
        # Behind the first line DuckDB shows the translation, which is not what the user wrote.
        text = str(error).splitlines()[0]
        raise InvalidArgument(f"The query cannot be run: {text}{_place(sql, text)}") from error
    except duckdb.Error as error:
        raise translated(error, file) from error


def _value_error(text: str, file: Path) -> str:
    """Return an error of ours as it was written into the translation; DuckDB's own may quote a value."""
    _, marked, message = text.partition(MARK)
    if marked:
        return message.partition("\n")[0] or "ERROR was called"
    return (
        f"A value in {str(file)!r} is not what the query takes it for: SAFE_CAST, SAFE_DIVIDE and SAFE.FUNCTION(…) give NULL "
        "for such a value instead"
    )


def _place(sql: str, text: str) -> str:
    """Return where the name that an error is about stands in what the user wrote, if that can be found."""
    name = _NAME_IN_ERROR.search(text)
    word = name and re.search(rf"(?<!\w){re.escape(name[1] or name[2])}(?!\w)", sql, re.IGNORECASE)
    if not word:
        return ""
    before = sql[: word.start()]
    return f" (line {before.count(chr(10)) + 1}, column {len(before) - (before.rfind(chr(10)) + 1) + 1})"

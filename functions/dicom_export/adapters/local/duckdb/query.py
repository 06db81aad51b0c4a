"""Run a query in BigQuery's SQL on a DuckDB file, which it cannot change."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import duckdb

from dicom_export.adapters.local.bigquery_sql import translate
from dicom_export.adapters.local.bigquery_sql.macros import define
from dicom_export.adapters.local.bigquery_sql.parsing import parse
from dicom_export.adapters.local.bigquery_sql.values import MARK
from dicom_export.adapters.local.duckdb.arrow_results import batches_of, python_values
from dicom_export.adapters.local.duckdb.catalogs import path_literal, translated
from dicom_export.adapters.local.duckdb.legacy_sql import check_not_legacy
from dicom_export.adapters.local.duckdb.mistakes import Queried, UnknownName, explained, place_of
from dicom_export.adapters.local.duckdb.own_sql import check_duckdb_sql
from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from dicom_export.adapters.local.bigquery_sql.parsing import Script

Dialect = Literal["bigquery", "duckdb"]

_ROWS_AT_ONCE = 1000
_NAME_IN_ERROR = re.compile(r'"([^"]+)"|[Nn]ame (\S+) does')
_RESERVED = {"memory", "system", "temp"}
# A value that does not fit the query is not quoted in the error: it may be a patient's.
_OUR_ERROR = f"Invalid Input Error: {MARK}"
_VALUE_ERRORS = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)


@dataclass(frozen=True, slots=True)
class Result:
    """A query's answer: its columns, and its rows in batches, as they are read."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(self.schema.names)

    @property
    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows as Python values: a RECORD is a dict, a REPEATED column a list, a TIMESTAMP a datetime in UTC, JSON is text."""
        for batch in self.batches:
            yield from zip(*map(python_values, batch.columns), strict=True)


def run_query(sql: str, file: Path, dialect: Dialect = "bigquery") -> Result:
    """Run one SELECT. A table is `TABLE` of dataset `main`, `DATASET.TABLE`, or that with the file's stem before it.

    With the dialect `duckdb` the SQL runs unchanged.
    Raises InvalidArgument for a mistake in the SQL, NotFound without the file, FailedPrecondition if the file is not a DuckDB
    file or is open in another process.
    """
    if not file.exists():
        raise NotFound(f"{str(file)!r} was not found")
    project = unquote(file.stem)
    catalog = f"{project}_" if project.lower() in _RESERVED else project
    if dialect == "bigquery":
        check_not_legacy(sql)
    script = parse(sql) if dialect == "bigquery" else None
    connection = duckdb.connect(":memory:", config={"python_enable_replacements": False})
    queried = Queried(sql, file, connection, catalog, is_translated=script is not None)
    try:
        with errors_of(queried):
            _attach(connection, file, catalog)
            if not script:
                check_duckdb_sql(connection, sql)
        translated_sql = translation(queried, script, project) if script else sql
        reader = opened(queried, translated_sql)
    except BaseException:
        connection.close()
        raise
    return Result(reader.schema, _batches(queried, reader))


def translation(queried: Queried, script: Script, project: str) -> str:
    """Return the query in DuckDB's SQL, once its macros are defined. Raises InvalidArgument for a mistake in the SQL."""
    with errors_of(queried):
        found = translate(script, queried.sql, queried.connection, project=project, catalog=queried.catalog)
        define(queried.connection, found.required)
        return found.sql


def opened(queried: Queried, sql: str) -> pa.RecordBatchReader:
    """Run the query, and return its batches. Raises InvalidArgument for a mistake in the SQL or in a value."""
    with errors_of(queried):
        relation = queried.connection.sql(sql)
    with _errors_of_values(queried):
        reader: pa.RecordBatchReader = relation.to_arrow_reader(_ROWS_AT_ONCE)
        _check_names(reader.schema.names)
        return reader


def _attach(connection: duckdb.DuckDBPyConnection, file: Path, catalog: str) -> None:
    """Open only this file. The query cannot open any other file, and cannot change this setting."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"ATTACH {path_literal(file)} AS {quoted(catalog)} (TYPE duckdb, READ_ONLY)")
    connection.execute(f"USE {quoted(catalog)}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _batches(queried: Queried, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    with queried.connection:
        yield from read(queried, reader)


def read(queried: Queried, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yield the batches. Raises InvalidArgument for a value that does not fit the query."""
    with _errors_of_values(queried):
        yield from batches_of(reader)


def _check_names(columns: Sequence[str]) -> None:
    """Raise InvalidArgument if two columns have the same name, as BigQuery does: JSON keeps only one of them."""
    times = Counter(map(str.lower, columns))
    if twice := sorted(name for name, count in times.items() if count > 1):
        raise InvalidArgument(f"Two columns of the result have the same name: {', '.join(twice)}; name them with AS")


@contextmanager
def errors_of(queried: Queried) -> Iterator[None]:
    """Translate the errors of a query that is being understood."""
    file = str(queried.file)
    try:
        yield
    except UnknownName as error:
        raise InvalidArgument(error.sentence(error.unknown, queried)) from error
    except _VALUE_ERRORS as error:
        if "read-only" in str(error):
            raise InvalidArgument("Only one SELECT can be run: nothing is ever changed by a query") from error
        raise InvalidArgument(_value_error(str(error), queried.file)) from error
    except duckdb.PermissionException as error:
        raise InvalidArgument(f"A query can read only {file!r}") from error
    except (duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
        if known := explained(error, queried):
            raise InvalidArgument(known) from error
        # After the first line DuckDB shows the place in what it was given.
        text = str(error).splitlines()[0]
        shown = text + _place(queried.sql, text) if queried.is_translated else str(error)
        raise InvalidArgument(f"The query cannot be run: {shown}") from error
    except duckdb.Error as error:
        raise translated(error, queried.file) from error


@contextmanager
def _errors_of_values(queried: Queried) -> Iterator[None]:
    """Translate the errors of a running query. Its SQL is valid, so the cause is a value, which the error may quote."""
    with errors_of(queried):
        try:
            yield
        except duckdb.PermissionException:
            raise
        except (duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise InvalidArgument(_value_error(str(error), queried.file)) from error


def _value_error(text: str, file: Path) -> str:
    """Return the text that the translation put into the SQL for this error. DuckDB's own text may quote a value."""
    if text.startswith(_OUR_ERROR):
        return text.removeprefix(_OUR_ERROR).partition("\n")[0] or "ERROR was called"
    return (
        f"A value in {str(file)!r} is not what the query takes it for: SAFE_CAST, SAFE_DIVIDE and SAFE.FUNCTION(…) give NULL "
        "for such a value instead"
    )


def _place(sql: str, text: str) -> str:
    """Return the place, in the user's SQL, of the name in an error, if it can be found."""
    name = _NAME_IN_ERROR.search(text)
    return place_of(name[1] or name[2], sql) if name else ""

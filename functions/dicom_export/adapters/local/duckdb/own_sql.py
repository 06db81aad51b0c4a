"""Check DuckDB's own SQL: a query may use a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duckdb import StatementType

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_QUERIES = (StatementType.SELECT, StatementType.EXPLAIN, StatementType.MULTI)  # MULTI is what PIVOT becomes


def check_duckdb_sql(connection: DuckDBPyConnection, sql: str) -> None:
    """Raise InvalidArgument unless the SQL is one query without parameters. The connection cannot change the file in any case."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in _QUERIES:
        raise InvalidArgument("Only one SELECT can be run: nothing is ever changed by a query")
    if parameters := statements[0].named_parameters:
        raise InvalidArgument(f"The query has the parameter ${min(parameters)}: write its value in its place")

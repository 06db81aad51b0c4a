"""BigQuery's SQL as DuckDB's: sqlglot reads it, and this package says what each part becomes.

`parsing` makes a tree; `queries` and `sources` translate SELECT and FROM; `names` says which column a name means; `expressions`,
`operators`, `invocations` and `aggregation` translate expressions, with their types; the tables in `functions` list the functions.
What is on none of these lists is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.adapters.local.bigquery_sql import invocations, operators
from dicom_export.adapters.local.bigquery_sql.casts import cast
from dicom_export.adapters.local.bigquery_sql.catalog import Catalog
from dicom_export.adapters.local.bigquery_sql.expressions import Translator, type_of
from dicom_export.adapters.local.bigquery_sql.names import Scope, Source, Use
from dicom_export.adapters.local.bigquery_sql.queries import translate_query
from dicom_export.adapters.local.bigquery_sql.values import NULL_VALUE, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection
    from sqlglot import exp

    from dicom_export.adapters.local.bigquery_sql.parsing import Script
    from dicom_export.adapters.local.bigquery_sql.types import Type

__all__ = ["Translation", "invocations", "operators", "translate"]


@dataclass(frozen=True, slots=True)
class Translation:
    """A query in DuckDB's SQL, its columns, and the macros that it calls."""

    sql: str
    columns: Mapping[str, Type]
    required: frozenset[str]


def translate(script: Script, sql: str, connection: DuckDBPyConnection, *, project: str, catalog: str) -> Translation:
    """Return a SELECT in DuckDB's SQL; `sql` is its text. The tables are those of the attached catalog.

    Raises InvalidArgument, with line and column, for a name, a type or a function that is unknown.
    """
    translator = Translator(sql, Catalog(connection, catalog, project), Scope(), translate_query)
    for declaration in script.declarations:
        _declare(translator, declaration)
    table = translate_query(translator, script.query, Use.SHOWN)
    return Translation(table.sql, table.columns, frozenset(translator.required))


def _declare(translator: Translator, declaration: exp.DeclareItem) -> None:
    """Put the variables of a DECLARE around all: a column of the same name hides one."""
    kind = declaration.args.get("kind")
    default = declaration.args.get("default")
    value = translator.value(default) if default else NULL_VALUE
    if kind is not None:
        target = type_of(kind)
        value = Value(cast(value, target), target, value.constant)
    for name in declaration.this:
        translator.scope.sources.append(Source(None, {name.name: value}))

"""BigQuery's SQL as a tree: sqlglot reads the syntax, and leaves the functions to us."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import ParseError, SqlglotError

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# It warns of what it cannot parse, which is then refused: once is enough.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

OWN_SYNTAX = ("ARRAY", "CAST", "EXTRACT", "NORMALIZE", "SAFE_CAST", "STRING_AGG")
"""Functions whose arguments are no plain list."""
HINT = "; --dialect duckdb runs DuckDB's own SQL unchanged"
_INTERNAL = re.compile(r" for <class| but got <")


class _Syntax(BigQuery):
    """BigQuery without sqlglot's translations of functions: each keeps its name, and `functions` says what it becomes."""

    class Parser(BigQuery.Parser):  # type: ignore[misc,valid-type]  # sqlglot makes it when it is imported
        FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {
            name: parser for name, parser in BigQuery.Parser.FUNCTION_PARSERS.items() if name in OWN_SYNTAX
        }


@dataclass(frozen=True, slots=True)
class Script:
    """A SELECT, and the DECLAREs before it."""

    query: exp.Query
    declarations: tuple[exp.DeclareItem, ...] = ()


def parse(sql: str) -> Script:
    """Return the one SELECT that the text is, with its variables.

    Raises InvalidArgument, with line and column, for anything else.
    """
    try:
        statements = [statement for statement in sqlglot.parse(sql, read=_Syntax) if statement]
    except ParseError as error:
        first = error.errors[0]
        place = f"at line {first['line']}, column {first['col']}, near {first['highlight']!r}"
        description = _INTERNAL.split(str(first["description"]))[0]
        raise InvalidArgument(f"The SQL is wrong {place}: {description}") from error
    except SqlglotError as error:
        raise InvalidArgument("The SQL is wrong: a quotation mark, a comment or a bracket is not closed") from error
    match statements:
        case []:
            raise InvalidArgument("The query is empty: write a query, such as SELECT COUNT(*) FROM dicom")
        case [*declares, exp.Query() as query] if all(isinstance(each, exp.Declare) for each in declares):
            _check_parameters(query)
            return Script(query, tuple(item for each in declares for item in each.expressions))
    raise InvalidArgument("Only one SELECT can be run: nothing is ever changed by a query")


def _check_parameters(query: exp.Query) -> None:
    if parameter := query.find(exp.Parameter, exp.Placeholder):
        raise InvalidArgument(f"The query has the parameter {parameter.sql('bigquery')}: write its value in its place")


def place(node: exp.Expr, sql: str) -> str:
    """Return where in the SQL an expression stands, ` (line 2, column 3)`, or nothing if that is not known."""
    start = min((found for found in _starts(node) if found is not None), default=None)
    if start is None:
        return ""
    before = sql[:start]
    return f" (line {before.count(chr(10)) + 1}, column {len(before) - (before.rfind(chr(10)) + 1) + 1})"


def _starts(node: exp.Expr) -> Iterator[int | None]:
    for each in node.walk():
        yield each.meta.get("start")

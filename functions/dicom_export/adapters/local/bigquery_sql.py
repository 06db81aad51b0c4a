"""BigQuery's SQL as DuckDB's, where sqlglot's translation alone gives something else."""

from __future__ import annotations

import logging
from functools import reduce
from itertools import count

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from dicom_export.errors import InvalidArgument

# It warns of what it cannot parse, which is then refused: once is enough.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


def to_duckdb(sql: str, *, project: str, catalog: str) -> str:
    """Return a SELECT in DuckDB's SQL. Tables of the project, named or understood, are looked up in the attached catalog.

    Raises InvalidArgument, with line and column, for what is not one SELECT.
    """
    query = _parsed(sql)
    for table in query.find_all(exp.Table):
        if table.db and table.catalog in {"", project}:
            table.set("catalog", exp.to_identifier(catalog, quoted=True))
    for offset in _offsets(query):
        _count_from_zero(query, offset)
    _name_columns(query)
    return query.transform(_as_bigquery_concatenates).sql("duckdb", identify=True)


def _parsed(sql: str) -> exp.Query:
    try:
        statements = [statement for statement in sqlglot.parse(sql, read="bigquery") if statement]
    except ParseError as error:
        first = error.errors[0]
        place = f"at line {first['line']}, column {first['col']}, near {first['highlight']!r}"
        description = str(first["description"]).partition(" for <class")[0]
        raise InvalidArgument(f"The SQL is wrong {place}: {description}") from error
    except SqlglotError as error:
        raise InvalidArgument("The SQL is wrong: a quotation mark, a comment or a bracket is not closed") from error
    match statements:
        case [exp.Query() as query]:
            _check_parameters(query)
            return query
    raise InvalidArgument("Only one SELECT can be run: nothing is ever changed by a query")


def _check_parameters(query: exp.Query) -> None:
    if parameter := query.find(exp.Parameter, exp.Placeholder):
        raise InvalidArgument(f"The query has the parameter {parameter.sql('bigquery')}: write its value in its place")


def _offsets(query: exp.Expr) -> set[str]:
    """Return the names of UNNEST(…) WITH OFFSET AS name."""
    offsets = (unnest.args.get("offset") for unnest in query.find_all(exp.Unnest))
    return {offset.name for offset in offsets if isinstance(offset, exp.Identifier)}


def _count_from_zero(query: exp.Expr, offset: str) -> None:
    """Have an offset begin at 0: DuckDB's ordinality, which sqlglot puts in its place, begins at 1."""
    for column in list(query.find_all(exp.Column)):
        if column.name == offset and not column.table:
            from_zero = exp.paren(exp.Sub(this=column.copy(), expression=exp.Literal.number(1)))
            is_selected = isinstance(column.parent, exp.Select) and column.arg_key == "expressions"
            column.replace(exp.alias_(from_zero, offset) if is_selected else from_zero)


def _name_columns(query: exp.Query) -> None:
    """Name the columns as BigQuery does: a field by its last part, what has no name `f0_` and so on."""
    numbers = count()
    for column in query.selects:
        if isinstance(column, exp.Alias | exp.Column) or column.is_star:
            continue
        name = column.name if isinstance(column, exp.Dot) else f"f{next(numbers)}_"
        column.replace(exp.alias_(column.copy(), name, quoted=True))


def _as_bigquery_concatenates(node: exp.Expr) -> exp.Expr:
    """Return CONCAT as `||` of texts: in BigQuery it takes dates and numbers too, and one NULL makes the whole NULL."""
    if not isinstance(node, exp.Concat):
        return node
    texts = [part if part.is_string else exp.cast(part, exp.DataType.Type.TEXT) for part in node.expressions]
    return exp.paren(reduce(lambda left, right: exp.DPipe(this=left, expression=right), texts))

"""SELECT, WITH, UNION and what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from dicom_export.adapters.local.bigquery_sql import types
from dicom_export.adapters.local.bigquery_sql.aggregation import one_ordered, window
from dicom_export.adapters.local.bigquery_sql.expressions import Translator, coerced, path_of
from dicom_export.adapters.local.bigquery_sql.names import Scope, Source, Table, Use, fields
from dicom_export.adapters.local.bigquery_sql.operators import struct_value
from dicom_export.adapters.local.bigquery_sql.sources import from_clause
from dicom_export.adapters.local.bigquery_sql.values import Value
from dicom_export.adapters.local.duckdb.mistakes import Unknown, UnknownName, column_not_found, place_of
from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.adapters.local.bigquery_sql.types import Type

_SET_OPERATIONS: dict[type[exp.Expr], str] = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}
_GROUPINGS: dict[type[exp.Expr], str] = {exp.Rollup: "ROLLUP", exp.Cube: "CUBE", exp.GroupingSets: "GROUPING SETS"}
_CLAUSES = {
    "with_", "kind", "hint", "distinct", "expressions", "limit", "operation_modifiers", "from_", "joins", "where",
    "group", "having", "qualify", "windows", "order", "offset", "laterals", "match", "exclude",
}  # fmt: skip
_OF_QUERY = {
    "with_",
    "this",
    "expression",
    "distinct",
    "by_name",
    "side",
    "kind",
    "on",
    "order",
    "limit",
    "offset",
    "expressions",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a SELECT list: the name it has, if any, and its value."""

    name: str | None
    value: Value


def translate_query(translator: Translator, query: exp.Expr, use: Use = Use.ROWS) -> Table:
    """Return a query as DuckDB's SQL, with the names and types of its columns."""
    if isinstance(query, exp.Subquery):
        return _in_brackets(translator, query, use)
    if isinstance(query, exp.Select):
        return _select(translator, query, use)
    if isinstance(query, exp.SetOperation):
        return _set_operation(translator, query, use)
    raise translator.refuse(query, type(query).__name__)


def _in_brackets(translator: Translator, query: exp.Subquery, use: Use) -> Table:
    inner = translate_query(translator, query.this, use)
    rest = _order_of_columns(translator, query, inner) + _limit(translator, query)
    return replace(inner, sql=f"({inner.sql}){rest}" if rest else inner.sql)


def _with(translator: Translator, query: exp.Expr) -> tuple[Translator, str]:
    """Return the translator that knows the tables of WITH, and the clause."""
    clause = query.args.get("with_")
    if clause is None:
        return translator, ""
    scope = Scope(outer=translator.scope)
    inside = translator.within(scope)
    parts = [
        _named_query(inside, scope, each, recursive=bool(clause.args.get("recursive"))) for each in clause.expressions
    ]
    word = "WITH RECURSIVE" if clause.args.get("recursive") else "WITH"
    return inside, f"{word} {', '.join(parts)} "


def _named_query(translator: Translator, scope: Scope, named: exp.Expr, *, recursive: bool) -> str:
    name = f"{translator.alias()}"
    query = named.this
    if recursive and isinstance(query, exp.SetOperation):
        # What a recursive query calls by its own name has the columns of its first part.
        first = translate_query(translator, query.this)
        scope.tables[named.alias] = Table(name, first.columns)
    table = translate_query(translator, query)
    scope.tables[named.alias] = Table(name, table.columns, table.stored)
    return f"{name} AS ({table.sql})"


def _set_operation(translator: Translator, query: exp.SetOperation, use: Use) -> Table:
    _check_clauses(translator, query, _OF_QUERY)
    translator, before = _with(translator, query)
    left = translate_query(translator, query.this, use)
    right = translate_query(translator, query.args["expression"], use)
    if len(left.columns) != len(right.columns):
        raise InvalidArgument(f"The parts of a {_SET_OPERATIONS[type(query)]} have different numbers of columns")
    columns = _common_columns(query, left, right)
    word = _SET_OPERATIONS[type(query)] + ("" if query.args.get("distinct") else " ALL")
    parts = [_as_types(each, columns, translator.alias()) for each in (left, right)]
    table = Table("", columns, left.stored | right.stored)
    rest = _order_of_columns(translator, query, table) + _limit(translator, query)
    return replace(table, sql=f"{before}({parts[0]}) {word} ({parts[1]}){rest}")


def _common_columns(query: exp.Expr, left: Table, right: Table) -> dict[str, Type]:
    found = {}
    for (name, one), other in zip(left.columns.items(), right.columns.values(), strict=True):
        kind = types.common_type([one, other])
        if kind is None:
            word = _SET_OPERATIONS[type(query)]
            raise InvalidArgument(f"Column {name} of a {word} has different types: {one.short} and {other.short}")
        found[name] = kind
    return found


def _as_types(table: Table, columns: dict[str, Type], alias: str) -> str:
    """Return a part of a UNION with its columns as the types of the whole."""
    pairs = list(zip(table.columns.items(), columns.items(), strict=True))
    if all(mine.name == wanted.name for (_, mine), (_, wanted) in pairs):
        return table.sql
    listed = [
        f"{coerced(Value(f'{alias}.{quoted(name)}', mine), wanted).sql} AS {quoted(name)}"
        for (name, mine), (_, wanted) in pairs
    ]
    return f"SELECT {', '.join(listed)} FROM ({table.sql}) AS {alias}"


def _check_clauses(translator: Translator, query: exp.Expr, known: set[str]) -> None:
    for name, clause in query.args.items():
        if clause and name not in known:
            raise translator.refuse(query, name.strip("_").upper())


def _select(translator: Translator, query: exp.Select, use: Use) -> Table:
    _check_clauses(translator, query, _CLAUSES)
    translator, before = _with(translator, query)
    scope = Scope(outer=translator.scope)
    translator = translator.within(scope)
    source = from_clause(translator, query)
    where = _clause(translator, query, "where", "WHERE")
    columns = _columns(translator, query)
    # A name after the list means a column of the list, not a field of the STRUCT that it becomes.
    scope.aliases.update({column.name: column.value for column in columns if column.name})
    keys = [name for name, _ in _named(columns)]
    columns = _of_kind(translator, query, columns, use)
    named = _named(columns)
    after = "".join(
        (
            _group(translator, query, keys),
            _clause(translator, query, "having", "HAVING"),
            _windows(translator, query),
            _clause(translator, query, "qualify", "QUALIFY"),
            _order(translator, query, named),
            _limit(translator, query),
        )
    )
    listed = ", ".join(f"{_listed(value, use)} AS {quoted(name)}" for name, value in named)
    distinct = "DISTINCT " if query.args.get("distinct") else ""
    kept = frozenset(name for name, value in named if value.stored_sql)
    return Table(
        f"{before}SELECT {distinct}{listed}{source}{where}{after}", {name: value.type for name, value in named}, kept
    )


def _of_kind(translator: Translator, query: exp.Expr, columns: list[Column], use: Use) -> list[Column]:
    """Return the columns of SELECT AS STRUCT or AS VALUE: one in an array, in FROM those of the STRUCT."""
    kind = query.args.get("kind")
    if kind == "STRUCT" and use is Use.VALUE:
        return [Column(None, _as_struct(columns))]
    if kind == "VALUE":
        if len(columns) != 1:
            raise InvalidArgument("SELECT AS VALUE takes one column")
        if use is not Use.VALUE and columns[0].value.type.name == "STRUCT":
            return _fields(translator, columns[0].value, query)
    return columns


def _listed(value: Value, use: Use) -> str:
    if use is not Use.SHOWN:
        return value.stored_sql or value.sql
    return f"coalesce({value.sql}, [])" if value.type.name == "ARRAY" and not value.stored_sql else value.sql


def _clause(translator: Translator, query: exp.Expr, name: str, word: str) -> str:
    node = query.args.get(name)
    return f" {word} {translator.condition(node.this, word)}" if node else ""


def _columns(translator: Translator, query: exp.Select) -> list[Column]:
    found: list[Column] = []
    for node in query.expressions:
        found.extend(_selected(translator, node))
    return found


def _selected(translator: Translator, node: exp.Expr) -> Iterator[Column]:
    if isinstance(node, exp.Alias):
        yield Column(node.alias, translator.value(node.this))
    elif isinstance(node, exp.Star):
        if not translator.scope.sources:
            raise InvalidArgument("SELECT * needs a FROM")
        yield from _without(translator, node, _all_columns(translator.scope))
    elif isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
        yield from _without(translator, node.this, _columns_of(translator, node))
    elif isinstance(node, exp.Dot) and isinstance(node.args["expression"], exp.Star):
        yield from _without(translator, node.args["expression"], _fields(translator, translator.value(node.this), node))
    else:
        yield Column(_own_name(node), translator.value(node))


def _own_name(node: exp.Expr) -> str | None:
    """Return the name that a column has without AS: a field by its last part."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node.name if isinstance(node, exp.Column | exp.Dot) else None


def _all_columns(scope: Scope) -> list[Column]:
    merged = [Column(name, value) for name, value in scope.merged.items()]
    used = {name.lower() for name in scope.merged}
    return merged + [
        column for source in scope.sources for column in _shown(source) if (column.name or "").lower() not in used
    ]


def _shown(source: Source) -> list[Column]:
    return [Column(name, value) for name, value in source.columns.items()]


def _columns_of(translator: Translator, node: exp.Expr) -> list[Column]:
    """Return the columns of `t.*`, t being a table, or a STRUCT."""
    path = path_of(node)[:-1]
    source = translator.scope.source(path[0])
    if source and len(path) == 1 and not source.element:
        return _shown(source)
    value = translator.scope.resolve(path, translator.place(node))
    return _fields(translator, value, node)


def _fields(translator: Translator, value: Value, node: exp.Expr) -> list[Column]:
    if value.type.name != "STRUCT":
        raise InvalidArgument(f".* takes a table or a STRUCT, not {value.type.short}{translator.place(node)}")
    return [Column(name, fields(value, [name], "")) for name, _ in value.type.fields]


def _without(translator: Translator, star: exp.Expr, columns: Sequence[Column]) -> Iterator[Column]:
    """Yield the columns of a star, without those of EXCEPT, and with the values of REPLACE."""
    left_out = {each.name.lower() for each in star.args.get("except_") or ()}
    replaced = {each.alias.lower(): each.this for each in star.args.get("replace") or ()}
    known = tuple(column.name or "" for column in columns)
    if unknown := (left_out | set(replaced)) - {each.lower() for each in known}:
        raise UnknownName(Unknown(min(unknown), known, place_of(min(unknown), translator.sql)), column_not_found)
    for column in columns:
        name = (column.name or "").lower()
        if name in replaced:
            yield Column(column.name, translator.value(replaced[name]))
        elif name not in left_out:
            yield column


def _as_struct(columns: Sequence[Column]) -> Value:
    return struct_value([(column.name or f"_field_{i}", column.value) for i, column in enumerate(columns, 1)])


def _named(columns: Sequence[Column]) -> list[tuple[str, Value]]:
    """Return the columns with names as BigQuery gives them: what has none is `f0_` and so on."""
    found: list[tuple[str, Value]] = []
    number = 0
    for column in columns:
        name = column.name
        if name is None:
            name, number = f"f{number}_", number + 1
        found.append((name, column.value))
    return found


def _group(translator: Translator, query: exp.Expr, names: Sequence[str]) -> str:
    group = query.args.get("group")
    if group is None:
        return ""
    if group.args.get("all"):
        return " GROUP BY ALL"
    parts = [_group_key(translator, each, names) for each in group.expressions]
    for name in ("rollup", "cube", "grouping_sets"):
        parts.extend(_group_key(translator, each, names) for each in group.args.get(name) or ())
    return f" GROUP BY {', '.join(parts)}"


def _grouping(translator: Translator, word: str, node: exp.Expr, names: Sequence[str]) -> str:
    keys = ", ".join(_grouping_keys(translator, each, names) for each in node.expressions)
    return f"{word} ({keys})"


def _grouping_keys(translator: Translator, node: exp.Expr, names: Sequence[str]) -> str:
    if isinstance(node, exp.Tuple):
        return f"({', '.join(_group_key(translator, each, names) for each in node.expressions)})"
    if isinstance(node, exp.Paren):
        return f"({_group_key(translator, node.this, names)})"
    return _group_key(translator, node, names)


def _group_key(translator: Translator, node: exp.Expr, names: Sequence[str]) -> str:
    """Return what a GROUP BY names: the number of a column, its alias, or an expression."""
    if isinstance(node, exp.Rollup | exp.Cube | exp.GroupingSets):
        return _grouping(translator, _GROUPINGS[type(node)], node, names)
    if isinstance(node, exp.Literal) and not node.is_string:
        return str(_position(node, len(names)))
    if isinstance(node, exp.Column) and len(node.parts) == 1:
        at = [i for i, name in enumerate(names, 1) if name.lower() == node.name.lower()]
        if at and any(name.lower() == node.name.lower() for name in translator.scope.aliases):
            return str(at[0])
    value = translator.value(node)
    if value.type.name in {"ARRAY", "STRUCT", "JSON"}:
        raise InvalidArgument(f"GROUP BY cannot take {value.type.short}{translator.place(node)}: use one of its parts")
    return value.sql


def _position(node: exp.Expr, columns: int) -> int:
    if not node.name.isdigit() or not 1 <= int(node.name) <= columns:
        raise InvalidArgument(f"There is no column {node.name} in the SELECT list")
    return int(node.name)


def _windows(translator: Translator, query: exp.Expr) -> str:
    windows = query.args.get("windows")
    if not windows:
        return ""
    listed = [f"{quoted(each.name.lower())} AS {_brackets(window(translator, each))}" for each in windows]
    return f" WINDOW {', '.join(listed)}"


def _brackets(definition: str) -> str:
    return definition if definition.startswith("(") else f"({definition})"


def _order(translator: Translator, query: exp.Expr, named: Sequence[tuple[str, Value]]) -> str:
    order = query.args.get("order")
    if order is None:
        return ""
    names = [name for name, _ in named]
    parts = [one_ordered(_order_key(translator, each.this, names), each) for each in order.expressions]
    return f" ORDER BY {', '.join(parts)}"


def _order_key(translator: Translator, node: exp.Expr, names: Sequence[str]) -> str:
    if isinstance(node, exp.Literal) and not node.is_string:
        return str(_position(node, len(names)))
    if isinstance(node, exp.Column) and len(node.parts) == 1:
        at = [i for i, name in enumerate(names, 1) if name.lower() == node.name.lower()]
        if at:
            return str(at[0])
    return translator.value(node).sql


def _order_of_columns(translator: Translator, query: exp.Expr, table: Table) -> str:
    """Return the ORDER BY of a UNION or of a query in brackets, which knows its columns only."""
    source = Source(None, {name: Value(quoted(name), kind) for name, kind in table.columns.items()})
    inside = translator.within(Scope(outer=translator.scope, sources=[source]))
    return _order(inside, query, list(source.columns.items()))


def _limit(translator: Translator, query: exp.Expr) -> str:
    found = ""
    for name in ("limit", "offset"):
        clause = query.args.get(name)
        if clause is None:
            continue
        number = clause.args.get("expression") or clause.this
        if not (isinstance(number, exp.Literal) and number.name.isdigit()):
            raise InvalidArgument(f"{name.upper()} takes a number{translator.place(number)}")
        found += f" {name.upper()} {number.name}"
    return found

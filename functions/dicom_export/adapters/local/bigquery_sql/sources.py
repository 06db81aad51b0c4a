"""FROM: tables, subqueries, UNNEST and joins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from dicom_export.adapters.local.bigquery_sql import types
from dicom_export.adapters.local.bigquery_sql.catalog import INFORMATION_SCHEMA
from dicom_export.adapters.local.bigquery_sql.expressions import Translator, subquery
from dicom_export.adapters.local.bigquery_sql.names import Scope, Source, Table, columns_of, fields, stored
from dicom_export.adapters.local.bigquery_sql.operators import compared
from dicom_export.adapters.local.bigquery_sql.pivots import pivoted
from dicom_export.adapters.local.bigquery_sql.values import Value
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLAUSE_NAMES = {"sample": "TABLESAMPLE", "version": "FOR SYSTEM_TIME AS OF", "when": "FOR SYSTEM_TIME AS OF"}
_OF_TABLE = {"this", "db", "catalog", "alias", "joins", "pivots", "hints"}


def from_clause(translator: Translator, query: exp.Expr) -> str:
    """Return ` FROM …`, and put its tables into the scope."""
    clause = query.args.get("from_")
    if clause is None:
        return ""
    found = _item(translator, clause.this)
    for join in query.args.get("joins") or ():
        found += _joined(translator, join)
    return f" FROM {found}"


def _item(translator: Translator, node: exp.Expr) -> str:
    """Return one item of FROM, with the joins inside its brackets."""
    joins = node.args.get("joins") or ()
    if isinstance(node, exp.Unnest):
        found = _unnest(translator, node)
    elif isinstance(node, exp.Table):
        found = _table(translator, node)
    elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
        found = _subquery(translator, node)
    elif isinstance(node, exp.Subquery | exp.Paren):
        return f"({_item(translator, node.this)}{''.join(_joined(translator, join) for join in joins)})"
    else:
        raise translator.refuse(node, f"{type(node).__name__} in FROM")
    return found + "".join(_joined(translator, join) for join in joins)


def _table(translator: Translator, node: exp.Table) -> str:
    if not all(isinstance(part, exp.Identifier) for part in node.parts):
        name = node.this.name if isinstance(node.this, exp.Func) else str(node.this)
        raise translator.refuse(node, f"The table function {name}")
    for name, clause in node.args.items():
        if clause and name not in _OF_TABLE:
            raise translator.refuse(node, _CLAUSE_NAMES.get(name, name.upper()))
    path = [each for part in node.parts for each in _split(part)]
    if len(path) > 1 and translator.scope.source(path[0]):
        return _implicit_unnest(translator, node, path)
    where = translator.place(node)
    if len(path) == 1 and (table := translator.scope.table(path[0])):
        return _add(translator, node, table, path[-1])
    if any(each.upper() == INFORMATION_SCHEMA for each in path[:-1]):
        return _add(translator, node, translator.catalog.information(path, where), path[-1])
    return _add(translator, node, translator.catalog.table(path, where), path[-1])


def _split(part: exp.Expr) -> list[str]:
    """Return the names of `PROJECT.DATASET.TABLE` in one pair of quotation marks."""
    return part.name.split(".") if INFORMATION_SCHEMA in part.name.upper() else [part.name]


def _add(translator: Translator, node: exp.Expr, table: Table, name: str) -> str:
    """Put a table into the scope under its alias or name, and return it for FROM."""
    given = node.args.get("alias")
    if given is not None and given.columns:
        raise translator.refuse(node, "A list of columns after an alias")
    if pivots := node.args.get("pivots"):
        [pivot] = pivots
        table, name = pivoted(translator, pivot, table)
        given = None
    alias = translator.alias()
    label = given.name if given is not None and given.this is not None else name
    translator.scope.add(Source(label, columns_of(alias, table), alias))
    return f"{table.sql} AS {alias}"


def _subquery(translator: Translator, node: exp.Subquery) -> str:
    # A subquery in FROM does not see the tables next to it.
    outside = translator.within(_around(translator.scope))
    table = subquery(outside, node.this)
    return _add(translator, node, replace(table, sql=f"({table.sql})"), node.alias or "")


def _around(scope: Scope) -> Scope:
    return Scope(outer=scope.outer, tables=scope.tables)


def _implicit_unnest(translator: Translator, node: exp.Table, path: Sequence[str]) -> str:
    value = translator.scope.resolve(path, translator.place(node))
    alias = node.args.get("alias")
    return _unnested(translator, node, value, alias.name if alias is not None else path[-1], None)


def _unnest(translator: Translator, node: exp.Unnest) -> str:
    if len(node.expressions) != 1:
        raise translator.refuse(node, "UNNEST of several arrays")
    value = translator.value(node.expressions[0])
    alias = node.args.get("alias")
    name = None
    if alias is not None:
        name = alias.columns[0].name if alias.columns else alias.name or None
    offset = node.args.get("offset")
    offset_name = offset.name if isinstance(offset, exp.Identifier) else "offset" if offset else None
    return _unnested(translator, node, value, name, offset_name)


def _unnested(translator: Translator, node: exp.Expr, array: Value, name: str | None, offset: str | None) -> str:
    if array.type.name not in {"ARRAY", "ANY", "NULL"}:
        hint = ": use JSON_QUERY_ARRAY" if array.type.name == "JSON" else ""
        raise InvalidArgument(f"UNNEST takes an ARRAY, not {array.type.short}{translator.place(node)}{hint}")
    alias = translator.alias()
    element_type = array.type.element
    item = f"{alias}.item"
    # Arrays inside the items of a table's array are NULL if empty, as those of the table are.
    element = stored(item, element_type) if array.stored_sql else Value(item, element_type)
    columns = _item_columns(element, name)
    source = array.stored_sql or array.sql
    # UNNEST in FROM does the same, ten times as slowly.
    if offset is None:
        translator.scope.add(Source(name, columns, alias, element))
        return f"LATERAL (SELECT unnest({source}) AS item) AS {alias}"
    position = Value(f"({alias}.position - 1)", types.INT64)
    translator.scope.add(Source(name, columns, alias, element))
    translator.scope.add(Source(offset, {offset: position}, alias, position))
    return f"LATERAL (SELECT unnest({source}) AS item, generate_subscripts({source}, 1) AS position) AS {alias}"


def _item_columns(element: Value, name: str | None) -> dict[str, Value]:
    """Return what an UNNEST adds to the columns: the fields of a STRUCT, else the item under its alias."""
    if element.type.name == "STRUCT":
        return {each: fields(element, [each], "") for each, _ in element.type.fields}
    return {name or "f0_": element}


def _joined(translator: Translator, join: exp.Expr) -> str:
    side = (join.args.get("side") or "").upper()
    kind = (join.args.get("kind") or "").upper()
    if join.args.get("method") or kind not in {"", "INNER", "CROSS", "OUTER"}:
        raise translator.refuse(join, "This kind of JOIN")
    before = len(translator.scope.sources)
    item = _item(translator, join.this)
    if using := join.args.get("using"):
        condition = _using(translator, using, side, before)
    elif on := join.args.get("on"):
        condition = translator.condition(on, "ON")
    elif side:
        condition = "true"
        if not isinstance(join.this, exp.Unnest) and not _is_path(translator, join.this):
            raise InvalidArgument(f"{side} JOIN takes ON or USING{translator.place(join)}")
    else:
        return f" CROSS JOIN {item}"
    word = f"{side} JOIN" if side else "JOIN"
    return f" {word} {item} ON {condition}"


def _is_path(translator: Translator, node: exp.Expr) -> bool:
    return isinstance(node, exp.Table) and bool(node.db) and translator.scope.source(node.parts[0].name) is not None


def _using(translator: Translator, names: Sequence[exp.Expr], side: str, before: int) -> str:
    """Return the condition of USING, and put each column once into the scope."""
    scope = translator.scope
    conditions = []
    for node in names:
        name = node.name
        left = scope.merged.get(name) or _column_of(scope.sources[:before], name, translator, node)
        right = _column_of(scope.sources[before:], name, translator, node)
        conditions.append(compared(translator, node, "=", left, right))
        value = {"RIGHT": right, "FULL": Value(f"coalesce({left.sql}, {right.sql})", left.type)}.get(side, left)
        scope.merged[name] = value
    return " AND ".join(conditions)


def _column_of(sources: Sequence[Source], name: str, translator: Translator, node: exp.Expr) -> Value:
    found = [column for source in sources if (column := source.column(name))]
    if len(found) != 1:
        what = "is not in both tables" if not found else "is ambiguous"
        raise InvalidArgument(f"Column {name} of USING {what}{translator.place(node)}")
    return found[0]

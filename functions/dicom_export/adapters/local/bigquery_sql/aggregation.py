"""Aggregate functions with the clauses inside their brackets, and windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from dicom_export.adapters.local.bigquery_sql import signatures
from dicom_export.adapters.local.bigquery_sql.call import Call
from dicom_export.adapters.local.bigquery_sql.calls import fill
from dicom_export.adapters.local.bigquery_sql.expressions import Translator, coerced
from dicom_export.adapters.local.bigquery_sql.signatures import GROUPS
from dicom_export.adapters.local.bigquery_sql.types import INT64, STRING, array_of
from dicom_export.adapters.local.bigquery_sql.values import Value
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPECIAL = ("ARRAY_AGG", "COUNT", "COUNTIF", "STRING_AGG")
_ONLY_WINDOWS = {line.partition("(")[0] for line in GROUPS["Windows"].split("\n") if line}
AGGREGATE_NAMES = frozenset(
    {line.partition("(")[0] for line in GROUPS["Aggregates"].split("\n") if line} | _ONLY_WINDOWS | set(_SPECIAL)
)
# quantile_cont and quantile_disc take no NULLs anyway.
_NULLS_ARE_LEFT_OUT = ("PERCENTILE_CONT", "PERCENTILE_DISC")


@dataclass(frozen=True, slots=True)
class Clauses:
    """What is inside the brackets besides the arguments: `DISTINCT x IGNORE NULLS ORDER BY y LIMIT 1`."""

    arguments: tuple[exp.Expr, ...]
    distinct: bool = False
    ignore_nulls: bool = False
    order: exp.Order | None = None
    limit: str = ""
    having: exp.HavingMax | None = None


def _clauses(arguments: Sequence[exp.Expr]) -> Clauses:
    """Return the arguments without the clauses, which are wrapped around one of them, or DISTINCT around all."""
    found = Clauses(())
    for argument in arguments:
        found = _unwrapped(found, argument)
    return found


def _unwrapped(found: Clauses, node: exp.Expr) -> Clauses:  # noqa: PLR0911 - one per clause
    match node:
        case exp.Limit():
            return _unwrapped(replace(found, limit=node.args["expression"].name), node.this)
        case exp.Order():
            return _unwrapped(replace(found, order=node), node.this)
        case exp.IgnoreNulls():
            return _unwrapped(replace(found, ignore_nulls=True), node.this)
        case exp.RespectNulls():
            return _unwrapped(found, node.this)
        case exp.HavingMax():
            return _unwrapped(replace(found, having=node), node.this)
        case exp.Distinct():
            for each in node.expressions:
                found = _unwrapped(found, each)
            return replace(found, distinct=True)
    return replace(found, arguments=(*found.arguments, node))


def aggregate(
    translator: Translator,
    node: exp.Expr,
    name: str,
    arguments: Sequence[exp.Expr],
    window: str | None = None,
    nulls: str = "",
) -> Value:
    """Return an aggregate function or a function of a window, `window` being ` OVER (…)`."""
    if window is None and name in _ONLY_WINDOWS:
        raise InvalidArgument(f"{name} takes a window{translator.place(node)}: write OVER (…) after it")
    clauses = _clauses(arguments)
    nulls = nulls or ("IGNORE NULLS" if clauses.ignore_nulls else "")
    if name == "COUNT" and len(clauses.arguments) == 1 and isinstance(clauses.arguments[0], exp.Star):
        return Value(f"count(*){_filtered(translator, '')}{window or ''}", INT64)
    values = translator.values(clauses.arguments)
    if name == "COUNTIF":
        return _count_if(translator, node, values, clauses, window or "")
    order = ordered(translator, clauses.order) if clauses.order else ""
    if name in {"ARRAY_AGG", "STRING_AGG"}:
        return _collected(translator, node, name, values, clauses, order, window or "")
    if clauses.having:
        return _with_having(translator, node, name, values[0], clauses.having, window or "")
    if clauses.limit or (order and name != "ARRAY_CONCAT_AGG"):
        raise translator.refuse(node, f"ORDER BY or LIMIT inside {name}")
    return _listed(translator, node, name, values, clauses, order, nulls, window or "")


def _listed(
    translator: Translator,
    node: exp.Expr,
    name: str,
    values: Sequence[Value],
    clauses: Clauses,
    order: str,
    nulls: str,
    window: str,
) -> Value:
    """Return one of the functions of the tables."""
    found = signatures.match(name, values)
    if not found:
        given = ", ".join(each.type.short for each in values)
        known = " or ".join(each.signature for each in signatures.overloads()[name][:4])
        raise InvalidArgument(f"{name}({given}){translator.place(node)} has the wrong arguments: expected {known}")
    taken = [coerced(value, kind) for value, kind in zip(values, found.arguments, strict=True)]
    if nulls and name in _NULLS_ARE_LEFT_OUT:
        nulls = ""
    keep = f"{taken[0].sql} IS NOT NULL" if name == "ARRAY_CONCAT_AGG" else ""
    rest = _filtered(translator, keep) if name not in _ONLY_WINDOWS else ""
    translated = Call(
        name,
        taken,
        found.result,
        distinct="DISTINCT " if clauses.distinct else "",
        order=f" ORDER BY {order}" if order else "",
        window=rest + window,
        required=translator.required,
    )
    template = found.overload.template.replace("{n}", f" {nulls}" if nulls else "")
    return Value(fill(template, translated), found.result)


def _filtered(translator: Translator, condition: str) -> str:
    """Return ` FILTER (WHERE …)` for a condition, together with that of a column of PIVOT."""
    both = " AND ".join(filter(None, (translator.aggregate_filter, condition)))
    return f" FILTER (WHERE {both})" if both else ""


def _count_if(translator: Translator, node: exp.Expr, values: Sequence[Value], clauses: Clauses, window: str) -> Value:
    if clauses.distinct:
        raise translator.refuse(node, "COUNTIF(DISTINCT …)")
    if len(values) != 1 or values[0].type.name not in {"BOOL", "NULL", "ANY"}:
        raise InvalidArgument(f"COUNTIF takes one condition{translator.place(node)}")
    return Value(f"count(*){_filtered(translator, values[0].sql)}{window}", INT64)


def _collected(
    translator: Translator,
    node: exp.Expr,
    name: str,
    values: Sequence[Value],
    clauses: Clauses,
    order: str,
    window: str,
) -> Value:
    """Return ARRAY_AGG or STRING_AGG."""
    value = values[0]
    is_text = name == "STRING_AGG"
    if is_text and value.type.name not in {"STRING", "NULL", "ANY"}:
        raise InvalidArgument(f"STRING_AGG takes STRING, not {value.type.short}{translator.place(node)}: use CAST")
    if not is_text and value.type.name == "ARRAY":
        raise InvalidArgument(f"ARRAY_AGG cannot take an ARRAY{translator.place(node)}: put it in a STRUCT")
    keep = f"{value.sql} IS NOT NULL" if is_text or clauses.ignore_nulls else ""
    by = f" ORDER BY {order}" if order else ""
    distinct = "DISTINCT " if clauses.distinct else ""
    items = f"list({distinct}{value.sql}{by}){_filtered(translator, keep)}{window}"
    if clauses.limit:
        items = f"list_slice({items}, 1, {clauses.limit})"
    if not is_text:
        return Value(items, array_of(value.type))
    separator = coerced(values[1], STRING).sql if len(values) > 1 else "','"
    return Value(f"array_to_string({items}, {separator})", STRING)


def _with_having(
    translator: Translator, node: exp.Expr, name: str, value: Value, having: exp.HavingMax, window: str
) -> Value:
    """Return ANY_VALUE(x HAVING MAX y); the same with another function would need all rows of the maximum."""
    if name != "ANY_VALUE":
        raise translator.refuse(node, f"HAVING inside {name}")
    by = translator.value(having.args["expression"])
    function = "arg_max_null" if having.args.get("max") else "arg_min_null"
    return Value(f"{function}({value.sql}, {by.sql}){_filtered(translator, '')}{window}", value.type)


def ordered(translator: Translator, order: exp.Expr) -> str:
    """Return the expressions of an ORDER BY. NULL is the smallest in BigQuery."""
    return ", ".join(one_ordered(translator.value(each.this).sql, each) for each in order.expressions)


def one_ordered(sql: str, node: exp.Expr) -> str:
    """Return one expression of an ORDER BY."""
    descending = bool(node.args.get("desc"))
    first = node.args.get("nulls_first")
    nulls_first = not descending if first is None else bool(first)
    return f"{sql} {'DESC' if descending else 'ASC'} NULLS {'FIRST' if nulls_first else 'LAST'}"


def windowed(translator: Translator, node: exp.Expr) -> Value:
    """Return a function with OVER."""
    function, nulls = node.this, ""
    if isinstance(function, exp.IgnoreNulls):
        function, nulls = function.this, "IGNORE NULLS"
    elif isinstance(function, exp.RespectNulls):
        function = function.this
    over = f" OVER {window(translator, node)}"
    if isinstance(function, exp.GroupConcat):
        separator = function.args.get("separator")
        return aggregate(
            translator, node, "STRING_AGG", [function.this, *([separator] if separator else [])], over, nulls
        )
    if not isinstance(function, exp.Anonymous) or function.name.upper() not in AGGREGATE_NAMES:
        raise translator.refuse(node, "OVER after this function")
    return aggregate(translator, node, function.name.upper(), function.expressions, over, nulls)


def window(translator: Translator, node: exp.Expr) -> str:
    """Return the window of OVER: its name, or what stands in the brackets."""
    alias = node.args.get("alias")
    parts = []
    if alias is not None:
        name = '"' + str(alias.name).lower().replace('"', '""') + '"'
        if not any(node.args.get(key) for key in ("partition_by", "order", "spec")):
            return name
        parts.append(name)
    if by := node.args.get("partition_by"):
        parts.append("PARTITION BY " + ", ".join(value.sql for value in translator.values(by)))
    if order := node.args.get("order"):
        parts.append("ORDER BY " + ordered(translator, order))
    if spec := node.args.get("spec"):
        parts.append(_frame(translator, spec))
    return f"({' '.join(parts)})"


def _frame(translator: Translator, spec: exp.Expr) -> str:
    ends = []
    for end in ("start", "end"):
        bound = spec.args.get(end)
        if bound is None:
            continue
        side = spec.args.get(f"{end}_side") or ""
        amount = bound if isinstance(bound, str) else translator.value(bound).sql
        ends.append(f"{amount} {side}".strip())
    kind = str(spec.args["kind"])
    return f"{kind} BETWEEN {ends[0]} AND {ends[1]}" if len(ends) > 1 else f"{kind} {ends[0]}"

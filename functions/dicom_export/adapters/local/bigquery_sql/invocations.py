"""Calls of functions, CAST, EXTRACT and STRUCT."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from dicom_export.adapters.local.bigquery_sql import parsing, signatures, temporal, types
from dicom_export.adapters.local.bigquery_sql.aggregation import AGGREGATE_NAMES, aggregate, windowed
from dicom_export.adapters.local.bigquery_sql.call import Call
from dicom_export.adapters.local.bigquery_sql.calls import fill, zone
from dicom_export.adapters.local.bigquery_sql.casts import cast
from dicom_export.adapters.local.bigquery_sql.expressions import EXPRESSIONS, Translator, coerced, type_of
from dicom_export.adapters.local.bigquery_sql.operators import struct_value
from dicom_export.adapters.local.bigquery_sql.values import Value, cast_keyword, fail
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NAMED: dict[type[exp.Expr], str] = {
    exp.CurrentDate: "DATE",
    exp.CurrentDatetime: "DATETIME",
    exp.CurrentTime: "TIME",
    exp.CurrentTimestamp: "TIMESTAMP",
}
_PARTS = ("DATE", "TIME", "DATETIME")


def _named_call(translator: Translator, node: exp.Expr) -> Value:
    return call(translator, node, _function_name(translator, node), node.expressions)


def _function_name(translator: Translator, node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous) and isinstance(node.this, str | exp.Identifier):
        return node.name.upper()
    raise translator.refuse(node, "This call")


def call(
    translator: Translator, node: exp.Expr, name: str, arguments: Sequence[exp.Expr], *, safe: bool = False
) -> Value:
    """Return the translation of a call.

    Raises InvalidArgument for a function that is not on the list, or arguments that it does not take.
    """
    if name == "STRUCT":
        return _struct(translator, arguments)
    if name in AGGREGATE_NAMES:
        if safe:
            raise translator.refuse(node, f"SAFE before the aggregate function {name}")
        return aggregate(translator, node, name, arguments)
    if name not in signatures.overloads():
        raise _unknown(translator, node, name)
    return scalar(translator, node, name, _arguments(translator, name, arguments), safe=safe)


def _unknown(translator: Translator, node: exp.Expr, name: str) -> InvalidArgument:
    close = difflib.get_close_matches(name, [*signatures.overloads(), *AGGREGATE_NAMES], n=1, cutoff=0.8)
    guess = f"; did you mean {close[0]}?" if close else ""
    return InvalidArgument(f"The function {name} is not supported{translator.place(node)}{guess}{parsing.HINT}")


def _arguments(translator: Translator, name: str, nodes: Sequence[exp.Expr]) -> list[Value]:
    """Return the arguments; a part like WEEK(MONDAY) is not an expression."""
    at = {
        i for overload in signatures.overloads()[name] for i, each in enumerate(overload.parameters) if each == "PART"
    }
    return [_part(node) if i in at and _is_part(node) else translator.value(node) for i, node in enumerate(nodes)]


def _is_part(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous | exp.Var) or (isinstance(node, exp.Column) and not node.table)


def _part(node: exp.Expr) -> Value:
    name = node.name.upper()
    inner = f"({node.expressions[0].name.upper()})" if node.expressions else ""
    return Value("", types.Type("PART"), name + inner)


def scalar(translator: Translator, node: exp.Expr, name: str, arguments: Sequence[Value], *, safe: bool) -> Value:
    """Return a call of a function that is neither an aggregate nor special."""
    found = signatures.match(name, arguments)
    if not found:
        given = ", ".join(each.type.short for each in arguments)
        known = " or ".join(each.signature for each in signatures.overloads()[name][:4])
        raise InvalidArgument(f"{name}({given}){translator.place(node)} has the wrong arguments: expected {known}")
    coerced_values = [coerced(value, kind) for value, kind in zip(arguments, found.arguments, strict=True)]
    taken = [_in_zone(found.overload.pattern(i), value) for i, value in enumerate(coerced_values)]
    translated = Call(name, taken, found.result, safe=safe, required=translator.required)
    return Value(f"({fill(found.overload.template, translated)})", found.result)


def _in_zone(pattern: str, value: Value) -> Value:
    return replace(value, sql=zone(value)) if pattern == "ZONE" else value


def _safe(translator: Translator, node: exp.Expr) -> Value:
    inner = node.this
    if isinstance(inner, exp.Anonymous):
        return call(translator, node, inner.name.upper(), inner.expressions, safe=True)
    if isinstance(inner, exp.Cast):
        return _cast(translator, inner, safe=True)
    raise translator.refuse(node, "SAFE before this function")


def _struct(translator: Translator, nodes: Sequence[exp.Expr]) -> Value:
    parts = []
    for position, node in enumerate(nodes, 1):
        named = isinstance(node, exp.Alias | exp.Column | exp.Dot | exp.PropertyEQ)
        name = node.alias_or_name if named else f"_field_{position}"
        parts.append((name, translator.value(node.this if isinstance(node, exp.Alias) else node)))
    return struct_value(parts)


def _struct_node(translator: Translator, node: exp.Expr) -> Value:
    return _struct(translator, node.expressions)


def _any_cast(translator: Translator, node: exp.Expr) -> Value:
    return _cast(translator, node, safe=isinstance(node, exp.TryCast))


def _cast(translator: Translator, node: exp.Expr, *, safe: bool) -> Value:
    if node.args.get("format"):
        raise translator.refuse(node, "CAST … FORMAT")
    target = type_of(node.args["to"])
    source = translator.value(node.this)
    literal = isinstance(node.this, exp.Literal) and source.is_constant
    translated = cast(source, target, safe=safe)
    if source.type.name == "NULL" and target.name == "ARRAY":
        return Value(translated, target)
    parameters = [each for each in node.args["to"].expressions if isinstance(each, exp.DataTypeParam)]
    if parameters:
        translated = _limited(translated, target, [int(each.name) for each in parameters], safe=safe)
    return Value(translated, target, source.constant) if literal else Value(translated, target)


def _limited(sql: str, target: types.Type, parameters: Sequence[int], *, safe: bool) -> str:
    """Return SQL for a value of STRING(n), BYTES(n) or NUMERIC(p, s)."""
    if target.name in {"STRING", "BYTES"}:
        length = "length" if target.name == "STRING" else "octet_length"
        error = fail(f"A value is longer than {target.name}({parameters[0]}): SAFE_CAST gives NULL instead", safe=safe)
        return f"CASE WHEN {length}({sql}) > {parameters[0]} THEN {error} ELSE {sql} END"
    precision, scale = (*parameters, 0)[:2]
    narrow = f"{cast_keyword(safe=safe)}({sql} AS DECIMAL({precision}, {scale}))"
    return f"CAST({narrow} AS {target.duckdb})"


def _cast_with_format(translator: Translator, node: exp.Expr) -> Value:
    raise translator.refuse(node, "CAST … FORMAT")


def _extract(translator: Translator, node: exp.Expr) -> Value:
    part, source = _part(node.this).constant, node.args["expression"]
    in_zone = "'UTC'"
    if isinstance(source, exp.AtTimeZone):
        in_zone = zone(translator.value(source.args["zone"]))
        source = source.this
    value = translator.value(source)
    kind = value.type.name
    if kind not in {"DATE", "TIME", "DATETIME", "TIMESTAMP", "ANY"}:
        raise InvalidArgument(f"EXTRACT takes a date or a time, not {value.type.short}{translator.place(node)}")
    local = f"({value.sql} AT TIME ZONE {in_zone})" if kind == "TIMESTAMP" else value.sql
    kind = "DATETIME" if kind == "TIMESTAMP" else kind
    if part in _PARTS:
        if kind in {"TIME", part}:
            raise InvalidArgument(f"EXTRACT cannot take {part} from a {value.type.short}{translator.place(node)}")
        return Value(f"CAST({local} AS {types.Type(part).duckdb})", types.Type(part))
    return Value(temporal.extracted(str(part), kind, local), types.INT64)


def _current(translator: Translator, node: exp.Expr) -> Value:
    return call(translator, node, f"CURRENT_{_NAMED[type(node)]}", [node.this] if node.this else [])


def _parse_json(translator: Translator, node: exp.Expr) -> Value:
    inner = translator.value(node.this)
    return Value(f"json({inner.sql})", types.JSON)


def _normalize(translator: Translator, node: exp.Expr) -> Value:
    value = coerced(translator.value(node.this), types.STRING)
    form = node.args.get("form")
    mode = form.name.upper() if form else "NFC"
    if mode == "NFC":
        return Value(f"nfc_normalize({value.sql})", types.STRING)
    raise translator.refuse(node, f"NORMALIZE to {mode}")


def _string_agg(translator: Translator, node: exp.Expr) -> Value:
    separator = node.args.get("separator")
    return aggregate(translator, node, "STRING_AGG", [node.this, *([separator] if separator else [])])


_TRANSLATIONS: dict[type[exp.Expr], Callable[[Translator, exp.Expr], Value]] = {
    exp.Anonymous: _named_call,
    exp.SafeFunc: _safe,
    exp.Cast: _any_cast,
    exp.TryCast: _any_cast,
    exp.StrToDate: _cast_with_format,
    exp.StrToTime: _cast_with_format,
    exp.Struct: _struct_node,
    exp.Extract: _extract,
    exp.ParseJSON: _parse_json,
    exp.Normalize: _normalize,
    exp.GroupConcat: _string_agg,
    exp.Window: windowed,
    **dict.fromkeys(_NAMED, _current),
}
EXPRESSIONS |= _TRANSLATIONS

"""Operators: arithmetic, comparison, logic, LIKE, IN and CASE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from dicom_export.adapters.local.bigquery_sql import types
from dicom_export.adapters.local.bigquery_sql.expressions import EXPRESSIONS, Translator, coerced, subquery
from dicom_export.adapters.local.bigquery_sql.signatures import can_coerce
from dicom_export.adapters.local.bigquery_sql.types import BOOL, FLOAT64, INT64, NUMBERS, NUMERIC, STRING, Type
from dicom_export.adapters.local.bigquery_sql.values import Value, fail, text
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_BITWISE: dict[type[exp.Expr], str] = {
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "^",
    exp.BitwiseLeftShift: "<<",
    exp.BitwiseRightShift: ">>",
}
_OPEN = {"NULL", "ANY"}
OPERATORS = (
    "+, -, *, /, || (text and arrays)",
    "=, <>, !=, <, <=, >, >=, BETWEEN, IS [NOT] DISTINCT FROM (STRUCTs by field)",
    "AND, OR, NOT, IS [NOT] NULL, IS [NOT] TRUE, IS [NOT] FALSE",
    "LIKE, LIKE ANY, LIKE SOME, LIKE ALL, IN (…), IN UNNEST(…), IN (SELECT …)",
    "&, |, ^, ~, <<, >>",
    "array[OFFSET(n)], array[ORDINAL(n)], array[SAFE_OFFSET(n)], array[SAFE_ORDINAL(n)], array[n]",
    "struct.field, json.name, json['name'], json[n]",
    "CASE, IF, DATE + n, DATE - n, date - date, date or time + INTERVAL",
)


def no_operator(translator: Translator, node: exp.Expr, sign: str, operands: Sequence[Value]) -> InvalidArgument:
    """Return the error for operands that an operator does not take."""
    names = " and ".join(each.type.short for each in operands)
    hint = ": use CAST" if len({each.type.name for each in operands}) > 1 else ""
    return InvalidArgument(f"{sign} cannot take {names}{translator.place(node)}{hint}")


def _arithmetic(translator: Translator, node: exp.Expr) -> Value:
    sign = _ARITHMETIC[type(node)]
    left, right = translator.value(node.this), translator.value(node.args["expression"])
    if found := _with_dates(sign, left, right):
        return found
    kind = _number_type([left, right])
    if not kind:
        raise no_operator(translator, node, sign, [left, right])
    computed = f"({coerced(left, kind).sql} {sign} {coerced(right, kind).sql})"
    return Value(f"CAST({computed} AS {kind.duckdb})" if kind == NUMERIC else computed, kind)


def _number_type(operands: Sequence[Value]) -> Type | None:
    kinds = [each.type.name for each in operands]
    if not set(kinds) <= {*NUMBERS, *_OPEN}:
        return None
    known = [kind for kind in kinds if kind in NUMBERS]
    return Type(max(known, key=NUMBERS.index)) if known else INT64


def _with_dates(sign: str, left: Value, right: Value) -> Value | None:
    kinds = (left.type.name, right.type.name)
    if sign == "*":
        return None
    if kinds == ("DATE", "DATE") and sign == "-":
        # BigQuery gives an INTERVAL, which prints otherwise: use DATE_DIFF.
        return Value(f"to_days({left.sql} - {right.sql})", types.INTERVAL)
    if kinds == ("DATE", "INT64"):
        return Value(f"({left.sql} {sign} CAST({right.sql} AS INTEGER))", types.DATE)
    if kinds == ("INT64", "DATE") and sign == "+":
        return Value(f"({right.sql} + CAST({left.sql} AS INTEGER))", types.DATE)
    if kinds[1] == "INTERVAL" and kinds[0] in {"DATE", "DATETIME", "TIMESTAMP"}:
        result = types.DATETIME if kinds[0] == "DATE" else left.type
        return Value(f"({left.sql} {sign} {right.sql})", result)
    return None


def _divide(translator: Translator, node: exp.Expr) -> Value:
    left, right = translator.value(node.this), translator.value(node.args["expression"])
    kind = _number_type([left, right])
    if not kind:
        raise no_operator(translator, node, "/", [left, right])
    kind = NUMERIC if kind == NUMERIC else FLOAT64
    dividend, divisor = coerced(left, kind).sql, coerced(right, kind).sql
    quotient = f"{dividend} / {divisor}"
    if kind == NUMERIC:
        quotient = f"CAST(round({quotient}, 9) AS DECIMAL(38, 9))"
    if right.is_constant and right.constant:
        return Value(f"({quotient})", kind)
    error = fail("Division by zero: SAFE_DIVIDE(a, b) gives NULL instead")
    return Value(f"CASE WHEN {divisor} = 0 THEN {error} ELSE {quotient} END", kind)


def _negative(translator: Translator, node: exp.Expr) -> Value:
    inner = translator.value(node.this)
    if inner.type.name not in {*NUMBERS, *_OPEN}:
        raise no_operator(translator, node, "-", [inner])
    if inner.is_constant and isinstance(inner.constant, int | float):
        number = -inner.constant
        return Value(f"(-{inner.sql})", inner.type, number)
    return Value(f"(-{inner.sql})", inner.type)


def _concatenated(translator: Translator, node: exp.Expr) -> Value:
    left, right = translator.value(node.this), translator.value(node.args["expression"])
    kinds = {left.type.name, right.type.name} - _OPEN
    if kinds == {"ARRAY"}:
        any_null = f"{left.sql} IS NULL OR {right.sql} IS NULL"
        return Value(f"CASE WHEN NOT ({any_null}) THEN list_concat({left.sql}, {right.sql}) END", left.type)
    if kinds == {"BYTES"}:
        return Value(f"({left.sql} || {right.sql})", types.BYTES)
    if not kinds <= {"STRING"}:
        raise no_operator(translator, node, "||", [left, right])
    return Value(f"({left.sql} || {right.sql})", STRING)


def _bitwise(translator: Translator, node: exp.Expr) -> Value:
    sign = _BITWISE[type(node)]
    left, right = translator.value(node.this), translator.value(node.args["expression"])
    if not {left.type.name, right.type.name} <= {"INT64", *_OPEN}:
        raise no_operator(translator, node, sign, [left, right])
    if sign == "^":
        return Value(f"xor({left.sql}, {right.sql})", INT64)
    if sign in {"<<", ">>"}:
        return Value(_shifted(sign, left.sql, right.sql), INT64)
    return Value(f"({left.sql} {sign} {right.sql})", INT64)


def _shifted(sign: str, left: str, right: str) -> str:
    """Return SQL for a shift of the 64 bits: DuckDB has an error where bits are lost."""
    error = fail("<< and >> take no negative number of bits")
    wide = f"CAST({left} AS HUGEINT)"
    if sign == "<<":
        # The bits that are lost are cleared first, for HUGEINT has 127.
        kept = f"({wide} & ((CAST(1 AS HUGEINT) << (64 - {right})::INTEGER) - 1))"
        moved = f"({kept} << ({right})::INTEGER)"
    else:
        moved = f"(({wide} & 18446744073709551615) >> ({right})::INTEGER)"
    signed = f"CASE WHEN {moved} > 9223372036854775807 THEN {moved} - 18446744073709551616 ELSE {moved} END"
    return f"CASE WHEN {right} < 0 THEN {error} WHEN {right} > 63 THEN 0 ELSE CAST({signed} AS BIGINT) END"


def _bitwise_not(translator: Translator, node: exp.Expr) -> Value:
    inner = translator.value(node.this)
    if inner.type.name not in {"INT64", *_OPEN}:
        raise no_operator(translator, node, "~", [inner])
    return Value(f"(~{inner.sql})", INT64)


def _logic(word: str) -> Callable[[Translator, exp.Expr], Value]:
    def translated(translator: Translator, node: exp.Expr) -> Value:
        parts = [translator.condition(each, word) for each in node.flatten()]
        return Value("(" + f" {word} ".join(parts) + ")", BOOL)

    return translated


def _not(translator: Translator, node: exp.Expr) -> Value:
    return Value(f"(NOT {translator.condition(node.this, 'NOT')})", BOOL)


def comparable(left: Value, right: Value) -> tuple[Value, Value] | None:
    """Return two values as one type, or None if BigQuery does not compare them."""
    one, other = left.type.name, right.type.name
    if one == other or _OPEN & {one, other}:
        return left, right
    if kind := types.common_type([left.type, right.type]):
        return coerced(left, kind), coerced(right, kind)
    if can_coerce(left, other):
        return coerced(left, right.type), right
    if can_coerce(right, one):
        return left, coerced(right, left.type)
    return None


def compared(translator: Translator, node: exp.Expr, sign: str, left: Value, right: Value) -> str:
    """Return SQL for a comparison. STRUCTs are compared field by field: DuckDB takes the names into account."""
    pair = comparable(left, right)
    if not pair or "JSON" in {left.type.name, right.type.name}:
        hint = [left, right]
        raise no_operator(translator, node, sign, hint)
    if "ARRAY" in {each.type.name for each in pair}:
        raise no_operator(translator, node, sign, [left, right])
    if {each.type.name for each in pair} == {"STRUCT"}:
        return _structs_compared(translator, node, sign, *pair)
    return f"({pair[0].sql} {sign} {pair[1].sql})"


def _structs_compared(translator: Translator, node: exp.Expr, sign: str, left: Value, right: Value) -> str:
    if sign not in {"=", "<>"} or len(left.type.fields) != len(right.type.fields):
        raise no_operator(translator, node, sign, [left, right])
    equal = " AND ".join(
        compared(translator, node, "=", _part(left, i), _part(right, i)) for i in range(len(left.type.fields))
    )
    return f"(NOT ({equal}))" if sign == "<>" else f"({equal})"


def _part(struct: Value, position: int) -> Value:
    if struct.parts:
        return struct.parts[position][1]
    name, kind = struct.type.fields[position]
    return Value(f"struct_extract({struct.sql}, {text(name)})", kind)


def _comparison(translator: Translator, node: exp.Expr) -> Value:
    left, right = translator.value(node.this), translator.value(node.args["expression"])
    return Value(compared(translator, node, _COMPARISONS[type(node)], left, right), BOOL)


def _between(translator: Translator, node: exp.Expr) -> Value:
    middle = translator.value(node.this)
    low, high = translator.value(node.args["low"]), translator.value(node.args["high"])
    above = compared(translator, node, ">=", middle, low)
    return Value(f"({above} AND {compared(translator, node, '<=', middle, high)})", BOOL)


def _is_distinct(word: str) -> Callable[[Translator, exp.Expr], Value]:
    def translated(translator: Translator, node: exp.Expr) -> Value:
        left, right = translator.value(node.this), translator.value(node.args["expression"])
        pair = comparable(left, right)
        if not pair:
            raise no_operator(translator, node, f"IS {word} FROM", [left, right])
        return Value(f"({pair[0].sql} IS {word} FROM {pair[1].sql})", BOOL)

    return translated


def _is(translator: Translator, node: exp.Expr) -> Value:
    left = translator.value(node.this)
    right = node.args["expression"]
    word = "NULL" if isinstance(right, exp.Null) else "TRUE" if right.this else "FALSE"
    if word != "NULL" and left.type.name not in {"BOOL", *_OPEN}:
        raise no_operator(translator, node, f"IS {word}", [left])
    if left.stored_sql:
        # An array of a table is never NULL in BigQuery.
        return Value("false", BOOL)
    return Value(f"({left.sql} IS {word})", BOOL)


def _in(translator: Translator, node: exp.Expr) -> Value:
    left = translator.value(node.this)
    if unnest := node.args.get("unnest"):
        return _in_array(translator, node, left, unnest.expressions[0])
    query = node.args.get("query")
    if query is not None:
        rows = subquery(translator, query.this if isinstance(query, exp.Subquery) else query)
        kind = next(iter(rows.columns.values()))
        if len(rows.columns) != 1 or not comparable(left, Value("", kind)):
            raise no_operator(translator, node, "IN", [left, Value("", kind)])
        return Value(f"({left.sql} IN ({rows.sql}))", BOOL)
    items = translator.values(node.expressions)
    if left.type.name == "STRUCT":
        parts = [compared(translator, node, "=", left, item) for item in items]
        return Value(f"({' OR '.join(parts)})", BOOL)
    pairs = [_in_pair(translator, node, left, item) for item in items]
    kinds = {pair[0].sql for pair in pairs}
    if len(kinds) > 1:
        return Value(f"({' OR '.join(f'{one.sql} = {other.sql}' for one, other in pairs)})", BOOL)
    return Value(f"({pairs[0][0].sql} IN ({', '.join(other.sql for _, other in pairs)}))", BOOL)


def _in_pair(translator: Translator, node: exp.Expr, left: Value, item: Value) -> tuple[Value, Value]:
    pair = comparable(left, item)
    if not pair:
        raise no_operator(translator, node, "IN", [left, item])
    return pair


def _in_array(translator: Translator, node: exp.Expr, left: Value, array: exp.Expr) -> Value:
    items = translator.value(array)
    if items.type.name not in {"ARRAY", *_OPEN}:
        raise InvalidArgument(f"UNNEST takes an ARRAY, not {items.type.short}{translator.place(node)}")
    pair = comparable(left, Value("each", items.type.element))
    if not pair:
        raise no_operator(translator, node, "IN UNNEST", [left, items])
    source = items.sql
    found = f"list_contains({source}, {pair[0].sql})"
    # As with IN: not found among items of which one is NULL, is NULL.
    unknown = f"list_count({source}) < len({source})"
    return Value(
        f"CASE WHEN coalesce(len({source}), 0) = 0 THEN false WHEN {left.sql} IS NULL THEN NULL WHEN {found} THEN true "
        f"WHEN {unknown} THEN NULL ELSE false END",
        BOOL,
    )


def _like(translator: Translator, node: exp.Expr) -> Value:
    left, right = translator.value(node.this), node.args["expression"]
    if isinstance(right, exp.Any | exp.All):
        found = _like_several(translator, node, left, right)
    else:
        found = like(translator, node, left, translator.value(right))
    return Value(f"(NOT {found})" if node.args.get("negate") else found, BOOL)


def like(translator: Translator, node: exp.Expr, left: Value, pattern: Value) -> str:
    """Return SQL for LIKE, whose escape is a backslash."""
    if not {left.type.name, pattern.type.name} <= {"STRING", *_OPEN}:
        raise no_operator(translator, node, "LIKE", [left, pattern])
    escape = "" if pattern.is_constant and "\\" not in str(pattern.constant) else " ESCAPE '\\'"
    return f"({left.sql} LIKE {pattern.sql}{escape})"


def _like_several(translator: Translator, node: exp.Expr, left: Value, right: exp.Expr) -> str:
    inner = right.this
    if isinstance(inner, exp.Unnest):
        raise translator.refuse(node, "LIKE ANY UNNEST(…)")
    patterns = (
        inner.expressions if isinstance(inner, exp.Tuple) else [inner.this if isinstance(inner, exp.Paren) else inner]
    )
    word = " OR " if isinstance(right, exp.Any) else " AND "
    return "(" + word.join(like(translator, node, left, translator.value(each)) for each in patterns) + ")"


def _case(translator: Translator, node: exp.Expr) -> Value:
    subject = translator.value(node.this) if node.this else None
    conditions = []
    for branch in node.args["ifs"]:
        if subject:
            conditions.append(compared(translator, branch, "=", subject, translator.value(branch.this)))
        else:
            conditions.append(translator.condition(branch.this, "WHEN"))
    results = [translator.value(branch.args["true"]) for branch in node.args["ifs"]]
    default = node.args.get("default")
    results.append(translator.value(default) if default else Value("NULL", types.NULL, None))
    values, kind = unified(translator, node, "CASE", results)
    whens = " ".join(f"WHEN {when} THEN {then.sql}" for when, then in zip(conditions, values[:-1], strict=True))
    return Value(f"(CASE {whens} ELSE {values[-1].sql} END)", kind)


def _if(translator: Translator, node: exp.Expr) -> Value:
    condition = translator.condition(node.this, "IF")
    otherwise = node.args.get("false")
    if otherwise is None:
        raise InvalidArgument(f"IF takes three values{translator.place(node)}")
    results = [translator.value(node.args["true"]), translator.value(otherwise)]
    (then, other), kind = unified(translator, node, "IF", results)
    return Value(f"(CASE WHEN {condition} THEN {then.sql} ELSE {other.sql} END)", kind)


def unified(translator: Translator, node: exp.Expr, what: str, results: Sequence[Value]) -> tuple[list[Value], Type]:
    """Return values as their common type; a text that is written in the query may stand for a date or time."""
    kind = types.common_type([each.type for each in results])
    if not kind:
        others = [each for each in results if not (each.type.name == "STRING" and each.is_constant)]
        kind = types.common_type([each.type for each in others])
        if not kind or not all(can_coerce(each, kind.name) for each in results if each not in others):
            names = ", ".join(sorted({each.type.short for each in results}))
            raise InvalidArgument(f"The results of {what} have different types{translator.place(node)}: {names}")
    return [coerced(each, kind) for each in results], kind


def _tuple(translator: Translator, node: exp.Expr) -> Value:
    return struct_value([(f"_field_{i}", each) for i, each in enumerate(translator.values(node.expressions), 1)])


def struct_value(parts: Sequence[tuple[str, Value]]) -> Value:
    """Return a STRUCT."""
    packed = ", ".join(f"{text(name)}: {value.sql}" for name, value in parts)
    return Value(f"{{{packed}}}", types.struct_of(*((name, value.type) for name, value in parts)), parts=tuple(parts))


EXPRESSIONS |= {
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_BITWISE, _bitwise),
    exp.Div: _divide,
    exp.Neg: _negative,
    exp.DPipe: _concatenated,
    exp.BitwiseNot: _bitwise_not,
    exp.And: _logic("AND"),
    exp.Or: _logic("OR"),
    exp.Not: _not,
    exp.Between: _between,
    exp.NullSafeEQ: _is_distinct("NOT DISTINCT"),
    exp.NullSafeNEQ: _is_distinct("DISTINCT"),
    exp.Is: _is,
    exp.In: _in,
    exp.Like: _like,
    exp.Case: _case,
    exp.If: _if,
    exp.Tuple: _tuple,
}

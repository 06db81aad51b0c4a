"""Expressions: one function for each kind of node of the tree. What is not listed here is refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

from sqlglot import exp

from dicom_export.adapters.local.bigquery_sql import parsing, types
from dicom_export.adapters.local.bigquery_sql.names import Scope, Table, Use, fields, json_member, stored
from dicom_export.adapters.local.bigquery_sql.types import ANY, INT64, STRING, Type, array_of, struct_of
from dicom_export.adapters.local.bigquery_sql.values import NOT_CONSTANT, NULL_VALUE, Value, fail, text
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_export.adapters.local.bigquery_sql.catalog import Catalog

_TYPES = {
    exp.DType.TEXT: types.STRING,
    exp.DType.VARCHAR: types.STRING,
    exp.DType.BIGINT: types.INT64,
    exp.DType.INT: types.INT64,
    exp.DType.SMALLINT: types.INT64,
    exp.DType.TINYINT: types.INT64,
    exp.DType.DOUBLE: types.FLOAT64,
    exp.DType.FLOAT: types.FLOAT64,
    exp.DType.DECIMAL: types.NUMERIC,
    exp.DType.BOOLEAN: types.BOOL,
    exp.DType.BINARY: types.BYTES,
    exp.DType.VARBINARY: types.BYTES,
    exp.DType.DATE: types.DATE,
    exp.DType.TIME: types.TIME,
    exp.DType.TIMESTAMP: types.DATETIME,
    exp.DType.DATETIME: types.DATETIME,
    exp.DType.TIMESTAMPTZ: types.TIMESTAMP,
    exp.DType.JSON: types.JSON,
    exp.DType.INTERVAL: types.INTERVAL,
}


@dataclass(frozen=True, slots=True)
class Translator:
    """What the translation of one query needs everywhere, and the names that are in scope."""

    sql: str
    catalog: Catalog
    scope: Scope
    query: Callable[[Translator, exp.Expr, Use], Table]
    """Translates a query inside this one."""
    numbers: Iterator[int] = field(default_factory=count)
    required: set[str] = field(default_factory=set)
    """The macros that the translation calls."""
    aggregate_filter: str = ""
    """A condition that every aggregate function gets: that of a column of PIVOT."""

    def within(self, scope: Scope) -> Translator:
        return replace(self, scope=scope)

    def alias(self) -> str:
        """Return a name that the query does not have."""
        return f"_{next(self.numbers)}"

    def place(self, node: exp.Expr) -> str:
        return parsing.place(node, self.sql)

    def refuse(self, node: exp.Expr, what: str) -> InvalidArgument:
        return InvalidArgument(f"{what} is not supported{self.place(node)}{parsing.HINT}")

    def value(self, node: exp.Expr) -> Value:
        """Return the translation of an expression.

        Raises InvalidArgument for what is unknown, has the wrong type, or is not on the list of what is supported.
        """
        kind = type(node)
        translate = EXPRESSIONS.get(kind)
        if not translate:
            raise self.refuse(node, _name_of(node))
        return translate(self, node)

    def values(self, nodes: Sequence[exp.Expr]) -> list[Value]:
        return [self.value(node) for node in nodes]

    def condition(self, node: exp.Expr, clause: str) -> str:
        found = self.value(node)
        if found.type.name not in {"BOOL", "NULL", "ANY"}:
            raise InvalidArgument(f"{clause} takes a condition, not {found.type.short}{self.place(node)}")
        return found.sql


def _name_of(node: exp.Expr) -> str:
    if isinstance(node, exp.NetFunc):
        return f"The function NET.{node.this.name}"
    if isinstance(node, exp.Func) and not isinstance(node, exp.Anonymous):
        return f"The function {node.sql_name()}"
    return f"{type(node).__name__} ({node.sql('bigquery')[:40]})"


def type_of(node: exp.DataType) -> Type:
    """Return the type that a CAST or a typed STRUCT or ARRAY names."""
    if node.this == exp.DType.ARRAY:
        return array_of(type_of(node.expressions[0])) if node.expressions else array_of(ANY)
    if node.this == exp.DType.STRUCT:
        return struct_of(*(_field_type(i, each) for i, each in enumerate(node.expressions, 1)))
    found = _TYPES.get(node.this)
    if not found:
        raise InvalidArgument(f"The type {node.sql('bigquery')} is not supported{parsing.HINT}")
    return found


def _field_type(position: int, node: exp.Expr) -> tuple[str, Type]:
    if isinstance(node, exp.ColumnDef) and isinstance(node.kind, exp.DataType):
        return node.name, type_of(node.kind)
    if isinstance(node, exp.DataType):
        return f"_field_{position}", type_of(node)
    raise InvalidArgument(f"The type {node.sql('bigquery')} is not supported{parsing.HINT}")


def _literal(_: Translator, node: exp.Expr) -> Value:
    if node.args.get("is_string"):
        return Value(text(node.name), STRING, node.name)
    digits = node.name
    if digits.isdigit():
        number = int(digits)
        if number >= 2**63:
            raise InvalidArgument("A whole number in the query is larger than INT64 holds")
        return Value(f"CAST({number} AS BIGINT)", INT64, number)
    return Value(f"CAST({text(digits)} AS DOUBLE)", types.FLOAT64, float(digits))


def _hexadecimal(_: Translator, node: exp.Expr) -> Value:
    number = int(node.name, 16)
    return Value(f"CAST({number} AS BIGINT)", INT64, number)


def _raw_text(_: Translator, node: exp.Expr) -> Value:
    return Value(text(node.name), STRING, node.name)


def _bytes(_: Translator, node: exp.Expr) -> Value:
    # sqlglot writes each byte as one character.
    content = node.name.encode("latin-1")
    return Value(f"unhex('{content.hex()}')", types.BYTES, content)


def _null(_: Translator, __: exp.Expr) -> Value:
    return NULL_VALUE


def _boolean(_: Translator, node: exp.Expr) -> Value:
    truth = bool(node.this)
    return Value("true" if truth else "false", types.BOOL, truth)


def _column(translator: Translator, node: exp.Expr) -> Value:
    if isinstance(node.this, exp.Star):
        raise InvalidArgument(f"* cannot be used here{translator.place(node)}")
    return translator.scope.resolve(path_of(node), translator.place(node))


def path_of(node: exp.Expr) -> list[str]:
    """Return the names of `a.b.c`."""
    parts = (node.args.get(key) for key in ("catalog", "db", "table", "this"))
    return [part.name for part in parts if part is not None]


def _identifier(translator: Translator, node: exp.Expr) -> Value:
    return translator.scope.resolve([node.name], translator.place(node))


def _dot(translator: Translator, node: exp.Expr) -> Value:
    member = node.args["expression"]
    if not isinstance(member, exp.Identifier):
        raise translator.refuse(member, _name_of(member))
    return fields(translator.value(node.this), [member.name], translator.place(node))


def _paren(translator: Translator, node: exp.Expr) -> Value:
    inner = translator.value(node.this)
    return replace(inner, sql=f"({inner.sql})")


def _bracket(translator: Translator, node: exp.Expr) -> Value:
    """Return an item of an array, of a JSON array or of a JSON object."""
    container = translator.value(node.this)
    [index] = node.expressions
    position = translator.value(index)
    where = translator.place(node)
    if container.type.name == "JSON":
        return _json_item(container, position, where)
    if container.type.name not in {"ARRAY", "ANY"}:
        raise InvalidArgument(f"[…] takes an item of an ARRAY or of JSON, not of {container.type.short}{where}")
    if position.type.name not in {"INT64", "ANY", "NULL"}:
        raise InvalidArgument(f"The position in an array is an INT64, not {position.type.short}{where}")
    base = node.args.get("offset") or 0
    source = container.stored_sql or container.sql
    element = container.type.element
    item = _item(source, position, base, element)
    if not node.args.get("safe"):
        item = _checked_item(source, position, base, item)
    return stored(item, element) if container.stored_sql else Value(item, element)


def _item(source: str, position: Value, base: int, element: Type) -> str:
    """Return SQL for an item, or NULL if there is none. DuckDB counts from 1, and negative positions from the end."""
    if isinstance(position.constant, int):
        known = position.constant >= base
        return f"list_extract({source}, {position.constant + 1 - base})" if known else f"CAST(NULL AS {element.duckdb})"
    index = position.sql if base else f"{position.sql} + 1"
    return f"CASE WHEN {position.sql} >= {base} THEN list_extract({source}, {index}) END"


def _checked_item(source: str, position: Value, base: int, item: str) -> str:
    words = ("ORDINAL", "SAFE_ORDINAL") if base else ("OFFSET", "SAFE_OFFSET")
    error = fail(f"An array has no item at the position of {words[0]}: {words[1]} gives NULL instead")
    last = f"coalesce(len({source}), 0) - {1 - base}"
    return f"CASE WHEN {position.sql} < {base} OR {position.sql} > {last} THEN {error} ELSE {item} END"


def _json_item(container: Value, position: Value, where: str) -> Value:
    if position.type.name == "STRING":
        if position.is_constant:
            return json_member(container, str(position.constant))
        path = f"""'$."' || replace({position.sql}, '"', '\\"') || '"'"""
        return Value(f"json_extract({container.sql}, {path})", types.JSON)
    if position.type.name != "INT64":
        raise InvalidArgument(f"JSON[…] takes a name or a position, not {position.type.short}{where}")
    if isinstance(position.constant, int):
        return Value(f"json_extract({container.sql}, '$[{position.constant}]')", types.JSON)
    item = f"json_extract({container.sql}, '$[' || {position.sql} || ']')"
    return Value(f"CASE WHEN {position.sql} >= 0 THEN {item} END", types.JSON)


def _array(translator: Translator, node: exp.Expr) -> Value:
    if len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Query):
        return _array_subquery(translator, node.expressions[0])
    return _array_value(translator.values(node.expressions), translator.place(node))


def _array_value(items: Sequence[Value], where: str) -> Value:
    """Return an array of items, coerced to their common type."""
    element = types.common_type([item.type for item in items]) if items else types.NULL
    if element is None:
        names = ", ".join(sorted({item.type.short for item in items}))
        raise InvalidArgument(f"The items of an array have different types{where}: {names}")
    joined = ", ".join(coerced(item, element).sql for item in items)
    constant = [item.constant for item in items] if all(item.is_constant for item in items) else NOT_CONSTANT
    return Value(f"[{joined}]", array_of(element), constant)


def _array_subquery(translator: Translator, query: exp.Query) -> Value:
    found = value_subquery(translator, query)
    [(_, element)] = _one_column(found, translator.place(query))
    return Value(f"ARRAY({found.sql})", array_of(element))


def _one_column(found: Table, where: str) -> list[tuple[str, Type]]:
    columns = list(found.columns.items())
    if len(columns) != 1:
        raise InvalidArgument(
            f"A subquery that is a value has one column, not {len(columns)}{where}: use SELECT AS STRUCT"
        )
    return columns


def value_subquery(translator: Translator, query: exp.Expr) -> Table:
    """Return a query whose rows are values: SELECT AS STRUCT makes one of its columns."""
    return translator.query(translator, query, Use.VALUE)


def subquery(translator: Translator, query: exp.Expr) -> Table:
    """Return a query inside another."""
    return translator.query(translator, query, Use.ROWS)


def _scalar_subquery(translator: Translator, node: exp.Expr) -> Value:
    found = value_subquery(translator, node.this if isinstance(node, exp.Subquery) else node)
    [(_, kind)] = _one_column(found, translator.place(node))
    return Value(f"({found.sql})", kind)


def _exists(translator: Translator, node: exp.Expr) -> Value:
    return Value(f"EXISTS ({subquery(translator, node.this).sql})", types.BOOL)


def _interval(translator: Translator, node: exp.Expr) -> Value:
    unit = node.args.get("unit")
    if not isinstance(unit, exp.Var):
        raise translator.refuse(node, "An INTERVAL from one part to another")
    number = node.this
    if isinstance(number, exp.Literal) and number.is_string and number.name.lstrip("-").isdigit():
        amount = f"CAST({number.name} AS BIGINT)"
    else:
        amount = translator.value(number).sql
    return Value(f"to_{_plural(unit.name.upper())}({amount})", types.INTERVAL, unit.name.upper())


def _plural(unit: str) -> str:
    # 1 quarter is 3 months; DuckDB has a function for each of the others too.
    return f"{unit.lower()}s" if unit != "CENTURY" else "centuries"


def coerced(value: Value, target: Type) -> Value:
    """Return a value as the type that an operator or a function takes."""
    from dicom_export.adapters.local.bigquery_sql.casts import cast  # noqa: PLC0415

    if target.name in {"ANY", "NULL", "PART"} or value.type.name in {"ANY", "PART"}:
        return value
    if value.type.name == "NULL":
        return (
            replace(value, type=target)
            if target.name == "STRUCT"
            else Value(f"CAST(NULL AS {target.duckdb})", target, None)
        )
    if value.type.name == target.name:
        differs = target.name in {"ARRAY", "STRUCT"} and target.source is None and str(target) != str(value.type)
        return Value(cast(value, target), target) if differs else value
    # An INTERVAL's unit is its constant: it stays.
    return Value(cast(value, target), target, value.constant)


EXPRESSIONS: dict[type[exp.Expr], Callable[[Translator, exp.Expr], Value]] = {
    exp.Literal: _literal,
    exp.HexString: _hexadecimal,
    exp.RawString: _raw_text,
    exp.ByteString: _bytes,
    exp.Null: _null,
    exp.Boolean: _boolean,
    exp.Column: _column,
    exp.Identifier: _identifier,
    exp.Dot: _dot,
    exp.Paren: _paren,
    exp.Bracket: _bracket,
    exp.Array: _array,
    exp.Subquery: _scalar_subquery,
    exp.Select: _scalar_subquery,
    exp.SetOperation: _scalar_subquery,
    exp.Union: _scalar_subquery,
    exp.Exists: _exists,
    exp.Interval: _interval,
}

"""Which column a name means, as in BigQuery: an alias in FROM wins over a column, whatever the case of its letters."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeVar

from dicom_export.adapters.local.bigquery_sql.types import JSON, Type, struct_of
from dicom_export.adapters.local.bigquery_sql.values import Value, text
from dicom_export.adapters.local.duckdb.mistakes import Unknown, UnknownName, column_not_found, field_not_found
from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Table:
    """Something that FROM can name: its SQL, and its columns.

    `stored` are the columns whose arrays are NULL if they are empty.
    """

    sql: str
    columns: Mapping[str, Type]
    stored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Source:
    """One item of FROM. `name` is what the SELECT calls it, if anything; `columns` are values by the names they have.

    `element` is the item of an UNNEST, and `shown` the columns of `SELECT *`.
    """

    name: str | None
    columns: Mapping[str, Value]
    row: str = ""
    element: Value | None = None

    def column(self, name: str) -> Value | None:
        return _ignoring_case(self.columns, name)

    def as_value(self) -> Value:
        """Return the row as one value: the item of an UNNEST, or a STRUCT of a table's columns."""
        if self.element:
            return self.element
        kinds = struct_of(*((name, column.type) for name, column in self.columns.items()))
        return Value(self.row, kinds, parts=tuple(self.columns.items()))


@dataclass(slots=True)
class Scope:
    """The names that an expression of one SELECT may use, and around them those of the SELECTs outside."""

    outer: Scope | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    merged: dict[str, Value] = field(default_factory=dict)
    """The columns of USING."""
    aliases: dict[str, Value] = field(default_factory=dict)
    """What the SELECT list calls its columns, once the clauses after it are translated."""

    def chain(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope:
            yield scope
            scope = scope.outer

    def table(self, name: str) -> Table | None:
        """Return the table of a WITH."""
        found = (_ignoring_case(scope.tables, name) for scope in self.chain())
        return next((table for table in found if table), None)

    def source(self, name: str) -> Source | None:
        for scope in self.chain():
            for source in scope.sources:
                if source.name is not None and source.name.lower() == name.lower():
                    return source
        return None

    def add(self, source: Source) -> None:
        if source.name is not None and any(
            each.name and each.name.lower() == source.name.lower() for each in self.sources
        ):
            raise InvalidArgument(f"Two tables in FROM have the name {source.name}: give one of them another with AS")
        self.sources.append(source)

    def resolve(self, path: Sequence[str], where: str) -> Value:
        """Return the value of `a.b.c`.

        Raises InvalidArgument, with `where` it stands, for a name that means nothing or two things.
        """
        for scope in self.chain():
            if found := scope.resolve_here(path, where):
                return found
        raise UnknownName(Unknown(path[0], self._known(), where), column_not_found)

    def resolve_here(self, path: Sequence[str], where: str) -> Value | None:
        """Return the value of `a.b.c` as this SELECT has it, whatever those outside have."""
        name, *rest = path
        if alias := _ignoring_case(self.aliases, name):
            return fields(alias, rest, where)
        if source := next((each for each in self.sources if each.name and each.name.lower() == name.lower()), None):
            return self._in_source(source, rest, where)
        if merged := _ignoring_case(self.merged, name):
            return fields(merged, rest, where)
        found = [column for source in self.sources if (column := source.column(name))]
        if len(found) > 1:
            raise InvalidArgument(f"Column {name}{where} is ambiguous: write the table's name or alias before it")
        return fields(found[0], rest, where) if found else None

    @staticmethod
    def _in_source(source: Source, rest: Sequence[str], where: str) -> Value:
        if source.element:
            return fields(source.element, rest, where)
        if not rest:
            return source.as_value()
        column = source.column(rest[0])
        if not column:
            raise UnknownName(Unknown(rest[0], tuple(source.columns), where), column_not_found)
        return fields(column, rest[1:], where)

    def _known(self) -> tuple[str, ...]:
        known = [each for scope in self.chain() for source in scope.sources for each in source.columns]
        names = [source.name for scope in self.chain() for source in scope.sources if source.name]
        return (*known, *names)


def fields(value: Value, path: Sequence[str], where: str) -> Value:
    """Return a field of a STRUCT or of a JSON value, however deep."""
    for name in path:
        value = _field(value, name, where)
    return value


def _field(value: Value, name: str, where: str) -> Value:
    if value.type.name == "JSON":
        return json_member(value, name)
    if value.type.name == "ARRAY":
        raise InvalidArgument(
            f"Cannot read the field {name} of an ARRAY{where}: take one item with [SAFE_OFFSET(0)], or use UNNEST"
        )
    if value.type.name != "STRUCT":
        raise InvalidArgument(f"Cannot read the field {name} of a value of type {value.type.short}{where}")
    found = value.type.field(name)
    if not found:
        raise UnknownName(Unknown(name, tuple(each for each, _ in value.type.fields), where), field_not_found)
    if value.parts:
        return next(part for each, part in value.parts if each == found[0])
    return stored(f"struct_extract({value.sql}, {text(found[0])})", found[1])


def json_member(value: Value, name: str) -> Value:
    """Return the member of a JSON object: 00080060 is a name, not a position."""
    escaped = name.replace('"', '\\"')
    return Value(f"""json_extract({value.sql}, {text(f'$."{escaped}"')})""", JSON)


def stored(sql: str, type_: Type) -> Value:
    """Return a value that a table holds. BigQuery's tables have no NULL arrays: an absent one is empty."""
    if type_.name == "ARRAY":
        return Value(f"coalesce({sql}, [])", type_, stored_sql=sql)
    return Value(sql, type_)


def columns_of(alias: str, table: Table) -> dict[str, Value]:
    """Return the columns of a table that the translation calls by an alias."""
    return {name: _of_table(f"{alias}.{quoted(name)}", type_, table, name) for name, type_ in table.columns.items()}


def _of_table(sql: str, type_: Type, table: Table, name: str) -> Value:
    return stored(sql, type_) if name in table.stored else Value(sql, type_)


def _ignoring_case(named: Mapping[str, _T], name: str) -> _T | None:
    if name in named:
        return named[name]
    return next((value for each, value in named.items() if each.lower() == name.lower()), None)


class Use(Enum):
    """What becomes of a query's rows."""

    ROWS = auto()
    """They are those of a subquery."""
    VALUE = auto()
    """Each is one value, as in ARRAY(SELECT …)."""
    SHOWN = auto()
    """They are the result: an array that is NULL becomes an empty one, as in BigQuery."""

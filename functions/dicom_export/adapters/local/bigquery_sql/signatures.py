"""The tables of functions as overloads, and the choice of the one that fits a call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dicom_export.adapters.local.bigquery_sql import types
from dicom_export.adapters.local.bigquery_sql.functions.aggregates import AGGREGATES, WINDOWS
from dicom_export.adapters.local.bigquery_sql.functions.dates import DATES
from dicom_export.adapters.local.bigquery_sql.functions.json import JSON
from dicom_export.adapters.local.bigquery_sql.functions.numbers import ARRAYS, NUMBERS
from dicom_export.adapters.local.bigquery_sql.functions.text import TEXT
from dicom_export.adapters.local.bigquery_sql.types import Type, array_of, common_type, struct_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dicom_export.adapters.local.bigquery_sql.values import Value

GROUPS = {
    "Text and bytes": TEXT,
    "Numbers and conditions": NUMBERS,
    "Dates and times": DATES,
    "Arrays": ARRAYS,
    "JSON": JSON,
    "Aggregates": AGGREGATES,
    "Windows": WINDOWS,
}
SPECIAL = {
    "Text and bytes": ("NORMALIZE(STRING, MODE) -> STRING",),
    "Numbers and conditions": ("IF(BOOL, T, T) -> T", "CAST(ANY AS TYPE)", "SAFE_CAST(ANY AS TYPE)", "STRUCT(ANY…)"),
    "Dates and times": ("EXTRACT(PART FROM ANY [AT TIME ZONE STRING]) -> INT64",),
    "Arrays": ("ARRAY(SELECT …) -> ARRAY<T>", "EXISTS(SELECT …) -> BOOL"),
    "Aggregates": (
        "ARRAY_AGG(T) -> ARRAY<T>",
        "COUNT(*) -> INT64",
        "COUNTIF(BOOL) -> INT64",
        "STRING_AGG(STRING[, STRING]) -> STRING",
    ),
}
"""What has a syntax of its own, or clauses inside the brackets; `special` and `aggregation` translate it."""
_LINE = re.compile(r"(\w+)\((.*?)\) -> ([\w<>, ]+): (.*)")
_TEMPORAL = ("DATE", "DATETIME", "TIMESTAMP", "TIME")
# What a value that is written in the query, or any value, can be coerced to.
_COERCED = {"INT64": ("NUMERIC", "FLOAT64"), "NUMERIC": ("FLOAT64",), "DATE": ("DATETIME",)}


@dataclass(frozen=True, slots=True)
class Overload:
    """One way to call a function."""

    name: str
    parameters: tuple[str, ...]
    result: str
    template: str
    is_variadic: bool
    group: str

    @property
    def signature(self) -> str:
        dots = "…" if self.is_variadic else ""
        parameters = ", ".join(re.sub(r"(\w+)!", r"constant \1", each) for each in self.parameters)
        return f"{self.name}({parameters}{dots}) -> {self.result}"

    def pattern(self, position: int) -> str:
        return self.parameters[min(position, len(self.parameters) - 1)]


@dataclass(frozen=True, slots=True)
class Match:
    """The overload of a call, with the type of each argument and of the result."""

    overload: Overload
    arguments: tuple[Type, ...]
    result: Type


@cache
def overloads() -> Mapping[str, tuple[Overload, ...]]:
    """Return the overloads of each function by its name."""
    named: dict[str, tuple[Overload, ...]] = {}
    for group, table in GROUPS.items():
        for line in table.strip().splitlines():
            overload = _overload(line, group)
            named[overload.name] = (*named.get(overload.name, ()), overload)
    return named


def _overload(line: str, group: str) -> Overload:
    found = _LINE.fullmatch(line)
    if not found:
        raise ValueError(f"{line!r} is not a line of a table of functions")
    name, parameters, result, template = found.groups()
    patterns = tuple(filter(None, (each.removesuffix("...") for each in parameters.split(", "))))
    return Overload(name, patterns, result, template, parameters.endswith("..."), group)


def match(name: str, arguments: Sequence[Value]) -> Match | None:
    """Return the first overload that takes the arguments as they are, else the first that takes them coerced."""
    for coerced in (False, True):
        for overload in overloads()[name]:
            if found := _match(overload, arguments, coerced=coerced):
                return found
    return None


def _match(overload: Overload, arguments: Sequence[Value], *, coerced: bool) -> Match | None:
    fits = (
        len(arguments) >= len(overload.parameters)
        if overload.is_variadic
        else len(arguments) == len(overload.parameters)
    )
    if not fits:
        return None
    patterns = [overload.pattern(i) for i in range(len(arguments))]
    variable = _variable(patterns, arguments)
    if variable is None:
        return None
    found = [_argument(p, a, variable, coerced=coerced) for p, a in zip(patterns, arguments, strict=True)]
    taken = tuple(each for each in found if each)
    if len(taken) < len(found):
        return None
    return Match(overload, taken, _result(overload.result, variable, taken))


def _variable(patterns: Sequence[str], arguments: Sequence[Value]) -> Type | None:
    """Return what `T` is in this call, or None if the arguments have nothing in common."""
    bound = []
    for pattern, argument in zip(patterns, arguments, strict=True):
        if pattern == "T":
            bound.append(argument.type)
        elif pattern == "ARRAY<T>":
            if argument.type.name == "ARRAY":
                bound.append(argument.type.element)
            elif argument.type.name not in {"NULL", "ANY"}:
                return None
    return common_type(_literals_coerced(bound, patterns, arguments)) if bound else types.ANY


def _literals_coerced(bound: list[Type], patterns: Sequence[str], arguments: Sequence[Value]) -> list[Type]:
    """Return the types without those of texts that stand for a date or time: `IFNULL(StudyDate, '2020-01-01')`."""
    if not any(each.name in _TEMPORAL for each in bound):
        return bound
    of_t = [a for p, a in zip(patterns, arguments, strict=True) if p in {"T", "ARRAY<T>"}]
    return [each for each, a in zip(bound, of_t, strict=False) if not (a.type.name == "STRING" and a.is_constant)]


def _argument(pattern: str, argument: Value, variable: Type, *, coerced: bool) -> Type | None:  # noqa: PLR0911 - one per pattern
    wanted = "STRING" if pattern == "ZONE" else pattern.removesuffix("!")
    if (pattern.endswith("!") or pattern == "ZONE") and not argument.is_constant:
        return None
    kind = argument.type.name
    if wanted == "T":
        return variable
    if wanted == "ANY":
        return argument.type
    if wanted.startswith("ARRAY<"):
        return _array_argument(wanted, argument, variable)
    if wanted == "NUMBER":
        return argument.type if kind in types.NUMBERS else None
    if kind == wanted:
        return argument.type
    if kind in {"NULL", "ANY"} and wanted != "PART":
        return Type(wanted)
    return Type(wanted) if coerced and can_coerce(argument, wanted) else None


def _array_argument(wanted: str, argument: Value, variable: Type) -> Type | None:
    if argument.type.name in {"NULL", "ANY"}:
        return array_of(variable)
    if argument.type.name != "ARRAY":
        return None
    element = wanted[6:-1]
    if element == "T":
        return array_of(variable)
    return argument.type if argument.type.element.name in {element, "NULL"} else None


def can_coerce(argument: Value, wanted: str) -> bool:
    """Return whether BigQuery takes an argument for the wanted type without a CAST."""
    kind = argument.type.name
    if kind == "STRING" and argument.is_constant:
        return wanted in _TEMPORAL
    if kind == "DATE":
        return wanted in {"DATETIME", "TIMESTAMP"}
    if kind == "DATETIME":
        return wanted == "TIMESTAMP"
    return wanted in _COERCED.get(kind, ())


def _result(result: str, variable: Type, arguments: Sequence[Type]) -> Type:
    if result == "T":
        return variable
    if result == "1":
        return arguments[0]
    if result.startswith("ARRAY<STRUCT<value T"):
        return array_of(struct_of(("value", variable), ("count", types.INT64)))
    if result.startswith("ARRAY<"):
        return array_of(_result(result[6:-1], variable, arguments))
    return Type(result)

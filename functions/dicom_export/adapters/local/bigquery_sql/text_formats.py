"""FORMAT: a text with values put in, `FORMAT('%05d', n)`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dicom_export.adapters.local.bigquery_sql.casts import cast
from dicom_export.adapters.local.bigquery_sql.types import FLOAT64, NUMBERS, STRING
from dicom_export.adapters.local.bigquery_sql.values import Value, text
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.adapters.local.bigquery_sql.types import Type

_SPECIFIER = re.compile(r"%([-+ #0']*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")
_INTEGER_VERBS = {"d": "d", "i": "d", "o": "o", "x": "x", "X": "X"}
_COMMA = ", ', ', "
_QUOTED = ("DATE", "DATETIME", "TIMESTAMP", "TIME")


def formatted(pattern: str, arguments: Sequence[Value]) -> str:
    """Return SQL for FORMAT.

    Raises InvalidArgument for a specifier that is unknown or does not fit its value, and for too many or few values.
    """
    pieces, rest, end = [], list(arguments), 0
    for found in _SPECIFIER.finditer(pattern):
        pieces.append(_plain(pattern[end : found.start()]))
        end = found.end()
        if found[4] == "%":
            pieces.append("'%'")
        elif not rest:
            raise InvalidArgument("FORMAT has more specifiers than values")
        else:
            pieces.append(_piece(found, rest.pop(0)))
    pieces.append(_plain(pattern[end:]))
    if rest:
        raise InvalidArgument("FORMAT has more values than specifiers")
    whole = " || ".join(f"({each})" for each in pieces if each != "''") or "''"
    return f"CAST({whole} AS VARCHAR)"


def _plain(value: str) -> str:
    if "%" in value:
        raise InvalidArgument("FORMAT has a specifier that is not known here; write %% for a percent sign")
    return text(value)


def _piece(found: re.Match[str], value: Value) -> str:
    flags, width, precision, verb = found[1] or "", found[2] or "", found[3], found[4]
    if verb in _INTEGER_VERBS:
        _check(value, verb, ("INT64",))
        return _number(value.sql, flags, width, None, _INTEGER_VERBS[verb])
    if verb in "fFeEgG":
        _check(value, verb, NUMBERS)
        return _number(cast(value, FLOAT64), flags, width, precision or "6", verb)
    if verb == "s":
        _check(value, verb, ("STRING",))
        return _padded(_cut(value.sql, precision), flags, width)
    if verb == "t":
        return _padded(_cut(printed(value), precision), flags, width)
    if verb == "T":
        return _padded(_cut(literal(value), precision), flags, width)
    if verb in "pP":
        raise InvalidArgument(f"FORMAT with %{verb} is not translated: use TO_JSON_STRING")
    raise InvalidArgument(f"FORMAT does not know %{verb}")


def _check(value: Value, verb: str, kinds: tuple[str, ...]) -> None:
    if value.type.name not in {*kinds, "NULL", "ANY"}:
        raise InvalidArgument(
            f"FORMAT with %{verb} takes {' or '.join(kinds)}, not {value.type.short}: %t takes any value"
        )


def _number(sql: str, flags: str, width: str, precision: str | None, verb: str) -> str:
    """Return SQL for a number. The sign, the grouping and the padding are put on here: DuckDB lacks some of them."""
    grouping = "," if "'" in flags and verb in "dfF" else ""
    digits = f".{precision}" if precision else ""
    form = f"{{:{grouping}{digits}{verb}}}"
    body = f"format({text(form)}, abs({sql}))"
    if "#" in flags and verb in "xXo":
        body = f"'{'0' if verb == 'o' else '0' + verb}' || {body}"
    positive = "+" if "+" in flags else " " if " " in flags else ""
    sign = f"CASE WHEN {sql} < 0 THEN '-' ELSE '{positive}' END"
    if "0" in flags and "-" not in flags and width:
        return f"{sign} || lpad({body}, CAST(greatest(length({body}), {width} - length({sign})) AS INTEGER), '0')"
    return _padded(f"{sign} || {body}", flags, width)


def _cut(sql: str, precision: str | None) -> str:
    return f"left({sql}, {precision})" if precision is not None else sql


def _padded(sql: str, flags: str, width: str) -> str:
    if not width:
        return sql
    side = "rpad" if "-" in flags else "lpad"
    return f"{side}({sql}, CAST(greatest(length({sql}), {width}) AS INTEGER), ' ')"


def printed(value: Value) -> str:
    """Return SQL for a value as %t prints it. NULL is the text NULL."""
    return f"coalesce({_printed(value.sql, value.type)}, 'NULL')"


def _printed(sql: str, type_: Type) -> str:
    if type_.name == "ARRAY":
        each = f"coalesce({_printed('each', type_.element)}, 'NULL')"
        return f"'[' || array_to_string(list_transform({sql}, lambda each: {each}), ', ') || ']'"
    if type_.name == "STRUCT":
        parts = [f"coalesce({_printed(_field(sql, name), kind)}, 'NULL')" for name, kind in type_.fields]
        return f"CASE WHEN {sql} IS NOT NULL THEN concat('(', {_COMMA.join(parts)}, ')') END"
    if type_.name == "FLOAT64":
        return _with_fraction(sql)
    if type_.name == "JSON":
        return f"CAST({sql} AS VARCHAR)"
    return cast(Value(sql, type_), STRING)


def literal(value: Value) -> str:
    """Return SQL for a value as %T prints it: as one would write it in a query."""
    return f"coalesce({_literal(value.sql, value.type)}, 'NULL')"


def _literal(sql: str, type_: Type) -> str:
    if type_.name == "ARRAY":
        each = f"coalesce({_literal('each', type_.element)}, 'NULL')"
        return f"'[' || array_to_string(list_transform({sql}, lambda each: {each}), ', ') || ']'"
    if type_.name == "STRUCT":
        parts = [f"coalesce({_literal(_field(sql, name), kind)}, 'NULL')" for name, kind in type_.fields]
        return f"CASE WHEN {sql} IS NOT NULL THEN concat('(', {_COMMA.join(parts)}, ')') END"
    if type_.name == "STRING":
        escaped = f"""replace(replace(replace({sql}, '\\', '\\\\'), chr(10), '\\n'), '"', '\\"')"""
        return f"""'"' || {escaped} || '"'"""
    if type_.name in _QUOTED:
        return f"""'{type_.name} "' || {cast(Value(sql, type_), STRING)} || '"'"""
    if type_.name == "NUMERIC":
        return f"""'NUMERIC "' || {cast(Value(sql, type_), STRING)} || '"'"""
    return _printed(sql, type_)


def _with_fraction(sql: str) -> str:
    """Return SQL for a FLOAT64 that shows that it is one: 1.0, not 1."""
    plain = cast(Value(sql, FLOAT64), STRING)
    return f"CASE WHEN isfinite({sql}) AND regexp_full_match({plain}, '-?[0-9]+') THEN {plain} || '.0' ELSE {plain} END"


def _field(sql: str, name: str) -> str:
    return f"struct_extract({sql}, {text(name)})"

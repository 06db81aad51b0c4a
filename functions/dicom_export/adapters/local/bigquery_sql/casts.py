"""CAST and SAFE_CAST, which take less than DuckDB's, and write values otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.adapters.local.bigquery_sql.types import NUMBERS, Type
from dicom_export.adapters.local.bigquery_sql.values import Value, cast_keyword, fail, text
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

_SPACE = r"[\s\v]*"
_ZONE = r"(?i:[ ]?(?:Z|UTC|[+-][0-9]{1,2}(?::[0-9]{2})?|[A-Z]+(?:[_/+-][A-Z0-9_+-]+)+))?"
_DATE = r"[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}"
_TIME = r"(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9](?:\.[0-9]{0,6}0*)?"
_PATTERNS = {
    "INT64": rf"{_SPACE}[+-]?[0-9]+{_SPACE}",
    "FLOAT64": rf"(?i){_SPACE}[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan){_SPACE}",
    "NUMERIC": rf"(?i){_SPACE}[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?{_SPACE}",
    "DATE": _DATE,
    "TIME": _TIME,
    "DATETIME": rf"{_DATE}(?:[ Tt]{_TIME})?",
    "TIMESTAMP": rf"{_DATE}(?:[ Tt]{_TIME})?{_ZONE}",
}
_EXPECTED = {
    "INT64": "a whole number",
    "FLOAT64": "a number",
    "NUMERIC": "a number",
    "BOOL": "true or false",
    "DATE": "a date like 2024-01-31",
    "TIME": "a time like 23:59:59.123456",
    "DATETIME": "a date and time like 2024-01-31 23:59:59",
    "TIMESTAMP": "a time like 2024-01-31 23:59:59+00",
}


def cast(value: Value, target: Type, *, safe: bool = False) -> str:
    """Return SQL for the value as another type.

    Raises InvalidArgument where BigQuery has no such cast.
    """
    source = value.type.name
    if source in {"NULL", "ANY"}:
        return f"{cast_keyword(safe=safe)}({value.sql} AS {target.duckdb})"
    if source == target.name:
        return _nested(value, target, safe=safe) if source in {"ARRAY", "STRUCT"} else value.sql
    if source == "STRING":
        return _from_text(value.sql, target, safe=safe)
    if target.name == "STRING" and source in _TO_TEXT:
        return _TO_TEXT[source](value.sql, safe)
    if conversion := _CONVERSIONS.get((source, target.name)):
        return conversion.replace("CAST?", cast_keyword(safe=safe)).replace("{1}", value.sql)
    hint = _HINTS.get((source, target.name), "")
    raise InvalidArgument(f"{value.type.short} cannot be cast to {target.short}{hint}")


def _nested(value: Value, target: Type, *, safe: bool) -> str:
    """Return a STRUCT with the fields of another, by their position, or an ARRAY of such."""
    if target.name == "ARRAY":
        return _array(value, target, safe=safe)
    parts = value.type.fields
    if len(parts) != len(target.fields):
        raise InvalidArgument(f"A STRUCT of {len(parts)} fields cannot be cast to one of {len(target.fields)}")
    casted = [
        (name, cast(Value(f"struct_extract({value.sql}, {text(old)})", kind), wanted, safe=safe))
        for (old, kind), (name, wanted) in zip(parts, target.fields, strict=True)
    ]
    packed = ", ".join(f"{text(name)}: {sql}" for name, sql in casted)
    return f"CASE WHEN {value.sql} IS NOT NULL THEN {{{packed}}} END"


def _array(value: Value, target: Type, *, safe: bool) -> str:
    mine, wanted = value.type.element, target.element
    if wanted.name == mine.name == "STRUCT":
        return f"list_transform({value.sql}, lambda item: {cast(Value('item', mine), wanted, safe=safe)})"
    if wanted.name == mine.name:
        return value.sql
    if mine.name in {"NULL", "ANY"} or {wanted.name, mine.name} <= set(NUMBERS):
        return f"CAST({value.sql} AS {target.duckdb})"
    raise InvalidArgument(f"{value.type.short} cannot be cast to {target.short}: use ARRAY(SELECT CAST(…) …)")


def _from_text(sql: str, target: Type, *, safe: bool) -> str:
    kind = target.name
    error = fail(
        f"A text is not {_EXPECTED.get(kind, kind)}, as CAST AS {kind} takes it: SAFE_CAST gives NULL instead",
        safe=safe,
    )
    if kind == "BYTES":
        return f"encode({sql})"
    if kind == "BOOL":
        return f"CASE lower({sql}) WHEN 'true' THEN true WHEN 'false' THEN false ELSE CASE WHEN {sql} IS NOT NULL THEN {error} END END"
    if kind not in _PATTERNS:
        hint = ": use PARSE_JSON" if kind == "JSON" else ""
        raise InvalidArgument(f"STRING cannot be cast to {target.short}{hint}")
    checked = f"CASE WHEN regexp_full_match({sql}, {text(_PATTERNS[kind])}) THEN {{value}}"
    converted = f"TRY_CAST({_clean(sql, kind)} AS {target.duckdb})"
    if kind == "INT64":
        hexadecimal = f"WHEN regexp_full_match({sql}, '[+-]?0[xX][0-9a-fA-F]+') THEN {_from_hexadecimal(sql)}"
        checked = f"{checked} {hexadecimal}"
    found = f"{checked.replace('{value}', converted)} END"
    if kind in {"DATE", "DATETIME", "TIMESTAMP"}:
        found = f"CASE WHEN {sql} NOT SIMILAR TO '0+-.*' THEN {found} END"
    # What fits the pattern and is still no value (2024-02-30, 99999999999999999999) becomes NULL, and is the same error.
    return found if safe else f"coalesce({found}, CASE WHEN {sql} IS NOT NULL THEN {error} END)"


def _clean(sql: str, kind: str) -> str:
    if kind in {"INT64", "FLOAT64", "NUMERIC"}:
        return f"regexp_replace({sql}, '[\\s\\v]', '', 'g')"
    if kind == "TIMESTAMP":
        # DuckDB takes an hour of two digits, and no space before the sign.
        two_digits = rf"regexp_replace({sql}, '([+-])([0-9])((?::[0-9]{{2}})?)$', '\10\2\3')"
        return rf"regexp_replace({two_digits}, ' ([+-][0-9:]+)$', '\1')"
    return sql


def _from_hexadecimal(sql: str) -> str:
    digits = f"regexp_replace({sql}, '^[+-]?0[xX]', '')"
    positive = f"TRY_CAST('0x' || {digits} AS HUGEINT)"
    return f"TRY_CAST(CASE WHEN {sql} LIKE '-%' THEN -({positive}) ELSE {positive} END AS BIGINT)"


def float_text(sql: str, _: object = None) -> str:
    """Return SQL for a FLOAT64 as text: 15 digits if these are enough to read the number back, else 17."""
    short = f"format('{{:.15g}}', {sql})"
    zero_has_no_sign = f"WHEN {sql} = 0 THEN '0'"
    return f"CASE {zero_has_no_sign} WHEN isnan({sql}) THEN 'NaN' WHEN CAST({short} AS DOUBLE) = {sql} THEN {short} ELSE format('{{:.17g}}', {sql}) END"


def time_text(sql: str, _: object = None) -> str:
    """Return SQL for a TIME, DATETIME or TIMESTAMP as text, with no, three or six digits of a second."""
    plain = f"CAST({sql} AS VARCHAR)"
    padded = (
        f"regexp_replace(regexp_replace({plain}, '(\\.[0-9]+)', '\\1' || '00'), '(\\.(?:[0-9]{{3}})+)[0-9]*', '\\1')"
    )
    return f"CASE WHEN contains({plain}, '.') THEN {padded} ELSE {plain} END"


def numeric_text(sql: str, _: object = None) -> str:
    """Return SQL for a NUMERIC as text, without zeros at the end of its fraction."""
    plain = f"CAST({sql} AS VARCHAR)"
    return f"CASE WHEN contains({plain}, '.') THEN rtrim(rtrim({plain}, '0'), '.') ELSE {plain} END"


def _bytes_text(sql: str, safe: object) -> str:
    return f"TRY(decode({sql}))" if safe else f"decode({sql})"


_TO_TEXT: dict[str, Callable[[str, bool], str]] = {
    "INT64": lambda sql, _: f"CAST({sql} AS VARCHAR)",
    "FLOAT64": float_text,
    "NUMERIC": numeric_text,
    "BOOL": lambda sql, _: f"CAST({sql} AS VARCHAR)",
    "BYTES": _bytes_text,
    "DATE": lambda sql, _: f"CAST({sql} AS VARCHAR)",
    "TIME": time_text,
    "DATETIME": time_text,
    "TIMESTAMP": time_text,
}
_CONVERSIONS = {
    ("INT64", "FLOAT64"): "CAST({1} AS DOUBLE)",
    ("INT64", "NUMERIC"): "CAST({1} AS DECIMAL(38, 9))",
    ("INT64", "BOOL"): "({1} <> 0)",
    ("BOOL", "INT64"): "CAST({1} AS BIGINT)",
    ("NUMERIC", "INT64"): "CAST?({1} AS BIGINT)",
    ("NUMERIC", "FLOAT64"): "CAST({1} AS DOUBLE)",
    ("FLOAT64", "INT64"): "CAST?(round({1}) AS BIGINT)",
    ("FLOAT64", "NUMERIC"): "CAST?({1} AS DECIMAL(38, 9))",
    ("DATE", "DATETIME"): "CAST({1} AS TIMESTAMP)",
    ("DATE", "TIMESTAMP"): "(CAST({1} AS TIMESTAMP) AT TIME ZONE 'UTC')",
    ("DATETIME", "DATE"): "CAST({1} AS DATE)",
    ("DATETIME", "TIME"): "CAST({1} AS TIME)",
    ("DATETIME", "TIMESTAMP"): "({1} AT TIME ZONE 'UTC')",
    ("TIMESTAMP", "DATE"): "CAST({1} AT TIME ZONE 'UTC' AS DATE)",
    ("TIMESTAMP", "TIME"): "CAST({1} AT TIME ZONE 'UTC' AS TIME)",
    ("TIMESTAMP", "DATETIME"): "({1} AT TIME ZONE 'UTC')",
}
_HINTS = {
    ("JSON", "STRING"): ": use STRING, LAX_STRING or TO_JSON_STRING",
    ("JSON", "INT64"): ": use INT64 or LAX_INT64",
    ("JSON", "FLOAT64"): ": use FLOAT64 or LAX_FLOAT64",
    ("JSON", "BOOL"): ": use BOOL or LAX_BOOL",
    ("ARRAY", "STRING"): ": use ARRAY_TO_STRING or TO_JSON_STRING",
    ("STRUCT", "STRING"): ": use TO_JSON_STRING",
}

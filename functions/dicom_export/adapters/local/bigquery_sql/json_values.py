"""JSON: paths, and values as JSON text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dicom_export.adapters.local.bigquery_sql.casts import cast, numeric_text
from dicom_export.adapters.local.bigquery_sql.types import STRING, Type
from dicom_export.adapters.local.bigquery_sql.values import Value, text
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from dicom_export.adapters.local.bigquery_sql.call import Call

_STEP = re.compile(
    r"""\.(?P<name>[^.\["'\s]+)|\."(?P<quoted>(?:[^"\\]|\\.)*)"|\[(?P<index>\d+)\]|\[\s*'(?P<key>(?:[^'\\]|\\.)*)'\s*\]|\[\s*"(?P<key2>(?:[^"\\]|\\.)*)"\s*\]"""
)
# In BigQuery a number beyond what a FLOAT64 counts exactly is a string.
_WIDEST_INTEGER = 2**53
_COMMA = ", ',', "
_MENDED = {
    "ARRAY": ("null", r'"\1":[]'),
    "FLOAT64": (r"(-?[0-9]+)\.0\b", r'"\1":\2'),
    "DATETIME": (r'"([0-9-]+) ([0-9:.]+)"', r'"\1":"\2T\3"'),
    "TIMESTAMP": (r'"([0-9-]+) ([0-9:.]+)\+00"', r'"\1":"\2T\3Z"'),
}


def path(call: Call, position: int = 1) -> str:
    """Return a JSONPath as DuckDB takes it: every name quoted, because 00080060 is a name and no position."""
    if len(call.arguments) <= position:
        return "$"
    given = str(call[position].constant)
    rest, steps = given.removeprefix("lax ").strip(), []
    if not rest.startswith("$"):
        raise InvalidArgument(f"{given!r} is not a JSONPath: it begins with $")
    end = 1
    while end < len(rest):
        found = _STEP.match(rest, end)
        if not found:
            raise InvalidArgument(f"{given!r} is not a JSONPath: expected something like $.00100020.Value[0]")
        steps.append(_step(found))
        end = found.end()
    return "$" + "".join(steps)


def _step(found: re.Match[str]) -> str:
    if found["index"] is not None:
        return f"[{found['index']}]"
    name = next(found[group] for group in ("name", "quoted", "key", "key2") if found[group] is not None)
    return f'."{name}"'


def _source(call: Call) -> str:
    """Return the JSON of the first argument: text that is not JSON has no values."""
    if call[0].type.name == "JSON":
        return call.sql(0)
    return f"CASE WHEN json_valid({call.sql(0)}) THEN CAST({call.sql(0)} AS JSON) END"


def json_scalar(call: Call) -> str:
    """Return SQL for a text, number or boolean as text; NULL for anything else."""
    source, at = _source(call), text(path(call))
    return f"CASE WHEN json_type({source}, {at}) NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN json_extract_string({source}, {at}) END"


def json_part(call: Call) -> str:
    """Return SQL for a part of a JSON value."""
    found = f"json_extract({_source(call)}, {text(path(call))})"
    return found if call.result.name == "JSON" else f"CAST({found} AS VARCHAR)"


def json_items(call: Call) -> str:
    """Return SQL for the items of a JSON array."""
    source, at = _source(call), path(call)
    items = f"CASE WHEN json_type({source}, {text(at)}) = 'ARRAY' THEN json_extract({source}, {text(at + '[*]')}) END"
    return items if call.result.element.name == "JSON" else f"CAST({items} AS VARCHAR[])"


def json_scalars(call: Call) -> str:
    """Return SQL for an array of texts, or NULL if one of the items is not a scalar."""
    source, at = _source(call), path(call)
    items = f"json_extract({source}, {text(at + '[*]')})"
    all_scalar = f"len(list_filter({items}, lambda item: json_type(item) IN ('OBJECT', 'ARRAY'))) = 0"
    is_array = f"json_type({source}, {text(at)}) = 'ARRAY'"
    return f"CASE WHEN {is_array} AND {all_scalar} THEN json_extract_string({source}, {text(at + '[*]')}) END"


def json_keys(call: Call) -> str:
    """Return SQL for the names of an object's members."""
    if call[1].constant != 1:
        raise InvalidArgument("JSON_KEYS is translated for a depth of 1 only")
    return f"list_sort(json_keys({call.sql(0)}))"


def json_lax_text(call: Call) -> str:
    """Return SQL for a text, number or boolean as text."""
    source = call.sql(0)
    return (
        f"CASE WHEN json_type({source}) NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN json_extract_string({source}, '$') END"
    )


def _is_plain(type_: Type) -> bool:
    """Return whether DuckDB's JSON of a value is BigQuery's."""
    if type_.name == "STRUCT":
        return all(_is_plain(each) for _, each in type_.fields)
    return type_.name in {"STRING", "BOOL", "DATE"}


def _is_deep(type_: Type) -> bool:
    """Return whether there are arrays in an array's items: DuckDB takes minutes to prepare a lambda in a lambda."""
    return any(each.name == "ARRAY" or _is_deep(each) for _, each in type_.fields)


def _deep_json(sql: str, items: Type) -> str:
    """Return SQL for DuckDB's JSON of an array, with the fields written as BigQuery does that it writes otherwise.

    A field is found by its name in quotation marks: in a text these would be escaped.
    """
    written = f"CAST(to_json(coalesce({sql}, [])) AS VARCHAR)"
    kinds: dict[str, set[str]] = {}
    _collect(items, kinds)
    for kind, (value, replacement) in _MENDED.items():
        if names := kinds.get(kind):
            pattern = f'"({"|".join(sorted(map(re.escape, names)))})":{value}'
            written = f"regexp_replace({written}, {text(pattern)}, {text(replacement)}, 'g')"
    return written


def _collect(type_: Type, kinds: dict[str, set[str]]) -> None:
    for name, each in type_.fields:
        kinds.setdefault(each.name, set()).add(name)
        _collect(each.element if each.name == "ARRAY" else each, kinds)


def to_json(call: Call) -> str:
    """Return SQL for a value as JSON."""
    return f"CAST({_json_of(call[0], 'number')} AS JSON)"


def to_json_text(call: Call) -> str:
    """Return SQL for a value as JSON text."""
    return _json_of(call[0], "text")


def _json_of(value: Value, wide: str) -> str:
    if not value.parts:
        return _json_text(value.sql, value.type, wide=wide)
    # The STRUCT is in the query: its fields are taken from there, instead of from the whole again and again.
    parts = [f"{text(_name(name) + ':')}, {_json_of(part, wide)}" for name, part in value.parts]
    return f"concat('{{', {_COMMA.join(parts)}, '}}')"


def _json_text(sql: str, type_: Type, *, wide: str = "number", depth: int = 0) -> str:
    """Return SQL for a value as JSON text; NULL is `null`."""
    return f"coalesce({_written(sql, type_, wide, depth)}, 'null')"


def _written(sql: str, type_: Type, wide: str, depth: int) -> str:  # noqa: C901, PLR0911, PLR0912 - one per type
    if type_.name == "STRUCT" and _is_plain(type_):
        return f"CAST(to_json({sql}) AS VARCHAR)"
    match type_.name:
        case "STRING":
            return f"CAST(to_json({sql}) AS VARCHAR)"
        case "JSON" | "BOOL":
            return f"CAST({sql} AS VARCHAR)"
        case "INT64":
            plain = f"CAST({sql} AS VARCHAR)"
            return (
                f"""CASE WHEN abs({sql}) > {_WIDEST_INTEGER} THEN '"' || {plain} || '"' ELSE {plain} END"""
                if wide == "text"
                else plain
            )
        case "NUMERIC":
            return numeric_text(sql)
        case "FLOAT64":
            plain = cast(Value(sql, type_), STRING)
            return f"""CASE WHEN isfinite({sql}) THEN {plain} WHEN isnan({sql}) THEN '"NaN"' WHEN {sql} > 0 THEN '"Infinity"' ELSE '"-Infinity"' END"""
        case "BYTES":
            return f"""'"' || to_base64({sql}) || '"'"""
        case "TIMESTAMP":
            return f"""'"' || replace(replace({cast(Value(sql, type_), STRING)}, ' ', 'T'), '+00', 'Z') || '"'"""
        case "DATETIME":
            return f"""'"' || replace({cast(Value(sql, type_), STRING)}, ' ', 'T') || '"'"""
        case "ARRAY" if _is_plain(type_.element):
            return f"CAST(to_json(coalesce({sql}, [])) AS VARCHAR)"
        case "ARRAY" if _is_deep(type_.element):
            return _deep_json(sql, type_.element)
        case "ARRAY":
            item = f"item{depth}"
            items = (
                f"list_transform({sql}, lambda {item}: {_json_text(item, type_.element, wide=wide, depth=depth + 1)})"
            )
            return f"'[' || array_to_string(coalesce({items}, []), ',') || ']'"
        case "STRUCT":
            return _written_struct(sql, type_, wide, depth)
    return f"""'"' || {cast(Value(sql, type_), STRING)} || '"'"""


def _written_struct(sql: str, type_: Type, wide: str, depth: int) -> str:
    # Not with ||: DuckDB limits how deep operators are nested, and a table has a thousand columns.
    parts = [
        f"{text(_name(name) + ':')}, {_json_text(f'struct_extract({sql}, {text(name)})', kind, wide=wide, depth=depth)}"
        for name, kind in type_.fields
    ]
    joined = _COMMA.join(parts) or "''"
    return f"CASE WHEN {sql} IS NOT NULL THEN concat('{{', {joined}, '}}') END"


def _name(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

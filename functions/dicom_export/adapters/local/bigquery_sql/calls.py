"""A call of a function, and the Python functions that translate those that need more than one line of a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dicom_export.adapters.local.bigquery_sql import temporal, text_formats, time_formats
from dicom_export.adapters.local.bigquery_sql.casts import cast, time_text
from dicom_export.adapters.local.bigquery_sql.json_values import (
    json_items,
    json_keys,
    json_lax_text,
    json_part,
    json_scalar,
    json_scalars,
    to_json,
    to_json_text,
)
from dicom_export.adapters.local.bigquery_sql.patterns import PATTERN_BUILDERS
from dicom_export.adapters.local.bigquery_sql.types import STRING, TIMESTAMP, Type
from dicom_export.adapters.local.bigquery_sql.values import Value, cast_keyword, fail, text
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_export.adapters.local.bigquery_sql.call import Call


def _concatenate(call: Call) -> str:
    parts = [value if value.type.name == "BYTES" else Value(cast(value, STRING), STRING) for value in call.arguments]
    return f"({' || '.join(part.sql for part in parts)})"


def _part_of_text(call: Call) -> str:
    source, start = call[0], call[1]
    if start.is_constant and start.constant is not None and start.constant > 0:
        position = start.sql
    else:
        from_end = f"greatest(length({source.sql}) + {start.sql} + 1, 1)"
        position = f"CASE WHEN {start.sql} > 0 THEN {start.sql} WHEN {start.sql} = 0 THEN 1 ELSE {from_end} END"
    if len(call.arguments) == 2:  # noqa: PLR2004 - without a length
        return f"substring({source.sql}, {position})"
    length = call.sql(2)
    error = call.fail(f"{call.name} takes no negative length")
    return f"CASE WHEN {length} < 0 THEN {error} ELSE substring({source.sql}, {position}, {length}) END"


def _position_of_text(call: Call) -> str:
    source, wanted, start = call.sql(0), call.sql(1), call.sql(2)
    occurrence = call.sql(3) if len(call.arguments) > 3 else "1"  # noqa: PLR2004 - source, text, start, occurrence
    found = (
        f"list_filter(range(1, length({source}) + 2 - length({wanted})), "
        f"lambda i: substring({source}, i, length({wanted})) = {wanted} AND "
        f"CASE WHEN {start} > 0 THEN i >= {start} ELSE i <= length({source}) + {start} + 1 END)"
    )
    index = f"CASE WHEN {start} > 0 THEN {occurrence} ELSE -({occurrence}) END"
    error = call.fail("INSTR takes a position other than 0 and a positive occurrence")
    return (
        f"CASE WHEN {start} = 0 OR {occurrence} <= 0 THEN {error} WHEN {wanted} = '' THEN 0 "
        f"WHEN {source} IS NOT NULL AND {wanted} IS NOT NULL THEN coalesce(list_extract({found}, {index}), 0) END"
    )


def _extreme(function: str) -> Callable[[Call], str]:
    def translated(call: Call) -> str:
        parts = [value.sql for value in call.arguments]
        # DuckDB passes over NULL; in BigQuery one NULL makes the whole NULL.
        any_null = " OR ".join(f"{part} IS NULL" for part in parts)
        return f"CASE WHEN NOT ({any_null}) THEN {function}({', '.join(parts)}) END"

    return translated


def _concatenate_arrays(call: Call) -> str:
    joined = call.sql(0)
    for value in call.arguments[1:]:
        joined = f"list_concat({joined}, {value.sql})"
    any_null = " OR ".join(f"{value.sql} IS NULL" for value in call.arguments)
    return f"CASE WHEN NOT ({any_null}) THEN {joined} END"


def _made(call: Call, function: str, casts: Sequence[str], kind: str) -> str:
    parts = ", ".join(f"CAST({value.sql} AS {name})" for value, name in zip(call.arguments, casts, strict=True))
    error = call.fail(f"{kind} takes numbers that are a {kind}: SAFE.{kind} gives NULL instead")
    any_null = " OR ".join(f"{value.sql} IS NULL" for value in call.arguments)
    return f"CASE WHEN {any_null} THEN NULL ELSE coalesce(TRY({function}({parts})), {error}) END"


def _make_date(call: Call) -> str:
    return _made(call, "make_date", ["BIGINT"] * 3, "DATE")


def _make_datetime(call: Call) -> str:
    return _made(call, "make_timestamp", [*["BIGINT"] * 5, "DOUBLE"], "DATETIME")


def _make_time(call: Call) -> str:
    return _made(call, "make_time", ["BIGINT", "BIGINT", "DOUBLE"], "TIME")


def _cast_to(type_name: str) -> Callable[[Call], str]:
    def translated(call: Call) -> str:
        return cast(call[0], Type(type_name), safe=call.safe)

    return translated


def _timestamp_in_zone(call: Call) -> str:
    return f"({cast(call[0], Type('DATETIME'), safe=call.safe)} AT TIME ZONE {call.sql(1)})"


_OFFSET = re.compile(r"([+-])(\d{1,2})(?::?(\d\d))?")


def zone(value: Value) -> str:
    """Return a time zone as DuckDB knows it: Asia/Seoul as it is, +09:30 as an offset from GMT."""
    offset = _OFFSET.fullmatch(str(value.constant))
    return text(f"GMT{offset[1]}{int(offset[2]):02}:{offset[3] or '00'}") if offset else value.sql


def _local(value: Value, zone_sql: str) -> str:
    return f"({value.sql} AT TIME ZONE {zone_sql})"


def _timestamp_text(call: Call) -> str:
    moment = _moment(call[0], call[1])
    offset = time_formats.formatted("%Ez", moment)
    return f"({time_text(moment.local)} || regexp_replace({offset}, ':00$', ''))"


def _moment(value: Value, in_zone: Value | None) -> time_formats.Moment:
    kind = value.type.name
    if kind == "TIMESTAMP":
        if in_zone is None:
            return time_formats.Moment(_local(value, "'UTC'"), kind)
        local = _local(value, in_zone.sql)
        offset = f"date_diff('minute', {_local(value, text('UTC'))}, {local})"
        return time_formats.Moment(local, kind, offset)
    local = f"(DATE '1970-01-01' + {value.sql})" if kind == "TIME" else f"CAST({value.sql} AS TIMESTAMP)"
    return time_formats.Moment(local, kind)


def _format_time(call: Call) -> str:
    in_zone = call[2] if len(call.arguments) > 2 else None  # noqa: PLR2004 - format, value, zone
    return time_formats.formatted(str(call[0].constant), _moment(call[1], in_zone))


def _parse_time(call: Call) -> str:
    kind = call.result.name
    in_zone = call.sql(2) if len(call.arguments) > 2 else "'UTC'"  # noqa: PLR2004 - format, text, zone
    found = time_formats.parsed(str(call[0].constant), call.sql(1), kind, in_zone, safe=call.safe)
    return found if kind == "TIMESTAMP" else f"CAST({found} AS {call.result.duckdb})"


def _interval(call: Call, sign: str) -> str:
    unit = str(call[1].constant)
    kind = call.result.name
    temporal.check_interval(unit, kind)
    if kind == "TIMESTAMP":
        # By way of UTC: a day has 24 hours.
        return f"(({call.sql(0)} AT TIME ZONE 'UTC' {sign} {call.sql(1)}) AT TIME ZONE 'UTC')"
    return f"CAST({call.sql(0)} {sign} {call.sql(1)} AS {call.result.duckdb})"


def _boundaries(call: Call) -> str:
    return temporal.boundaries(str(call[2].constant), call[0].type.name, call.sql(0), call.sql(1))


def _whole_units(call: Call) -> str:
    return temporal.whole_units(str(call[2].constant), call.sql(0), call.sql(1))


def _truncated(call: Call) -> str:
    part, kind = str(call[1].constant), call[0].type.name
    if kind != TIMESTAMP.name:
        return temporal.truncated(part, kind, call.sql(0))
    in_zone = call.sql(2) if len(call.arguments) > 2 else "'UTC'"  # noqa: PLR2004 - value, part, zone
    return f"({temporal.truncated(part, 'DATETIME', _local(call[0], in_zone))} AT TIME ZONE {in_zone})"


def _last_day(call: Call) -> str:
    part = str(call[1].constant)
    unit = {
        "WEEK": "INTERVAL 7 DAY",
        "ISOWEEK": "INTERVAL 7 DAY",
        "MONTH": "INTERVAL 1 MONTH",
        "QUARTER": "INTERVAL 3 MONTH",
        "YEAR": "INTERVAL 1 YEAR",
    }.get(part.partition("(")[0])
    if not unit:
        raise InvalidArgument(f"LAST_DAY does not know {part}: expected WEEK, ISOWEEK, MONTH, QUARTER or YEAR")
    start = temporal.truncated(part, "DATE", call.sql(0))
    return f"CAST({start} + {unit} - INTERVAL 1 DAY AS DATE)"


def _approximate_quantiles(call: Call) -> str:
    number = int(call[1].constant)
    if number < 1:
        raise InvalidArgument("APPROX_QUANTILES takes a positive number of quantiles")
    points = ", ".join(f"{i}.0 / {number}" for i in range(number + 1))
    return f"quantile_disc({call.distinct}{call.sql(0)}, [{points}]){call.window}"


def _approximate_top_count(call: Call) -> str:
    value, window = call.sql(0), call.window
    number = int(call[1].constant)
    entries = f"list_transform(map_entries(histogram({value}){window}), lambda e: {{'count': CAST(e.value AS BIGINT), 'value': e.key}})"
    nulls = f"CAST(count(*){window} - count({value}){window} AS BIGINT)"
    with_null = f"list_concat(coalesce({entries}, []), CASE WHEN {nulls} > 0 THEN [{{'count': {nulls}, 'value': NULL}}] ELSE [] END)"
    top = f"list_slice(list_reverse_sort({with_null}), 1, {number})"
    return f"list_transform({top}, lambda e: {{'value': e.value, 'count': e.count}})"


def _sha512(call: Call) -> str:
    call.required.add("bigquery_sha512")
    return f"bigquery_sha512({call.sql(0) if call[0].type.name == 'BYTES' else f'encode({call.sql(0)})'})"


def _format_text(call: Call) -> str:
    return text_formats.formatted(str(call[0].constant), call.arguments[1:])


def _raise_error(call: Call) -> str:
    # A text that the query computes may hold a patient's data: only one that is written in it is shown.
    return call.fail(str(call[0].constant)) if call[0].is_constant else f"error({call.sql(0)})"


BUILDERS: dict[str, Callable[[Call], str]] = {
    **PATTERN_BUILDERS,
    **{f"cast_{name}": _cast_to(name) for name in ("STRING", "DATE", "DATETIME", "TIME", "TIMESTAMP")},
    "add_interval": lambda call: _interval(call, "+"),
    "approximate_quantiles": _approximate_quantiles,
    "approximate_top_count": _approximate_top_count,
    "boundaries": _boundaries,
    "concatenate": _concatenate,
    "concatenate_arrays": _concatenate_arrays,
    "format_text": _format_text,
    "format_time": _format_time,
    "greatest": _extreme("greatest"),
    "json_items": json_items,
    "json_keys": json_keys,
    "json_lax_text": json_lax_text,
    "json_part": json_part,
    "json_scalar": json_scalar,
    "json_scalars": json_scalars,
    "last_day": _last_day,
    "least": _extreme("least"),
    "make_date": _make_date,
    "make_datetime": _make_datetime,
    "make_time": _make_time,
    "parse_time": _parse_time,
    "part_of_text": _part_of_text,
    "position_of_text": _position_of_text,
    "raise_error": _raise_error,
    "sha512": _sha512,
    "subtract_interval": lambda call: _interval(call, "-"),
    "timestamp_in_zone": _timestamp_in_zone,
    "timestamp_text": _timestamp_text,
    "to_json": to_json,
    "to_json_text": to_json_text,
    "truncated": _truncated,
    "whole_units": _whole_units,
}


_ARGUMENT = re.compile(r"\{(\d|\*)\}")


_FAIL = re.compile(r"FAIL\('((?:[^']|'')*)'\)")


def fill(template: str, translated: Call) -> str:
    """Return a line of a table with the arguments in it, or what the Python function makes that it names."""
    if template.startswith("@"):
        return BUILDERS[template[1:]](translated)
    template = _FAIL.sub(lambda found: fail(found[1], safe=translated.safe), template)
    template = template.replace("CAST?", cast_keyword(safe=translated.safe))
    clauses = {"{d}": translated.distinct, "{o}": translated.order, "{w}": translated.window}
    for mark, clause in clauses.items():
        template = template.replace(mark, clause)
    return _ARGUMENT.sub(
        lambda found: (
            ", ".join(value.sql for value in translated.arguments)
            if found[1] == "*"
            else translated.sql(int(found[1]) - 1)
        ),
        template,
    )

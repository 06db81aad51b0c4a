"""FORMAT_TIMESTAMP, PARSE_DATE and the like: the elements of a format, in DuckDB's SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dicom_export.adapters.local.bigquery_sql.values import fail, text
from dicom_export.errors import InvalidArgument

_ELEMENT = re.compile(r"%(E[0-9*]S|E4Y|Ez|E?[A-Za-z%])|([^%]+)|%")
_EXPANDED = {
    "c": "%a %b %e %T %Y",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "R": "%H:%M",
    "r": "%I:%M:%S %p",
    "T": "%H:%M:%S",
    "X": "%H:%M:%S",
    "x": "%m/%d/%y",
    "h": "%b",
    "n": "\n",
    "t": "\t",
}
_NATIVE = "AaBbdHIjMmpSUuVWwyY"
_DATE_ELEMENTS = "AaBbCDdeFGghjmQUuVWwxYy"
_TIME_ELEMENTS = "HIklMPpRrSTX"
_ZONE_ELEMENTS = "Zz"
# `{0}` is the value as a TIMESTAMP without zone.
_COMPUTED = {
    "C": "lpad(CAST(year({0}) // 100 AS VARCHAR), 2, '0')",
    "e": "lpad(CAST(day({0}) AS VARCHAR), 2, ' ')",
    "G": "CAST(isoyear({0}) AS VARCHAR)",
    "g": "lpad(CAST(isoyear({0}) % 100 AS VARCHAR), 2, '0')",
    "k": "lpad(CAST(hour({0}) AS VARCHAR), 2, ' ')",
    "l": "lpad(CAST((hour({0}) + 11) % 12 + 1 AS VARCHAR), 2, ' ')",
    "P": "lower(strftime({0}, '%p'))",
    "Q": "CAST(quarter({0}) AS VARCHAR)",
    "E4Y": "lpad(CAST(year({0}) AS VARCHAR), 4, '0')",
    "Y": "CAST(year({0}) AS VARCHAR)",
    "u": "CAST(isodow({0}) AS VARCHAR)",
    "V": "lpad(CAST(week({0}) AS VARCHAR), 2, '0')",
}
_PARSED = {"E4Y": "%Y", "Ez": "%z", "e": "%d", "k": "%H", "l": "%I", "P": "%p", "Z": "%Z", "G": "%G"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A value to format: as a TIMESTAMP without zone, what kind it has in BigQuery, and minutes from UTC."""

    local: str
    kind: str
    offset_minutes: str = "0"


def formatted(pattern: str, moment: Moment) -> str:
    """Return SQL for a value in a format.

    Raises InvalidArgument for an element that BigQuery does not have, or not for that kind of value.
    """
    pieces = [_piece(element, plain, moment) for element, plain in _elements(pattern, moment.kind)]
    text_of_all = " || ".join(f"({piece})" for piece in pieces) or "''"
    # A format of plain text alone would not show that the value is NULL.
    return f"CASE WHEN {moment.local} IS NOT NULL THEN {text_of_all} END"


def _elements(pattern: str, kind: str) -> list[tuple[str, str]]:
    found = []
    for match in _ELEMENT.finditer(_expand(pattern)):
        element, plain = match[1] or "", match[2] or ""
        if not element and not plain:
            raise InvalidArgument("A time format ends in %: write %% for a percent sign")
        _check_kind(element, kind)
        found.append((element, plain))
    return found


def _expand(pattern: str) -> str:
    for _ in range(2):  # %c has %T in it
        pattern = re.sub(r"%(%|[cDFRrTXxhnt])", lambda found: _EXPANDED.get(found[1], found[0]), pattern)
    return pattern


def _check_kind(element: str, kind: str) -> None:
    base = element[-1:] if element[:1] == "E" else element
    wrong = {
        "DATE": base in _TIME_ELEMENTS or base in _ZONE_ELEMENTS or base == "s",
        "TIME": base in _DATE_ELEMENTS or base in _ZONE_ELEMENTS or base == "s",
        "DATETIME": base in _ZONE_ELEMENTS or base == "s",
        "TIMESTAMP": False,
    }[kind]
    if base and base != "%" and wrong:
        raise InvalidArgument(f"The format element %{element} cannot be used with a {kind}")


def _piece(element: str, plain: str, moment: Moment) -> str:  # noqa: PLR0911 - one per kind of element
    if plain:
        return text(plain)
    if element == "%":
        return "'%'"
    if element in _COMPUTED:
        return _COMPUTED[element].replace("{0}", moment.local)
    if element in _NATIVE:
        return f"strftime({moment.local}, '%{element}')"
    if element.startswith("E") and element.endswith("S"):
        return _seconds(element[1:-1], moment.local)
    if element in {"z", "Ez"}:
        return _offset(moment.offset_minutes, ":" if element == "Ez" else "")
    if element == "Z":
        return _zone_name(moment.offset_minutes)
    if element == "s":
        return f"CAST(CAST(floor(epoch_us({moment.local}) / 1000000) AS BIGINT) - 60 * ({moment.offset_minutes}) AS VARCHAR)"
    raise InvalidArgument(f"Unknown time format element %{element}")


def _seconds(digits: str, local: str) -> str:
    whole = f"strftime({local}, '%S.%f')"
    if digits == "*":
        return f"CASE WHEN {whole} LIKE '%.000000' THEN strftime({local}, '%S') ELSE rtrim({whole}, '0') END"
    return f"rpad({whole}, {3 + int(digits)}, '0')" if int(digits) else f"strftime({local}, '%S')"


def _offset(minutes: str, separator: str) -> str:
    sign = f"CASE WHEN {minutes} < 0 THEN '-' ELSE '+' END"
    hours = f"lpad(CAST(abs({minutes}) // 60 AS VARCHAR), 2, '0')"
    return f"{sign} || {hours} || '{separator}' || lpad(CAST(abs({minutes}) % 60 AS VARCHAR), 2, '0')"


def _zone_name(minutes: str) -> str:
    hours = f"CAST(abs({minutes}) // 60 AS VARCHAR)"
    rest = f"CASE WHEN {minutes} % 60 = 0 THEN '' ELSE ':' || lpad(CAST(abs({minutes}) % 60 AS VARCHAR), 2, '0') END"
    return f"CASE WHEN {minutes} = 0 THEN 'UTC' ELSE 'UTC' || CASE WHEN {minutes} < 0 THEN '-' ELSE '+' END || {hours} || {rest} END"


def parsed(pattern: str, value: str, kind: str, zone: str, *, safe: bool) -> str:
    """Return SQL for the time that a text is in a format: a TIMESTAMP without zone, or for TIMESTAMP one with.

    Raises InvalidArgument for an element that cannot be read.
    """
    name = f"PARSE_{kind}"
    error = fail(f"A text does not fit the format of {name}: SAFE.{name} gives NULL instead", safe=safe)
    if _expand(pattern) == "%s":
        found = f"make_timestamp(TRY_CAST(trim({value}) AS BIGINT) * 1000000)"
        return _checked(f"{found} AT TIME ZONE 'UTC'", value, error)
    elements = _elements(pattern, kind)
    formats = _parse_formats(elements)
    # What the format leaves out is that of 1970-01-01, in DuckDB of 1900-01-01.
    before, prefix = _missing_date(elements)
    source = f"{text(before)} || {_trimmed(value)}" if before else _trimmed(value)
    found = f"try_strptime({source}, [{', '.join(text(prefix + each) for each in formats)}])"
    if kind == "TIMESTAMP":
        with_zone = any(element in {"z", "Ez", "Z"} for element, _ in elements)
        found = f"CAST({found} AS TIMESTAMPTZ)" if with_zone else f"({found} AT TIME ZONE {zone})"
    return _checked(found, value, error)


def _checked(found: str, value: str, error: str) -> str:
    return f"coalesce({found}, CASE WHEN {value} IS NOT NULL THEN {error} END)"


def _trimmed(value: str) -> str:
    return f"trim(regexp_replace({value}, '[\\s\\v]+', ' ', 'g'))"


def _missing_date(elements: list[tuple[str, str]]) -> tuple[str, str]:
    found = {element for element, _ in elements}
    missing = [
        part
        for part, ways in (("1970 %Y", "Y E4Y y"), ("1 %m", "m B b j"), ("1 %d", "d e j"))
        if not found & set(ways.split())
    ]
    values, marks = ("".join(f"{part.split()[i]} " for part in missing) for i in (0, 1))
    return values, marks


def _parse_formats(elements: list[tuple[str, str]]) -> list[str]:
    """Return DuckDB's formats: two where a fraction of a second may be there or not."""
    formats = [""]
    for element, plain in elements:
        ways = _parse_ways(element, plain)
        formats = [each + way for each in formats for way in ways]
    return [re.sub(r"\s+", " ", each).strip() for each in formats]


def _parse_ways(element: str, plain: str) -> list[str]:
    if plain:
        return [plain]
    if element == "%":
        return ["%%"]
    if element.startswith("E") and element.endswith("S"):
        return ["%S"] if element == "E0S" else ["%S.%f", "%S"]
    if element in _PARSED:
        return [_PARSED[element]]
    if element in "AaBbdHIjMmpSyYz":
        return [f"%{element}"]
    raise InvalidArgument(
        f"The format element %{element} cannot be parsed here: use another, or compute it with REGEXP_EXTRACT"
    )

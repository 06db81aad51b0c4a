"""Rows of a query as text, JSON or CSV."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from dicom_export.cli.console import printable
from dicom_export.operations_json import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Renderer = Callable[[Sequence[str], Iterable[Sequence[Any]]], Iterator[str]]

_WIDEST = 64
_NOT_FINITE = {"inf": "Infinity", "-inf": "-Infinity"}


def json_value(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return the value as JSON has it: dates and times as in BigQuery, NaN and infinities as text, bytes in base64."""
    match value:
        case dict():
            return {str(name): json_value(each) for name, each in value.items()}
        case list() | tuple():
            return [json_value(each) for each in value]
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else _NOT_FINITE.get(str(value), "NaN")
    return _scalar_text(value)


def _scalar_text(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo:
        return timestamp(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def as_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield a table in which each column is as wide as its values; long values are cut, the other formats have them."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    yield _line(columns, widths)
    yield _line(["-" * width for width in widths], widths)
    yield from (_line(row, widths) for row in cells)
    yield f"({len(cells):,} {'row' if len(cells) == 1 else 'rows'})"


def as_json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield an array of objects, one a line."""
    before = "["
    for row in rows:
        yield before + json.dumps(dict(zip(columns, map(json_value, row), strict=True)), ensure_ascii=False)
        before = ","
    yield "]" if before == "," else "[]"


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield CSV with a header (RFC 4180); NULL is empty, records and arrays are JSON."""
    yield _csv_line(columns)
    for row in rows:
        yield _csv_line([_plain(value) for value in row])


RENDERERS: dict[str, Renderer] = {"text": as_text, "json": as_json, "csv": as_csv}


def _plain(value: object) -> str:
    if value is None:
        return ""
    simple = json_value(value)
    return simple if isinstance(simple, str) else json.dumps(simple, ensure_ascii=False)


def _cell(value: object) -> str:
    text = "NULL" if value is None else printable(_plain(value))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _csv_line(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()

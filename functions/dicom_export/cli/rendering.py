"""Format the rows of a query as text, JSON or CSV."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from dicom_export.cli.text_table import as_text, as_vertical
from dicom_export.cli.values import json_text, json_value, plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FORMATS = ("text", "vertical", "json", "csv")


def rendered(
    output: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    terminal_width: int | None = None,
    has_header: bool = True,
) -> Iterator[str]:
    """Yield the lines of one of the FORMATS. Text fits the terminal, if there is one. CSV has a header if `has_header`."""
    match output:
        case "json":
            return as_json(columns, rows)
        case "csv":
            return as_csv(columns, rows, has_header=has_header)
        case "vertical":
            return as_vertical(columns, rows, terminal_width)
    return as_text(columns, rows, terminal_width)


def as_json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield a JSON array with one object per line."""
    before = "["
    for row in rows:
        yield before + json_text(dict(zip(columns, map(json_value, row), strict=True)))
        before = ","
    yield "]" if before == "," else "[]"


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, has_header: bool = True) -> Iterator[str]:
    """Yield CSV (RFC 4180); NULL is empty, records and arrays are JSON."""
    writer = csv.writer(_Line(), lineterminator="")
    if has_header:
        yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow(map(plain_text, row))


class _Line:
    """A file for csv, whose `write` returns the line, so that `writerow` does too."""

    def write(self, line: str) -> str:
        return line

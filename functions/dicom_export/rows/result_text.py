"""Rows of a query as JSON or CSV."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from dicom_export.rows.result_values import json_text, json_value, plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


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

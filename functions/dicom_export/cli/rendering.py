"""Format the rows of a query as text, JSON or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_export.cli.text_table import as_text, as_vertical
from dicom_export.rows.result_text import as_csv, as_json

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

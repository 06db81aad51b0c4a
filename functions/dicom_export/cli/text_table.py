"""Format rows as text: as a table, or one line per value if the table is too wide for the terminal.

Widths are in cells of the terminal: an ideograph takes two, a combining mark none.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, chop_cells, set_cell_size

from dicom_export.cli.console import printable
from dicom_export.rows.result_values import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Cells = list[str]

# The number of first rows whose widths set those of the columns. Only these rows are in memory at once.
_ALIGNED_ROWS = 10_000
_ALIGNED_CELLS = 10_000_000
_WIDEST_ALIGNED = 256
_NARROWEST = 16
_GAP = "  "


def as_text(columns: Sequence[str], rows: Iterable[Sequence[Any]], terminal_width: int | None = None) -> Iterator[str]:
    """Yield a table. On a terminal it fits the width: long values are cut, and rows with too many columns are vertical.

    Elsewhere nothing is cut: a value that is longer than those of the first rows shifts the rest of its line.
    """
    names = [printable(name) for name in columns]
    cells = _cells_of(rows)
    first = list(_first(cells))
    widths = [max(map(cell_len, column)) for column in zip(names, *first, strict=True)]
    every = chain(first, cells)
    if terminal_width is None:
        yield from _table(names, every, [min(width, _WIDEST_ALIGNED) for width in widths], is_cut=False)
    elif narrowed := _narrowed(widths, terminal_width):
        yield from _table(names, every, narrowed, is_cut=True)
    else:
        yield from _vertical(names, every, terminal_width)


def as_vertical(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], terminal_width: int | None = None
) -> Iterator[str]:
    """Yield one line per value, after its column's name. On a terminal, long values continue in the next line; nothing is cut."""
    yield from _vertical([printable(name) for name in columns], _cells_of(rows), terminal_width)


def _cells_of(rows: Iterable[Sequence[Any]]) -> Iterator[Cells]:
    for row in rows:
        yield ["NULL" if value is None else printable(plain_text(value)) for value in row]


def _first(cells: Iterator[Cells]) -> Iterator[Cells]:
    held = 0
    for number, row in enumerate(cells, 1):
        yield row
        held += sum(map(len, row))
        if number == _ALIGNED_ROWS or held >= _ALIGNED_CELLS:
            return


def _narrowed(widths: Sequence[int], terminal_width: int) -> list[int] | None:
    """Return the widths with the widest columns made narrower until all fit, or None if they become too narrow to read."""
    room = terminal_width - len(_GAP) * (len(widths) - 1)
    for widest in range(min(max(widths), terminal_width), _NARROWEST - 1, -1):
        narrowed = [min(width, widest) for width in widths]
        if sum(narrowed) <= room:
            return narrowed
    return list(widths) if sum(widths) <= room else None


def _table(names: Cells, cells: Iterable[Cells], widths: Sequence[int], *, is_cut: bool) -> Iterator[str]:
    count = 0
    yield _line(names, widths, is_cut=is_cut)
    yield _line(["-" * width for width in widths], widths, is_cut=is_cut)
    for count, row in enumerate(cells, 1):  # noqa: B007 - said at the end
        yield _line(row, widths, is_cut=is_cut)
    yield _footer(count)


def _vertical(names: Cells, cells: Iterable[Cells], terminal_width: int | None) -> Iterator[str]:
    widest = max(map(cell_len, names))
    if terminal_width is not None:
        widest = min(widest, max(terminal_width // 2 - len(_GAP), 1))
    labels = [_padded(_cut(name, widest), widest) for name in names]
    room = None if terminal_width is None else max(terminal_width - widest - len(_GAP), 2)
    count = 0
    for count, row in enumerate(cells, 1):
        yield f"-[ row {count:,} ]-"
        for label, value in zip(labels, row, strict=True):
            pieces = [value] if room is None or cell_len(value) <= room else chop_cells(value, room)
            for number, piece in enumerate(pieces):
                yield f"{' ' * widest if number else label}{_GAP}{piece}"
    yield _footer(count)


def _footer(count: int) -> str:
    return f"({count:,} {'row' if count == 1 else 'rows'})"


def _line(cells: Sequence[str], widths: Sequence[int], *, is_cut: bool) -> str:
    shown = map(_cut, cells, widths) if is_cut else cells
    return _GAP.join(map(_padded, shown, widths)).rstrip()


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))

"""Write to standard error for people: progress at the bottom, warnings above it."""

from __future__ import annotations

import logging
import re
import shutil
import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unicodedata import category

import click
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SHOWN_OF_A_KIND = 5
_PRINTED_AT_ONCE = 1 << 16
_PLACEHOLDERS = re.compile(r"%[a-z]")
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


def standard_error() -> Console:
    """Return the console of standard error, which prints text as it is, without markup."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def printable(text: str) -> str:
    """Return the text with control characters escaped: names and values come from other people's files."""
    if text.isprintable():
        return text
    return "".join(char if _is_harmless(char) else char.encode("unicode_escape").decode() for char in text)


def print_lines(lines: Iterable[str]) -> None:
    """Print the lines on standard output, many at a time. To flush each line takes longer than most queries."""
    held: list[str] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _PRINTED_AT_ONCE:
            click.echo("\n".join(held))
            held, size = [], 0
    if held:
        click.echo("\n".join(held))


def terminal_width() -> int | None:
    """Return the width of standard output in cells, or None if it is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _is_harmless(char: str) -> bool:
    """Return whether the character is printed as it is: also the spaces that Python calls unprintable, as in Japanese names."""
    return char.isprintable() or category(char) == "Zs"


class _Handler(logging.Handler):
    """Prints the first few records of each kind, without those that have a payload: the summary lists these instances."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console
        self._seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "payload"):
            return
        self._seen[record.msg] += 1
        if self._seen[record.msg] <= _SHOWN_OF_A_KIND:
            message = "\n".join(map(printable, record.getMessage().splitlines()))
            text = f"{record.levelname.capitalize()}: {message}"
            self._console.print(Text(text, _STYLES.get(record.levelno, "")))

    def tell_what_was_left_out(self) -> None:
        for message, count in self._seen.items():
            if count > _SHOWN_OF_A_KIND:
                kind = _PLACEHOLDERS.sub("…", message)
                self._console.print(f"… and {count - _SHOWN_OF_A_KIND:,} more of this kind: {kind}")


@contextmanager
def warnings_on(console: Console) -> Iterator[None]:
    """Print this package's warnings and errors on the console, except those about single instances."""
    handler = _Handler(console)
    logger = logging.getLogger("dicom_export")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.tell_what_was_left_out()

"""Write to standard error for people: progress at the bottom, warnings above it."""

from __future__ import annotations

import logging
import re
import shutil
import sys
import textwrap
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unicodedata import category

import click
from rich.console import Console
from rich.text import Text

from dicom_export.cli.verbosity import Verbosity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

COMMAND = "  dicom-export "
"""How a line begins that has a command to copy."""

_SHOWN_OF_A_KIND = 5
_PRINTED_AT_ONCE = 1 << 16
_PLACEHOLDERS = re.compile(r"%[a-z]")
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


def standard_error() -> Console:
    """Return the console of standard error, which prints text without markup. Only a terminal gets it wrapped."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    # rich takes every dumb terminal for one of 80 columns.
    console.soft_wrap = not sys.stderr.isatty() or console.is_dumb_terminal
    return console


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


def echo_lines(lines: Iterable[str]) -> None:
    """Print the lines on standard output. A terminal gets them wrapped at spaces, except commands, which can be copied whole."""
    width = terminal_width()
    for line in lines:
        click.echo(_wrapped(line, width) if width else line)


def _wrapped(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    if len(line) <= width or line.startswith(COMMAND):
        return line
    wrapped = textwrap.wrap(
        line,
        width,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return "\n".join(wrapped)


def terminal_width() -> int | None:
    """Return the width of standard output in cells, or None if it is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _is_harmless(char: str) -> bool:
    """Return whether the character is printed as it is: also the spaces that Python calls unprintable, as in Japanese names."""
    return char.isprintable() or category(char) == "Zs"


class _Handler(logging.Handler):
    """Prints the first few records of each kind, and each text once. At the end it sums up the kinds that were repeated.

    Records that have a payload are those of single instances, which the summary lists: they are printed if `is_verbose`, as is
    every other record.
    """

    def __init__(self, console: Console, *, is_verbose: bool) -> None:
        super().__init__(logging.WARNING)
        self._console = console
        self._is_verbose = is_verbose
        self._seen: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._texts: dict[str, set[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        message = "\n".join(map(printable, record.getMessage().splitlines()))
        if self._is_verbose:
            self._print(record, f"{_object_of(record)}{message}")
        elif not hasattr(record, "payload"):
            self._seen[record.msg] += 1
            texts = self._texts.setdefault(record.msg, set())
            if len(texts) < _SHOWN_OF_A_KIND and message not in texts:
                texts.add(message)
                self._print(record, message)
            else:
                self._left_out[record.msg] += 1

    def _print(self, record: logging.LogRecord, message: str) -> None:
        text = f"{record.levelname.capitalize()}: {message}"
        self._console.print(Text(text, _STYLES.get(record.levelno, "")))

    def sum_up(self) -> None:
        for message, count in self._left_out.items():
            kind = _PLACEHOLDERS.sub("…", message)
            self._console.print(f"{self._seen[message]:,} warnings in all, {count:,} of them not shown: {kind}")


def _object_of(record: logging.LogRecord) -> str:
    """Return the name of the object that the record is about, if it is about one."""
    name = getattr(record, "payload", {}).get("resourceName")
    return f"{printable(name)}: " if name else ""


@contextmanager
def warnings_on(console: Console, verbosity: Verbosity = Verbosity.NORMAL) -> Iterator[None]:
    """Print this package's warnings and errors on the console; those about single instances only if verbose."""
    handler = _Handler(console, is_verbose=verbosity.is_verbose)
    logger = logging.getLogger("dicom_export")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.sum_up()

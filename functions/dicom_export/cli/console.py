"""Standard error as people read it: progress at the bottom, warnings above it."""

from __future__ import annotations

import logging
import re
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN_OF_A_KIND = 5
_PLACEHOLDERS = re.compile(r"%[a-z]")
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


def standard_error() -> Console:
    """Return the console on which nothing of a text is taken for markup."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def printable(text: str) -> str:
    """Return the text with what could steer a terminal made visible: names and values come from foreign files."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class _Handler(logging.Handler):
    """Prints the first few records of each kind. Those about one instance have a payload: the summary tells of them."""

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
    """Print the warnings and errors of this system, but for those about single instances, on the console."""
    handler = _Handler(console)
    logger = logging.getLogger("dicom_export")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.tell_what_was_left_out()

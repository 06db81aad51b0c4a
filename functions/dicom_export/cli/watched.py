"""Print what a watch has done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.cli.console import printable
from dicom_export.cli.summary import unlisted_lines
from dicom_export.cli.verbosity import Verbosity

if TYPE_CHECKING:
    from rich.console import Console

    from dicom_export.watching.watcher import Looked

_SHOWN_FAILURES = 20


class Reports:
    """Prints the results of a watch's periods of work, and counts the failures."""

    def __init__(self, console: Console, verbosity: Verbosity = Verbosity.NORMAL) -> None:
        self._console = console
        self._verbosity = verbosity
        self.failures = 0

    def add(self, looked: Looked) -> None:
        """Print the result of one period of work."""
        self.failures += len(looked.failures)
        counts = {"new": looked.created, "deleted": looked.deleted, "failed": len(looked.failures)}
        if any(counts.values()) and not (self._verbosity.is_quiet and not looked.failures):
            self._console.print(", ".join(f"{count:,} {what}" for what, count in counts.items() if count))
        for line in unlisted_lines(looked.unlisted):
            self._console.print(line)
        shown = len(looked.failures) if self._verbosity.is_verbose else _SHOWN_FAILURES
        for name, reason in looked.failures[:shown]:
            self._console.print(printable(f"  {name}: {reason}"))
        if len(looked.failures) > shown:
            self._console.print(f"  … and {len(looked.failures) - shown:,} more")

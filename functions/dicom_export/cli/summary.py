"""Summarise an export in lines of text: counters, speed, and failures with their reasons."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.cli.console import COMMAND, printable
from dicom_export.folder_export.run import error_besides_failures
from dicom_export.names import TableName
from dicom_export.operations.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation
    from dicom_export.settings import Place
    from dicom_export.stored_object import Unlisted

_GROUPS_SHOWN = 20
_NAMES_SHOWN = 3
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Places:
    """From where to where an export went, as its user knows it.

    `unit` is what `source` has many of, and `empty` says that it has none. `operation` are the arguments of `operations` that select the
    operation.
    """

    source: str
    destination: str
    unit: str
    empty: str
    operation: str


def folder_places(operation: Operation, place: Place, file: Path) -> Places:
    """Return the places of an export of a folder or bucket to a DuckDB file, or of a folder to another one."""
    is_table = isinstance(operation.destination, TableName)
    source = printable(str(place))
    return Places(
        source,
        f"table {operation.table.table} of {file}" if is_table else f"folder {file}",
        "file",
        f"The folder {source} is empty, or has no files except ignored ones",
        f"{operation.name.operation} --from {shlex.quote(str(file))}",
    )


def summary(
    operation: Operation,
    failures: Iterable[Failure],
    passed_over: Iterable[tuple[str, str]],
    places: Places,
    unlisted: Sequence[Unlisted] = (),
) -> Iterator[str]:
    """Yield the lines of the summary.

    Failures are grouped by reason, and files that are not DICOM by kind, each with the names of some.
    """
    counters = operation.counters or Counters()
    seconds = ((operation.end_time or datetime.now(UTC)) - operation.create_time).total_seconds()
    yield (
        f"{counters.success:,} of {counters.found:,} instances ({counters.studies:,} {'study' if counters.studies == 1 else 'studies'})"
        " exported"
        f" to {places.destination}"
        f" in {seconds:,.1f} s, {counters.success / max(seconds, 0.001):,.0f} instances/s"
    )
    if not (counters.planned or counters.unchanged or counters.unlisted or unlisted or operation.error):
        yield f"{_nothing_found(operation, places)}: nothing was exported."
    if (
        counters.skipped
        and operation.request.is_filtered
        and not (counters.found or counters.unchanged or operation.error)
    ):
        yield f"No instance in {places.source} matches the filter: nothing was exported."
    if counters.unchanged:
        yield (
            f"{counters.unchanged:,} {places.unit}{' has' if counters.unchanged == 1 else 's have'} a row in the table already and"
            " did not change since"
        )
    if counters.skipped:
        yield f"{counters.skipped:,} {'file' if counters.skipped == 1 else 'files'} passed over:"
        yield from _kinds(passed_over, counters.skipped)
    if counters.unlisted and not unlisted:
        yield f"{counters.unlisted:,} {'folder' if counters.unlisted == 1 else 'folders'} could not be listed: see the log of the service"
    yield from unlisted_lines(unlisted)
    error = error_besides_failures(operation)
    if error:
        yield f"{error.code.name}: {printable(error.message)}"
    if counters.failure:
        yield f"{counters.failure:,} failed:" if error else f"Finished, but {counters.failure:,} failed:"
        yield from _reasons(failures)
        yield "List all of them:"
        yield f"{COMMAND}operations failures {places.operation}"


def _nothing_found(operation: Operation, places: Places) -> str:
    """Return why there was nothing to export."""
    request = operation.request
    if request.since is not None:
        return f"No {places.unit} in {places.source} was modified after the time of --since"
    return f"The filter names no {places.unit} in {places.source}" if request.is_filtered else places.empty


def unlisted_lines(unlisted: Sequence[Unlisted]) -> Iterator[str]:
    """Yield the folders that could not be listed, with the reasons."""
    if unlisted:
        yield f"{len(unlisted):,} {'folder' if len(unlisted) == 1 else 'folders'} could not be listed:"
        yield from (printable(f"{'':8}{name}: {reason}") for name, reason in unlisted[:_GROUPS_SHOWN])
    if len(unlisted) > _GROUPS_SHOWN:
        yield f"{'':8}… and {len(unlisted) - _GROUPS_SHOWN:,} more"


def failure_line(failure: Failure) -> str:
    """Return a line with the object and the reason."""
    return printable(f"{failure.object}: {failure.message}")


def _kinds(passed_over: Iterable[tuple[str, str]], skipped: int) -> Iterator[str]:
    groups = _Groups()
    for name, kind in passed_over:
        groups.add(kind, name, kind)
    yield from groups.lines("kinds")
    if skipped > groups.count:
        yield f"{skipped - groups.count:>7,} × not named by the filter"


def _reasons(failures: Iterable[Failure]) -> Iterator[str]:
    """Yield the most frequent reasons. Reasons that differ only in a number, such as an offset, are one group."""
    groups = _Groups()
    for failure in failures:
        groups.add(_NUMBERS.sub("0", failure.message), failure.object, failure.message)
    yield from groups.lines("reasons")


class _Groups:
    """Groups of objects: the number of objects in each, the text of its first, and the names of some."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()
        self._texts: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}

    @property
    def count(self) -> int:
        """The number of objects."""
        return self._times.total()

    def add(self, group: str, name: str, text: str) -> None:
        """Add an object to a group."""
        self._times[group] += 1
        self._texts.setdefault(group, printable(text))
        names = self._names.setdefault(group, [])
        if len(names) < _NAMES_SHOWN:
            names.append(printable(name))

    def lines(self, what: str) -> Iterator[str]:
        """Yield two lines for each of the largest groups."""
        for group, count in self._times.most_common(_GROUPS_SHOWN):
            names = self._names[group]
            yield f"{count:>7,} × {self._texts[group]}"
            yield f"{'':10}{', '.join(names)}{', …' if count > len(names) else ''}"
        if len(self._times) > _GROUPS_SHOWN:
            yield f"{'':8}… and {len(self._times) - _GROUPS_SHOWN:,} more {what}"

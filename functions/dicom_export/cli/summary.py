"""What an export came to, in lines of text: counters, speed, failures with their reasons."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.cli.console import printable
from dicom_export.operations import Counters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dicom_export.operations import Failure, Operation

_REASONS_SHOWN = 20
_NAMES_SHOWN = 3
_NUMBERS = re.compile(r"\d+")


def summary(operation: Operation, failures: Iterable[Failure], file: Path) -> Iterator[str]:
    """Yield the lines. Failures are listed by reason, with the names of some objects for each."""
    counters = operation.counters or Counters()
    seconds = ((operation.end_time or datetime.now(UTC)) - operation.create_time).total_seconds()
    yield (
        f"{counters.success:,} of {counters.found:,} instances ({counters.studies:,} {'study' if counters.studies == 1 else 'studies'})"
        " exported"
        f" to table {operation.request.table.table} of {file}"
        f" in {seconds:,.1f} s, {counters.success / max(seconds, 0.001):,.0f} instances/s"
    )
    if counters.skipped:
        why = "a DICOMDIR, or not named by the filter" if operation.request.filter_uri else "a DICOMDIR is no instance"
        yield f"{counters.skipped:,} files passed over: {why}"
    if operation.error and not _is_told_by_failures(operation, counters):
        yield f"{operation.error.code.name}: {printable(operation.error.message)}"
    if counters.failure:
        yield f"{counters.failure:,} failed:"
        yield from _reasons(failures)
        yield f"List all of them: dicom-export operations failures {operation.name.operation} --from {file}"


def failure_line(failure: Failure) -> str:
    """Return the object and the reason."""
    return printable(f"{failure.object}: {failure.message}")


def _is_told_by_failures(operation: Operation, counters: Counters) -> bool:
    return counters.failure > 0 and not (operation.plan_error or counters.cancelled or counters.abandoned)


def _reasons(failures: Iterable[Failure]) -> Iterator[str]:
    """Yield the most frequent reasons. Those that differ in a number only, such as an offset, are one."""
    times: Counter[str] = Counter()
    examples: dict[str, list[Failure]] = {}
    for failure in failures:
        reason = _NUMBERS.sub("0", failure.message)
        times[reason] += 1
        if times[reason] <= _NAMES_SHOWN:
            examples.setdefault(reason, []).append(failure)
    for reason, count in times.most_common(_REASONS_SHOWN):
        yield f"{count:>7,} × {printable(examples[reason][0].message)}"
        names = [printable(failure.object) for failure in examples[reason]]
        yield f"{'':10}{', '.join(names)}{', …' if count > len(names) else ''}"
    if len(times) > _REASONS_SHOWN:
        yield f"{'':8}… and {len(times) - _REASONS_SHOWN:,} more reasons"

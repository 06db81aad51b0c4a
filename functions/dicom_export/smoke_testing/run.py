"""Run a smoke test, and remove what it made."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dicom_export.errors import DicomExportError, Unavailable
from dicom_export.smoke_testing.asked import answers
from dicom_export.smoke_testing.bench import sql_name
from dicom_export.smoke_testing.instances import SyntheticInstance
from dicom_export.smoke_testing.pipeline import STUDIES, Pipeline
from dicom_export.smoke_testing.results import Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_export.smoke_testing.bench import Bench
    from dicom_export.smoke_testing.redaction import Redaction

_EVENT_SECONDS = 60.0


@dataclass(frozen=True)
class SmokeTest:
    """A run, and what has to be left out of its output."""

    bench: Bench
    redaction: Redaction

    def run(self, report: Callable[[Result], None], *, asks: bool = True) -> None:
        """Report each result, as `run` does."""
        run(self.bench, report, asks=asks)

    def redacted(self, result: Result) -> Result:
        """Return the result without names of the user."""
        return replace(
            result, text=self.redaction.text(result.text), measured=self.redaction.value(dict(result.measured))
        )


def run(bench: Bench, report: Callable[[Result], None], *, asks: bool = True) -> None:
    """Report the result of each step, of each question if `asks`, and at last what was removed.

    Everything is removed however the run ends.
    """
    with _removing(bench, report):
        pipeline = Pipeline(bench)
        for result in pipeline.results():
            report(result)
        for result in answers(bench, pipeline) if asks else ():
            report(result)


@contextmanager
def _removing(bench: Bench, report: Callable[[Result], None]) -> Iterator[None]:
    try:
        yield
    finally:
        report(_removal(bench))


def _removal(bench: Bench) -> Result:
    """Remove the objects, the tables, and the rows of the automatic export. What cannot be removed is named."""
    text = "objects, tables and rows of the test are removed"
    left: list[str] = []
    removed = {"objects": 0, "tables": 0}
    for what, remove in (("objects", _remove_objects), ("tables", _remove_tables), ("rows", _remove_rows)):
        try:
            removed[what] = remove(bench)
        except DicomExportError as error:
            left.append(f"{what}: {error.message}")
    if left:
        return Result("removal", Outcome.FAILED, f"{text}: {'; '.join(left)}", removed)
    return Result("removal", Outcome.VERIFIED, text, removed)


def _remove_objects(bench: Bench) -> int:
    studies = tuple(f"{SyntheticInstance(bench.run, study, 0).study_uid}/" for study in range(STUDIES))
    ours = [name for name in bench.lab.objects() if name.startswith(studies)]
    for name in ours:
        bench.lab.delete(name)
    return len(ours)


def _remove_tables(bench: Bench) -> int:
    ours = list(bench.tables())
    for table in ours:
        bench.drop(table)
    return len(ours)


def _remove_rows(bench: Bench) -> int:
    """Delete the rows of this run from the table of the automatic export.

    The table stays, because rows that are streamed to a table right after it was deleted get lost.
    """
    studies = ", ".join(f"'{SyntheticInstance(bench.run, study, 0).study_uid}'" for study in range(STUDIES))
    condition = f"StudyInstanceUID IN ({studies})"
    if bench.streamed.table not in bench.existing():
        return 0
    _await_deletions(bench, condition)
    count = bench.count(bench.streamed, condition)
    bench.lab.rows(f"DELETE FROM {sql_name(bench.streamed)} WHERE {condition}")
    return count


def _await_deletions(bench: Bench, condition: str) -> None:
    """Wait until each removed object has its row: one that comes later would stay."""
    written = bench.count(bench.streamed, f"Type = 'CREATE' AND {condition}")
    deleted = f"Type = 'DELETE' AND {condition}"
    with suppress(Unavailable):
        bench.until(
            lambda: bench.count(bench.streamed, deleted) >= written, "rows of deletions are missing", _EVENT_SECONDS
        )

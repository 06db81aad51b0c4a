"""How far an operation is, page by page of its plan: what a progress display shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dicom_export.operations.counters import Counters
from dicom_export.state import paths
from dicom_export.state.paths import number_of
from dicom_export.state.records import Records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.names import OperationName

FEW_TASKS = 120
"""A plan of at most this number of tasks is shown task by task."""


@dataclass(frozen=True, slots=True)
class PageProgress:
    """A page of the plan, and the outcomes so far.

    `results` has the counters of each finished task, by its number in the page. It is empty for a page that is summed,
    if the plan has more than FEW_TASKS tasks: then `done` is the sum.
    """

    tasks: int
    planned: int
    done: Counters = field(default_factory=Counters)
    results: Mapping[int, Counters] = field(default_factory=dict)


class ProgressOfPages(Records):
    """The progress of all operations. Nothing is read but listings."""

    def pages(self, name: OperationName) -> list[PageProgress]:
        """Return the planned pages in order."""
        plan = {number_of(entry.path): entry.metadata for entry in self._store.list(paths.plan_prefix(name))}
        sums = {
            number_of(entry.path): Counters.from_metadata(entry.metadata)
            for entry in self._store.list(paths.pages_prefix(name))
        }
        tasks = {page: int(metadata["tasks"]) for page, metadata in plan.items()}
        wanted = set(plan) if sum(tasks.values()) <= FEW_TASKS else set(plan) - set(sums)
        results = self._results(name, wanted)
        return [
            PageProgress(
                tasks[page],
                int(plan[page]["planned"]),
                sums.get(page) or Counters.total(results[page].values() if page in results else ()),
                results.get(page, {}),
            )
            for page in sorted(plan)
        ]

    def _results(self, name: OperationName, wanted: set[int]) -> dict[int, dict[int, Counters]]:
        found: dict[int, dict[int, Counters]] = {page: {} for page in wanted}
        if wanted:
            start = paths.results_prefix(name, min(wanted))
            for entry in self._store.list(paths.results_prefix(name), start_after=start):
                page = number_of(entry.path.rpartition("/")[0])
                if page in found:
                    found[page][number_of(entry.path)] = Counters.from_metadata(entry.metadata)
        return found

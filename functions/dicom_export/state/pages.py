"""The sums of pages that have all results, and the counters that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dicom_export.operations.counters import Counters
from dicom_export.state import paths
from dicom_export.state.paths import number_of
from dicom_export.state.records import Records, encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dicom_export.names import OperationName
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.outcome import Outcome
    from dicom_export.ports import OperationStore
    from dicom_export.state.tasks import Tasks


class Pages(Records):
    """The counted pages of all operations."""

    def __init__(self, store: OperationStore, tasks: Tasks) -> None:
        super().__init__(store)
        self._tasks = tasks

    def has_sum(self, name: OperationName, page: int) -> bool:
        """Say whether all results of the page exist and are summed."""
        return self._store.read(paths.page_path(name, page)) is not None

    def results(self, name: OperationName, page: int) -> PageResults | None:
        """Return the results of the page if all exist, else None. One list call decides."""
        planned = next(self._store.list(paths.plan_path(name, page)), None)
        if planned is None:
            return None
        results = list(self._store.list(paths.results_prefix(name, page)))
        if len(results) < int(planned.metadata["tasks"]):
            return None
        counters = Counters.total(Counters.from_metadata(entry.metadata) for entry in results)
        return PageResults(counters + _of_plan(planned.metadata), self._tasks.results(name, page))

    def create_sum(self, name: OperationName, page: int, results: PageResults) -> None:
        """Create the sum of a page that has all results."""
        outcomes = list(results.outcomes)
        studies = sorted({study for outcome in outcomes for study in outcome.studies})
        matched = sorted({position for outcome in outcomes for position in outcome.matched})
        content = encode({"studies": studies, "matched": matched})
        counters = replace(results.counters, studies=len(studies))
        self._store.create(paths.page_path(name, page), content, counters.to_metadata())

    def sums(self, name: OperationName) -> dict[int, Counters]:
        """Return the sums of the finished pages."""
        return {
            number_of(entry.path): Counters.from_metadata(entry.metadata)
            for entry in self._store.list(paths.pages_prefix(name))
        }

    def outstanding(self, name: OperationName, tasks: Mapping[int, int]) -> int:
        """Return the number of tasks in those of these pages that have no sum, given the tasks of each."""
        sums = {number_of(entry.path) for entry in self._store.list(paths.pages_prefix(name))}
        return sum(count for page, count in tasks.items() if page not in sums)

    def studies(self, name: OperationName, *, are_in_order: bool) -> int:
        """Return the number of studies in the finished pages.

        Where the plan visits studies in order, only adjacent pages can share a study, so that the
        studies of two pages are held in memory.
        """
        count, seen = 0, set[str]()
        for page in self._contents(name):
            studies = set(page["studies"])
            count += len(studies - seen)
            # A page without studies may be between two that share one.
            seen = studies or seen if are_in_order else seen | studies
        return count

    def matched(self, name: OperationName) -> set[int]:
        """Return the positions of the filter paths that name instances of finished pages."""
        return {position for page in self._contents(name) for position in page["matched"]}

    def _contents(self, name: OperationName) -> Iterator[dict[str, Any]]:
        entries = self._store.list(paths.pages_prefix(name))
        return (data for _, data in self._read_all(entry.path for entry in entries))

    def counters(self, operation: Operation) -> Counters:
        """Return the current counters of the operation.

        Those of a running operation are derived from the state objects: the finished pages, and the
        results in the open pages.
        """
        if operation.counters:
            return operation.counters
        sums = self.sums(operation.name)
        plan = {number_of(entry.path): entry.metadata for entry in self._store.list(paths.plan_prefix(operation.name))}
        planned = {page: _of_plan(metadata) for page, metadata in plan.items() if page not in sums}
        results = self._results_of_pages(operation.name, planned.keys())
        return Counters.total((*sums.values(), *planned.values(), *results))

    def _results_of_pages(self, name: OperationName, pages: Collection[int]) -> Iterator[Counters]:
        """Yield the counters in the metadata of the results of some pages.

        One listing finds them, from the first of the pages on.
        """
        if pages:
            for entry in self._store.list(
                paths.results_prefix(name), start_after=paths.results_prefix(name, min(pages))
            ):
                if number_of(entry.path.rpartition("/")[0]) in pages:
                    yield Counters.from_metadata(entry.metadata)


def _of_plan(metadata: Mapping[str, str]) -> Counters:
    """Return the counters of a page that its plan decides."""
    return Counters(planned=int(metadata["planned"]), unchanged=int(metadata.get("unchanged", 0)))


@dataclass(frozen=True, slots=True)
class PageResults:
    """All results of a page.

    `counters` is their sum, except for the studies. `outcomes` are read while they are iterated.
    """

    counters: Counters
    outcomes: Iterator[Outcome]

"""What the handlers read and write of an operation's state: typed, over the OperationStore port."""

from __future__ import annotations

import json
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from dicom_export.errors import Code, Internal, InvalidArgument, NotFound
from dicom_export.messages import ExportStudy, PlanExport, object_from_json, object_to_json
from dicom_export.names import DatasetName, OperationName
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Failure, Status
from dicom_export.operations.filters import has_malformed
from dicom_export.operations.operation import Operation
from dicom_export.operations.planning import Cursor, Layout, Task
from dicom_export.state import paths
from dicom_export.state.overwrites import Overwrites
from dicom_export.stored_object import Unlisted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from dicom_export.names import TableName
    from dicom_export.operations.filters import FilterPath
    from dicom_export.ports import OperationStore, StateObject

_READS_AHEAD = 32
_PARTS_OF_DATASET = 6
_FAILURE_POSITION = re.compile(r"[0-9/]+\.json#[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class PlanPage:
    """The tasks of one page, and where the next one begins; the last page has no next one.

    A page that could not be planned has the reason in `error`, no tasks and no next page. `applies_filter` says that
    the workers have to apply the operation's filter, since the names of the objects do not tell. `unlisted` could not be
    listed; what comes between two pages may be in both.
    """

    tasks: tuple[Task, ...] = ()
    next: Cursor | None = None
    layout: Layout = Layout.FOLDERS
    applies_filter: bool = False
    error: Status | None = None
    unlisted: tuple[Unlisted, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a task's objects.

    `skipped` are the positions in the task of objects that are no instances, or none that the filter names; `matched`
    are the positions in the filter that the task's instances are of; `passed_over` are the names of objects that are positively
    something else than DICOM, each with what it is.
    """

    counters: Counters = field(default_factory=Counters)
    failures: tuple[Failure, ...] = ()
    studies: tuple[str, ...] = ()
    skipped: tuple[int, ...] = ()
    matched: tuple[int, ...] = ()
    passed_over: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """The decision on a task: the one stream that may be committed, if there is any, and what comes of it."""

    stream: str | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class PageResults:
    """A page's results, all of them: their sum but for the studies, and what each says, read while it is iterated."""

    counters: Counters
    outcomes: Iterator[Outcome]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that ran out of attempts and cost its instances their rows, why, and when that was found out."""

    message: PlanExport | ExportStudy
    reason: Status
    time: datetime

    @property
    def id(self) -> str:
        """What tells it from the operation's other dead letters: the same however often it is found out."""
        task = f"-{self.message.task:03d}" if isinstance(self.message, ExportStudy) else ""
        return f"{self.message.page:06d}{task}-{self.message.topic}"

    def to_json(self) -> dict[str, Any]:
        return {
            "topic": self.message.topic,
            "message": self.message.to_json(),
            "code": int(self.reason.code),
            "reason": self.reason.message,
            "time": self.time.isoformat(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DeadLetter:
        kind: type[PlanExport | ExportStudy] = PlanExport if data["topic"] == PlanExport.topic else ExportStudy
        reason = Status(Code(data["code"]), data["reason"])
        return cls(kind.from_json(data["message"]), reason, datetime.fromisoformat(data["time"]))


class Journal:
    """The state of all operations."""

    def __init__(self, store: OperationStore) -> None:
        self._store = store

    @property
    def overwrites(self) -> Overwrites:
        """The overwrites of tables that are streamed into."""
        return Overwrites(self._store, self.find)

    def create(self, operation: Operation) -> bool:
        """Create the operation and its entry in the index; False if there is one of this name already."""
        # The index first: an operation that is not listed would be resumed and ended by nobody.
        self._store.create(paths.index_path(operation.name, operation.create_time), b"")
        return self._store.create(paths.operation_path(operation.name), operation.encode())

    def find(self, name: OperationName) -> Operation | None:
        """Return the operation, or None if there is none of this name."""
        state = self._store.read(paths.operation_path(name))
        return Operation.decode(state.content) if state else None

    def load(self, name: OperationName) -> Operation:
        """Return the operation. Raises NotFound."""
        return self._load(name)[0]

    def change(self, name: OperationName, change: Callable[[Operation], Operation]) -> Operation:
        """Replace the operation by what `change` makes of it, as often as it takes when others change it too."""
        while True:
            operation, version = self._load(name)
            changed = change(operation)
            if changed == operation:
                return operation
            if self._store.replace(paths.operation_path(name), changed.encode(), version):
                return changed

    def _load(self, name: OperationName) -> tuple[Operation, str]:
        state = self._store.read(paths.operation_path(name))
        if state is None:
            raise NotFound(f"Operation {name} was not found")
        return Operation.decode(state.content), state.version

    def newest_first(self, parent: DatasetName, start_after: str = "") -> Iterator[tuple[str, Operation]]:
        """Yield the operations of a dataset, each with the position that `start_after` takes."""
        prefix = paths.index_prefix(parent)
        for entry in self._store.list(prefix, start_after=f"{prefix}{start_after}" if start_after else ""):
            position = entry.path.removeprefix(prefix)
            operation = self.find(OperationName(parent, position.partition("-")[2]))
            if operation and entry.path == paths.index_path(operation.name, operation.create_time):
                yield position, operation

    def parents(self) -> Iterator[DatasetName]:
        """Yield the datasets that have operations."""
        start_after = ""
        while entry := next(self._store.list("projects/", start_after=start_after), None):
            parent = DatasetName.parse("/".join(entry.path.split("/")[:_PARTS_OF_DATASET]))
            yield parent
            start_after = f"{parent}/\U0010ffff"  # behind all that is below it

    def plan_page(self, name: OperationName, page: int) -> PlanPage | None:
        """Return a page of the plan, or None if it is not planned yet."""
        data = self._read(paths.plan_path(name, page))
        return _plan_page_from_json(data) if data else None

    def has_plan_page(self, name: OperationName, page: int) -> bool:
        """Return whether the page is planned."""
        return next(self._store.list(paths.plan_path(name, page)), None) is not None

    def planned_pages(self, name: OperationName) -> list[int]:
        """Return the pages that are planned by now."""
        return [_page_of(entry.path) for entry in self._store.list(paths.plan_prefix(name))]

    def create_plan_page(self, name: OperationName, page: int, planned: PlanPage) -> PlanPage:
        """Create the page, and return what stands there: ours, or that of whoever was first."""
        metadata = {"tasks": str(len(planned.tasks)), "planned": str(sum(map(len, planned.tasks)))}
        if planned.unlisted:
            metadata["unlisted"] = str(len(planned.unlisted))
        content = _encode(_plan_page_to_json(planned))
        if self._store.create(paths.plan_path(name, page), content, metadata):
            return planned
        return self.plan_page(name, page) or _vanished(paths.plan_path(name, page))

    def claim(self, name: OperationName, page: int, task: int) -> Claim | None:
        """Return the claim of a task, or None if there is none yet."""
        data = self._read(paths.claim_path(name, page, task))
        return Claim(data["stream"], _outcome_from_json(data)) if data else None

    def create_claim(self, name: OperationName, page: int, task: int, claim: Claim) -> Claim:
        """Create the claim, and return what stands there: ours, also if the answer got lost, or the winner's."""
        content = _encode({"stream": claim.stream, **_outcome_to_json(claim.outcome)})
        if self._store.create(paths.claim_path(name, page, task), content):
            return claim
        return self.claim(name, page, task) or _vanished(paths.claim_path(name, page, task))

    def claims(self, name: OperationName) -> Iterator[tuple[int, int, Claim]]:
        """Yield the claims of an operation, each with its page and its task."""
        prefix = paths.claims_prefix(name)
        for path, data in self._read_all(entry.path for entry in self._store.list(prefix)):
            page, task = path.removeprefix(prefix).removesuffix(".json").split("/")
            yield int(page), int(task), Claim(data["stream"], _outcome_from_json(data))

    def successes(self, name: OperationName) -> dict[tuple[int, int], int]:
        """Return how many rows each task of an operation has committed, by page and task, of those that have a result."""
        prefix = paths.results_prefix(name)
        found = {}
        for entry in self._store.list(prefix):
            page, task = entry.path.removeprefix(prefix).removesuffix(".json").split("/")
            found[int(page), int(task)] = Counters.from_metadata(entry.metadata).success
        return found

    def result(self, name: OperationName, page: int, task: int) -> Outcome | None:
        """Return what became of a task, or None if it is not decided yet."""
        data = self._read(paths.result_path(name, page, task))
        return _outcome_from_json(data) if data else None

    def create_result(self, name: OperationName, page: int, task: int, outcome: Outcome) -> bool:
        """Create the result, or return False if there is one: it follows from the claim, so whoever is first writes the same."""
        content = _encode(_outcome_to_json(outcome))
        return self._store.create(paths.result_path(name, page, task), content, outcome.counters.to_metadata())

    def results(self, name: OperationName, page: int | None = None) -> Iterator[Outcome]:
        """Yield the results of a page, or of all pages, in order."""
        entries = self._store.list(paths.results_prefix(name, page))
        for _, data in self._read_all(entry.path for entry in entries):
            yield _outcome_from_json(data)

    def has_page_sum(self, name: OperationName, page: int) -> bool:
        """Return whether all results of the page are in and summed."""
        return self._store.read(paths.page_path(name, page)) is not None

    def results_of_page(self, name: OperationName, page: int) -> PageResults | None:
        """Return the page's results if they are all in, else None. One list call decides."""
        planned = next(self._store.list(paths.plan_path(name, page)), None)
        if planned is None:
            return None
        results = list(self._store.list(paths.results_prefix(name, page)))
        if len(results) < int(planned.metadata["tasks"]):
            return None
        counters = Counters.total(Counters.from_metadata(entry.metadata) for entry in results)
        return PageResults(replace(counters, planned=int(planned.metadata["planned"])), self.results(name, page))

    def create_page_sum(self, name: OperationName, page: int, results: PageResults) -> None:
        """Create the sum of a page whose results are all in."""
        outcomes = list(results.outcomes)
        studies = sorted({study for outcome in outcomes for study in outcome.studies})
        matched = sorted({position for outcome in outcomes for position in outcome.matched})
        content = _encode({"studies": studies, "matched": matched})
        counters = replace(results.counters, studies=len(studies))
        self._store.create(paths.page_path(name, page), content, counters.to_metadata())

    def report(self, name: OperationName, page: int) -> str | None:
        """Return the stream that holds the failure rows of a page, or None if there is none yet."""
        data = self._read(paths.report_path(name, page))
        return str(data["stream"]) if data else None

    def create_report(self, name: OperationName, page: int, stream: str) -> str:
        """Create the claim of a page's failure rows, and return the stream that it names: ours, or the winner's."""
        if self._store.create(paths.report_path(name, page), _encode({"stream": stream})):
            return stream
        return self.report(name, page) or _vanished(paths.report_path(name, page))

    def page_sums(self, name: OperationName) -> dict[int, Counters]:
        """Return the sums of the finished pages."""
        return {
            _page_of(entry.path): Counters.from_metadata(entry.metadata)
            for entry in self._store.list(paths.pages_prefix(name))
        }

    def studies(self, name: OperationName, *, are_in_order: bool) -> int:
        """Return how many studies the finished pages have among them.

        Where the plan goes through them in order, only pages that follow each other can share one, and two are held.
        """
        count, seen = 0, set[str]()
        for page in self._page_contents(name):
            studies = set(page["studies"])
            count += len(studies - seen)
            # A page without any may lie between two that share one.
            seen = studies or seen if are_in_order else seen | studies
        return count

    def unlisted(self, name: OperationName) -> list[Unlisted]:
        """Return what could not be listed, as far as the plan is made, by name."""
        pages = [entry.path for entry in self._store.list(paths.plan_prefix(name)) if entry.metadata.get("unlisted")]
        found = {each.name: each for _, data in self._read_all(pages) for each in _plan_page_from_json(data).unlisted}
        return [found[each] for each in sorted(found)]

    def matched(self, name: OperationName) -> set[int]:
        """Return the positions in the filter that the instances of the finished pages are of."""
        return {position for page in self._page_contents(name) for position in page["matched"]}

    def _page_contents(self, name: OperationName) -> Iterator[dict[str, Any]]:
        entries = self._store.list(paths.pages_prefix(name))
        return (data for _, data in self._read_all(entry.path for entry in entries))

    def counters(self, operation: Operation) -> Counters:
        """Return the operation's counters as they are now.

        Those of a running one are derived from what exists: the finished pages, and the results in the open ones.
        """
        if operation.counters:
            return operation.counters
        sums = self.page_sums(operation.name)
        plan = {_page_of(entry.path): entry.metadata for entry in self._store.list(paths.plan_prefix(operation.name))}
        planned = {page: int(metadata["planned"]) for page, metadata in plan.items() if page not in sums}
        results = self._results_of_pages(operation.name, planned.keys())
        return Counters.total((*sums.values(), Counters(planned=sum(planned.values())), *results))

    def _results_of_pages(self, name: OperationName, pages: Collection[int]) -> Iterator[Counters]:
        """Yield what the results of some pages say in their metadata, by one listing from the first of them on."""
        if pages:
            for entry in self._store.list(
                paths.results_prefix(name), start_after=paths.results_prefix(name, min(pages))
            ):
                if _page_of(entry.path.rpartition("/")[0]) in pages:
                    yield Counters.from_metadata(entry.metadata)

    def failures(self, name: OperationName, page: int | None = None) -> Iterator[Failure]:
        """Yield the failures of an operation as far as it is, or of one of its pages, in the order of the plan."""
        return (failure for _, failure in self.failures_behind("", name, page))

    def failures_behind(
        self, position: str, name: OperationName, page: int | None = None
    ) -> Iterator[tuple[str, Failure]]:
        """Yield the failures behind a position, each with its own: which result, and which failure in it. The first has none before it.

        Raises InvalidArgument for a position that none can have.
        """
        if position and not _FAILURE_POSITION.fullmatch(position):
            raise InvalidArgument(f"{position[:100]!r} is no position of a failure; it would be what came with one")
        prefix = paths.results_prefix(name, page)
        result, _, index = position.rpartition("#")
        entries = self._store.list(prefix, start_after=_just_before(f"{prefix}{result}") if result else "")
        for path, data in self._read_all(entry.path for entry in entries if entry.metadata.get("failure")):
            where = path.removeprefix(prefix)
            skipped = int(index) + 1 if where == result else 0
            for number, failure in enumerate(_outcome_from_json(data).failures[skipped:], skipped):
                yield f"{where}#{number}", failure

    def passed_over(self, name: OperationName) -> Iterator[tuple[str, str]]:
        """Yield the names of the objects that are positively something else than DICOM, each with what it is."""
        entries = self._store.list(paths.results_prefix(name))
        for _, data in self._read_all(entry.path for entry in entries if entry.metadata.get("skipped")):
            yield from _outcome_from_json(data).passed_over

    def take(self, table: TableName, name: OperationName) -> OperationName:
        """Have the operation take the table for itself, and return who has it then: until that operation is done."""
        path, ours = paths.exclusive_path(table), _encode({"operation": str(name)})
        while True:
            state = self._store.read(path)
            if state is None:
                if self._store.create(path, ours):
                    return name
                continue
            holder = _holder(state)
            operation = None if holder == name else self.find(holder)
            if holder == name or (operation and not operation.is_done):
                return holder
            if self._store.replace(path, ours, state.version):
                return name

    def holder(self, table: TableName) -> OperationName | None:
        """Return the operation that took the table for itself last."""
        state = self._store.read(paths.exclusive_path(table))
        return _holder(state) if state else None

    def is_first_to_heal(self, name: OperationName, period: int) -> bool:
        """Return True to one caller in a period."""
        return self._store.create(paths.heal_path(name, period), b"")

    def keep_dead_letter(self, letter: DeadLetter) -> None:
        """Keep a message that ran out of attempts, once."""
        self._store.create(paths.dead_letter_path(letter.message.operation, letter.id), _encode(letter.to_json()))

    def dead_letters(self, parent: DatasetName, name: OperationName | None = None) -> Iterator[DeadLetter]:
        """Yield the dead letters of a dataset's operations, or of one of them, by operation and in the order of its plan."""
        prefix = paths.dead_letters_prefix(parent) + (f"{name.operation}/" if name else "")
        for entry in self._store.list(prefix):
            yield DeadLetter.from_json(self._read(entry.path) or _vanished(entry.path))

    def copy_filter(self, source: OperationName, name: OperationName) -> None:
        """Give an operation the filter of another, if that has one."""
        index = self.filter_index(source)
        if index is None:
            return
        for number in range(len(index.firsts)):
            self._store.create(paths.filter_path(name, number), _encode(self.filter_chunk(source, number)))
        self._store.create(paths.filter_index_path(name), _encode(asdict(index)))

    def create_filter(
        self, name: OperationName, filter_paths: Iterable[FilterPath], chunk_size: int = 10_000
    ) -> FilterIndex:
        """Store the filter's sorted paths in chunks, the index last: there is a filter once there is an index."""
        remaining = iter(filter_paths)
        firsts: list[FilterPath] = []
        is_any_malformed = False
        while chunk := list(islice(remaining, chunk_size)):
            self._store.create(paths.filter_path(name, len(firsts)), _encode(chunk))
            firsts.append(chunk[0])
            is_any_malformed = is_any_malformed or any(map(has_malformed, chunk))
        index = FilterIndex(tuple(firsts), chunk_size, is_any_malformed)
        self._store.create(paths.filter_index_path(name), _encode(asdict(index)))
        return index

    def filter_index(self, name: OperationName) -> FilterIndex | None:
        """Return the operation's filter as far as it is held in memory, or None before it was stored."""
        data = self._read(paths.filter_index_path(name))
        if data is None:
            return None
        # A filter that an earlier version stored names no malformed UID.
        return FilterIndex(tuple(map(tuple, data["firsts"])), data["chunk_size"], data.get("has_malformed", False))

    def filter_chunk(self, name: OperationName, chunk: int) -> list[FilterPath]:
        """Return one chunk of the filter's sorted paths."""
        path = paths.filter_path(name, chunk)
        return [tuple(each) for each in self._read(path) or _vanished(path)]

    def _read_all(self, found: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Yield the paths with what they hold, in order: the first two read as they are asked for, the others ahead."""
        remaining = iter(found)
        for path in islice(remaining, 2):
            yield path, self._read(path) or _vanished(path)
        with ThreadPoolExecutor(_READS_AHEAD, "read-ahead") as pool:
            reads = deque((path, pool.submit(self._read, path)) for path in islice(remaining, _READS_AHEAD))
            while reads:
                path, read = reads.popleft()
                reads.extend((each, pool.submit(self._read, each)) for each in islice(remaining, 1))
                yield path, read.result() or _vanished(path)

    def _read(self, path: str) -> Any:  # noqa: ANN401 - JSON
        state = self._store.read(path)
        return json.loads(state.content) if state else None


@dataclass(frozen=True, slots=True)
class FilterIndex:
    """The first path of each chunk of a filter, how many paths a chunk has, and whether any names a malformed UID."""

    firsts: tuple[FilterPath, ...]
    chunk_size: int
    has_malformed: bool = False


def _holder(state: StateObject) -> OperationName:
    return OperationName.parse(json.loads(state.content)["operation"])


def _vanished(path: str) -> NoReturn:
    raise Internal(f"{path} was there and is no more; state must not be deleted while its operation runs")


def _just_before(path: str) -> str:
    """Return a path that no object has, and behind which the path is the first."""
    return path.removesuffix(".json")


def _page_of(path: str) -> int:
    return int(path.rpartition("/")[2].removesuffix(".json"))


def _encode(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "counters": asdict(outcome.counters),
        "failures": [failure.to_json() for failure in outcome.failures],
        "studies": outcome.studies,
        "skipped": outcome.skipped,
        "matched": outcome.matched,
        "passedOver": outcome.passed_over,
    }


def _outcome_from_json(data: dict[str, Any]) -> Outcome:
    return Outcome(
        Counters(**data["counters"]),
        tuple(map(Failure.from_json, data["failures"])),
        tuple(data["studies"]),
        tuple(data["skipped"]),
        tuple(data["matched"]),
        tuple((name, kind) for name, kind in data.get("passedOver", ())),  # results of earlier versions have none
    )


def _plan_page_to_json(page: PlanPage) -> dict[str, Any]:
    return {
        "tasks": [[object_to_json(stored) for stored in task] for task in page.tasks],
        "next": asdict(page.next) if page.next else None,
        "layout": page.layout.value,
        "appliesFilter": page.applies_filter,
        "error": page.error.to_json() if page.error else None,
        **({"unlisted": page.unlisted} if page.unlisted else {}),
    }


def _plan_page_from_json(data: dict[str, Any]) -> PlanPage:
    following, error = data["next"], data["error"]
    return PlanPage(
        tuple(tuple(map(object_from_json, task)) for task in data["tasks"]),
        Cursor(Layout(following["layout"]), following["path"], following["start_after"]) if following else None,
        Layout(data["layout"]),
        data["appliesFilter"],
        Status.from_json(error) if error else None,
        tuple(Unlisted(*each) for each in data.get("unlisted", ())),
    )

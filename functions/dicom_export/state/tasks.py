"""The claims of tasks, and their results: each created once."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dicom_export.errors import InvalidArgument
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Failure
from dicom_export.operations.outcome import Outcome
from dicom_export.state import paths
from dicom_export.state.records import Records, encode, vanished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.names import OperationName


_FAILURE_POSITION = re.compile(r"[0-9/]+\.json#[0-9]{1,9}")


class Tasks(Records):
    """The tasks of all operations."""

    def claim(self, name: OperationName, page: int, task: int) -> Claim | None:
        """Return the claim of a task, or None if there is none yet."""
        data = self._read(paths.claim_path(name, page, task))
        return Claim(data["stream"], _outcome_from_json(data)) if data else None

    def create_claim(self, name: OperationName, page: int, task: int, claim: Claim) -> Claim:
        """Create the claim, and return the stored one: ours, or that of the first creator.

        It is ours, too, if an earlier answer was lost.
        """
        content = encode({"stream": claim.stream, **_outcome_to_json(claim.outcome)})
        if self._store.create(paths.claim_path(name, page, task), content):
            return claim
        return self.claim(name, page, task) or vanished(paths.claim_path(name, page, task))

    def claims(self, name: OperationName) -> Iterator[tuple[int, int, Claim]]:
        """Yield the claims of an operation, each with its page and its task."""
        prefix = paths.claims_prefix(name)
        for path, data in self._read_all(entry.path for entry in self._store.list(prefix)):
            page, task = path.removeprefix(prefix).removesuffix(".json").split("/")
            yield int(page), int(task), Claim(data["stream"], _outcome_from_json(data))

    def successes(self, name: OperationName) -> dict[tuple[int, int], int]:
        """Return the number of committed rows of each task that has a result.

        The keys are page and task.
        """
        prefix = paths.results_prefix(name)
        found = {}
        for entry in self._store.list(prefix):
            page, task = entry.path.removeprefix(prefix).removesuffix(".json").split("/")
            found[int(page), int(task)] = Counters.from_metadata(entry.metadata).success
        return found

    def result(self, name: OperationName, page: int, task: int) -> Outcome | None:
        """Return the outcome of a task, or None if it is not decided yet."""
        data = self._read(paths.result_path(name, page, task))
        return _outcome_from_json(data) if data else None

    def create_result(self, name: OperationName, page: int, task: int, outcome: Outcome) -> bool:
        """Create the result; return False if it exists.

        It follows from the claim, so that every creator writes the same.
        """
        content = encode(_outcome_to_json(outcome))
        return self._store.create(paths.result_path(name, page, task), content, outcome.counters.to_metadata())

    def results(self, name: OperationName, page: int | None = None) -> Iterator[Outcome]:
        """Yield the results of a page, or of all pages, in order."""
        entries = self._store.list(paths.results_prefix(name, page))
        for _, data in self._read_all(entry.path for entry in entries):
            yield _outcome_from_json(data)

    def failures(self, name: OperationName, page: int | None = None) -> Iterator[Failure]:
        """Yield the failures of an operation so far, or of one of its pages, in plan order."""
        return (failure for _, failure in self.failures_after("", name, page))

    def failures_after(
        self, position: str, name: OperationName, page: int | None = None
    ) -> Iterator[tuple[str, Failure]]:
        """Yield the failures after a position, each with its own position.

        A position names a result, and a failure in it. Raises InvalidArgument if the position is
        malformed.
        """
        if position and not _FAILURE_POSITION.fullmatch(position):
            raise InvalidArgument(
                f"Invalid page position {position[:100]!r}; expected one that was returned with a failure"
            )
        prefix = paths.results_prefix(name, page)
        result, _, index = position.rpartition("#")
        entries = self._store.list(prefix, start_after=_just_before(f"{prefix}{result}") if result else "")
        for path, data in self._read_all(entry.path for entry in entries if entry.metadata.get("failure")):
            where = path.removeprefix(prefix)
            skipped = int(index) + 1 if where == result else 0
            for number, failure in enumerate(_outcome_from_json(data).failures[skipped:], skipped):
                yield f"{where}#{number}", failure

    def passed_over(self, name: OperationName) -> Iterator[tuple[str, str]]:
        """Yield the names of objects in another known format than DICOM, each with the format."""
        entries = self._store.list(paths.results_prefix(name))
        for _, data in self._read_all(entry.path for entry in entries if entry.metadata.get("skipped")):
            yield from _outcome_from_json(data).passed_over


@dataclass(frozen=True, slots=True)
class Claim:
    """The decision on a task: its outcome, and the one stream that may be committed, if any."""

    stream: str | None
    outcome: Outcome


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
        # Results of earlier versions have no objects that were passed over.
        tuple((name, kind) for name, kind in data.get("passedOver", ())),
    )


def _just_before(path: str) -> str:
    """Return a path that no object has, and that sorts directly before the path."""
    return path.removesuffix(".json")

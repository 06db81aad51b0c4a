"""What a function does with a check message: it tests what its account may do, and writes the answer to the state.

Only the function itself can tell: Google Cloud says what the caller may do, and nobody else.
Every test is a call that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dicom_export.diagnosing.needs import NEEDS, Place
from dicom_export.errors import DicomExportError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.diagnosing.check_message import Check
    from dicom_export.diagnosing.needs import Needs
    from dicom_export.names import StoreName
    from dicom_export.ports import OperationStore, Probes
    from dicom_export.state.checks import Checks
    from dicom_export.stores import DeclaredStore

Test = tuple[Place, str, Callable[[], object]]
"""One test: the kind of resource, its name, and the call."""

_NOBODYS = "dicom-export-check"


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one test. `error` is the name and the message of the error, or empty if the call succeeded."""

    place: Place
    subject: str
    error: str = ""

    def to_json(self) -> dict[str, str]:
        return {"place": self.place.value, "subject": self.subject, "error": self.error}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Answer:
        return cls(Place(data["place"]), str(data["subject"]), str(data["error"]))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the functions of an installation work on. `buckets` are those of the stores."""

    state: OperationStore
    stores: Mapping[StoreName, DeclaredStore]
    buckets: tuple[str, ...]
    probes: Probes


def answer_check(check: Check, function: str, *, checks: Checks, surroundings: Surroundings) -> None:
    """Test what the function needs, and write the answers to the state. Does nothing for a probe."""
    if check.is_probe:
        return
    needs = NEEDS[function]
    tests = (test for place in needs.places for test in _TESTS[place](check, needs, surroundings))
    answers = [Answer(place, subject, _error_of(call)) for place, subject, call in tests]
    checks.create(check.id, function, [answer.to_json() for answer in answers])


def _of_state(_check: Check, _needs: Needs, around: Surroundings) -> Iterator[Test]:
    yield Place.STATE, "the bucket of the state", partial(_read_state, around.state)


def _of_stores(_check: Check, _needs: Needs, around: Surroundings) -> Iterator[Test]:
    for name, store in around.stores.items():
        yield Place.STORES, str(name), partial(_read_store, store)


def _of_buckets(_check: Check, _needs: Needs, around: Surroundings) -> Iterator[Test]:
    for bucket in around.buckets:
        yield Place.BUCKETS, f"gs://{bucket}", partial(around.probes.describe_bucket, bucket)


def _of_datasets(check: Check, needs: Needs, around: Surroundings) -> Iterator[Test]:
    call = around.probes.edit_tables if needs.edits_tables else around.probes.describe_tables
    for dataset in check.datasets:
        yield Place.DATASETS, dataset, partial(call, dataset)


def _of_staging(check: Check, _needs: Needs, around: Surroundings) -> Iterator[Test]:
    for dataset in check.staging:
        yield Place.STAGING, dataset, partial(around.probes.edit_tables, dataset)


def _of_jobs(_check: Check, _needs: Needs, around: Surroundings) -> Iterator[Test]:
    yield Place.JOBS, "BigQuery jobs", around.probes.run_job


def _of_topics(check: Check, needs: Needs, around: Surroundings) -> Iterator[Test]:
    for kind in needs.publishes:
        yield Place.TOPICS, kind, partial(around.probes.publish, kind, check.id)


_TESTS: dict[Place, Callable[[Check, Needs, Surroundings], Iterator[Test]]] = {
    Place.STATE: _of_state,
    Place.STORES: _of_stores,
    Place.BUCKETS: _of_buckets,
    Place.DATASETS: _of_datasets,
    Place.STAGING: _of_staging,
    Place.JOBS: _of_jobs,
    Place.TOPICS: _of_topics,
}


def _read_state(state: OperationStore) -> None:
    """Read and list. That the function may write shows when it writes the answer."""
    state.read(f"checks/{_NOBODYS}.json")
    next(iter(state.list(f"checks/{_NOBODYS}")), None)


def _read_store(store: DeclaredStore) -> None:
    next(iter(store.objects.list()), None)
    store.objects.get(_NOBODYS)


def _error_of(test: Callable[[], object]) -> str:
    try:
        test()
    except DicomExportError as error:
        return f"{type(error).__name__}: {error.message}"
    return ""

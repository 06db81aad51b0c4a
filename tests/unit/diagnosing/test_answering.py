"""What each function does with a check message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.diagnosing.answering import Surroundings, answer_check
from dicom_export.diagnosing.check_message import Check
from dicom_export.diagnosing.needs import NEEDS, Place
from dicom_export.errors import NotFound, PermissionDenied, Unavailable
from dicom_export.state.checks import Checks
from dicom_export.stores import DeclaredStore
from support.factories import STORE

if TYPE_CHECKING:
    from pathlib import Path

CHECK = Check("0123456789abcdef", ("p.dicom", "q.dicom"), ("p.staging",))


@dataclass
class RecordedProbes:
    """Probes that succeed, but for those that `errors` has by name."""

    errors: dict[str, Exception] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def describe_bucket(self, bucket: str) -> None:
        self._call("describe_bucket", bucket)

    def describe_tables(self, dataset: str) -> None:
        self._call("describe_tables", dataset)

    def edit_tables(self, dataset: str) -> None:
        self._call("edit_tables", dataset)

    def run_job(self) -> None:
        self._call("run_job")

    def publish(self, kind: str, check: str) -> None:
        assert check == CHECK.id
        self._call("publish", kind)

    def _call(self, name: str, *arguments: str) -> None:
        self.calls.append((name, *arguments))
        if name in self.errors:
            raise self.errors[name]


@pytest.fixture
def checks(tmp_path: Path) -> Checks:
    return Checks(FolderState(tmp_path / "state"))


def answers_of(
    function: str, checks: Checks, root: Path, check: Check = CHECK, store: Any = None, **errors: Exception
) -> tuple[list[Any] | None, RecordedProbes]:
    """Return the recorded answers of a function, and the probes that it made."""
    (root / "store").mkdir(exist_ok=True)
    probes = RecordedProbes(errors)
    stores = {STORE: DeclaredStore(store or FolderStore(root / "store"))}
    around = Surroundings(FolderState(root / "state"), stores, ("images",), probes)
    answer_check(check, function, checks=checks, surroundings=around)
    return checks.find(check.id, function), probes


@pytest.mark.parametrize("function", NEEDS)
def test_each_function_tests_every_place_that_it_needs_and_no_other(
    function: str, checks: Checks, tmp_path: Path
) -> None:
    answers, probes = answers_of(function, checks, tmp_path)
    assert answers is not None
    assert {each["place"] for each in answers} == {place.value for place in NEEDS[function].places}
    assert all(not each["error"] for each in answers)
    assert tuple(each[1] for each in probes.calls if each[0] == "publish") == NEEDS[function].publishes


def test_a_function_that_only_describes_tables_does_not_try_to_edit_them(checks: Checks, tmp_path: Path) -> None:
    _, probes = answers_of("start_export", checks, tmp_path)
    assert ("describe_tables", "q.dicom") in probes.calls
    assert not [each for each in probes.calls if each[0] == "edit_tables"]


def test_staging_datasets_are_edited(checks: Checks, tmp_path: Path) -> None:
    _, probes = answers_of("record_result", checks, tmp_path)
    assert ("edit_tables", "p.staging") in probes.calls


@pytest.mark.parametrize("error", [PermissionDenied("403"), NotFound("404"), Unavailable("503")])
def test_a_call_that_fails_is_an_answer_and_the_other_calls_are_made(
    error: Exception, checks: Checks, tmp_path: Path
) -> None:
    answers, probes = answers_of("record_result", checks, tmp_path, run_job=error)
    assert answers is not None
    (failed,) = [each for each in answers if each["error"]]
    assert failed["place"] == Place.JOBS
    assert type(error).__name__ in failed["error"]
    assert ("publish", "instance-changed") in probes.calls


def test_a_store_that_may_not_be_read_is_an_answer(checks: Checks, tmp_path: Path) -> None:
    answers, _ = answers_of("export_study", checks, tmp_path, store=FolderStore(tmp_path / "nowhere"))
    assert answers is not None
    assert [each["place"] for each in answers if each["error"]] == [Place.STORES]


def test_a_probe_needs_no_answer(checks: Checks, tmp_path: Path) -> None:
    answers, probes = answers_of("plan_export", checks, tmp_path, Check(CHECK.id, is_probe=True))
    assert (answers, probes.calls) == (None, [])


def test_a_check_that_comes_twice_has_the_first_answer(checks: Checks, tmp_path: Path) -> None:
    first, _ = answers_of("record_result", checks, tmp_path)
    again, _ = answers_of("record_result", checks, tmp_path, run_job=PermissionDenied("403"))
    assert again == first

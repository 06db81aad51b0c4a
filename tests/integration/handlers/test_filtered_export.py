"""An export of a part of a store: what the filter names is exported once, whatever the store's names are like."""

from __future__ import annotations

import logging
import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.bootstrap.wiring import handlers_on
from dicom_export.errors import Code, NotFound
from dicom_export.exporting.listing import first_cursor, listing
from dicom_export.names import GcsUri
from dicom_export.operations.planning import Cursor, Layout, PlanLimits, cut_page
from dicom_export.state.journal import Journal
from dicom_export.stores import DeclaredStore
from support.dicom_files import make_instance
from support.factories import make_object, make_operation
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dicom_export.operations.counters import Counters
    from dicom_export.operations.operation import Operation
    from dicom_export.stored_object import StoredObject

URI = GcsUri("filters", "filter.txt")
INSTANCES = [
    (study, f"{study}.{series}", f"{study}.{series}.{number}")
    for study in ("1.2.1", "1.2.2", "1.2.10")
    for series in range(2)
    for number in (1, 2, 12)
]
NAMES: dict[str, Callable[[int, str, str, str], str]] = {
    "uids": lambda _, study, series, instance: f"{study}/{series}/{instance}.dcm",
    "dicomweb": lambda _, study, series, instance: f"studies/{study}/series/{series}/instances/{instance}",
    "folders": lambda number, *_: f"disc{number % 2}/{number:04d}",
}


@pytest.fixture(params=NAMES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    store = tmp_path / "store"
    for number, uids in enumerate(INSTANCES):
        path = store / NAMES[request.param](number, *uids)
        path.parent.mkdir(parents=True, exist_ok=True)
        study, series, instance = uids
        path.write_bytes(make_instance(StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=instance))
    root = tmp_path / "root"
    (root / "filters").mkdir(parents=True)
    world = World(root, store)
    yield world
    world.close()


def export(world: World, root: Path, text: str) -> Operation:
    (root / "root/filters/filter.txt").write_text(text)
    operation = world.export(filter_uri=URI)
    world.drain()
    return world.ended(operation)


def counters_of(operation: Operation) -> Counters:
    assert operation.is_done
    assert operation.counters
    return operation.counters


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        ("/studies/1.2.1", ["1.2.1."]),
        ("/studies/1.2.1/series/1.2.1.0", ["1.2.1.0."]),
        ("/studies/1.2.1/series/1.2.1.0/instances/1.2.1.0.1", ["1.2.1.0.1"]),
        ("/studies/1.2.2\r\n\r\n/studies/1.2.10/series/1.2.10.1\r\n", ["1.2.2.", "1.2.10.1."]),
        ("/studies/1.2.1\n/studies/1.2.1/series/1.2.1.0\n/studies/1.2.1", ["1.2.1."]),
        ("", []),
    ],
)
def test_exactly_the_named_instances_are_exported_once(
    world: World, tmp_path: Path, text: str, prefixes: list[str]
) -> None:
    operation = export(world, tmp_path, text)
    expected = [uid for _, _, uid in INSTANCES if any(_is_below(uid, prefix) for prefix in prefixes)]
    assert operation.error is None
    assert world.instances() == sorted(expected)
    assert counters_of(operation).found == counters_of(operation).success == len(expected)


def _is_below(uid: str, prefix: str) -> bool:
    return uid.startswith(prefix) if prefix.endswith(".") else uid == prefix


def test_many_instances_of_a_series_are_all_found(world: World, tmp_path: Path) -> None:
    lines = [f"/studies/{study}/series/{series}/instances/{instance}" for study, series, instance in INSTANCES]
    operation = export(world, tmp_path, "\n".join(reversed(lines)))
    assert counters_of(operation).success == len(INSTANCES)
    assert counters_of(operation).studies == 3


def test_a_path_that_matches_nothing_is_a_warning_and_counted_nowhere(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        operation = export(world, tmp_path, "/studies/9.9\n/studies/1.2.1\n/studies/1.2.2/series/1.2.2.0/instances/7.7")
    assert operation.error is None
    assert counters_of(operation).found == 6
    warned = {path for path in ("9.9", "1.2.1", "7.7") if any(f"/{path} " in text for text in caplog.messages)}
    assert warned == {"9.9", "7.7"}


def test_a_malformed_line_ends_the_operation_with_its_number_and_text(world: World, tmp_path: Path) -> None:
    operation = export(world, tmp_path, "/studies/1.2.1\n/studies/1.2.1/1.2.1.0\n")
    assert operation.error
    assert operation.error.code is Code.INVALID_ARGUMENT
    assert "Line 2 " in operation.error.message
    assert "'/studies/1.2.1/1.2.1.0'" in operation.error.message
    assert counters_of(operation).found == 0


def test_a_missing_filter_is_refused_at_once(world: World) -> None:
    with pytest.raises(NotFound, match=re.escape(str(URI))):
        world.export(filter_uri=URI)


def test_a_filter_that_is_replaced_after_the_request_ends_the_operation(world: World, tmp_path: Path) -> None:
    path = tmp_path / "root/filters/filter.txt"
    path.write_text("/studies/1.2.1")
    operation = world.export(filter_uri=URI)
    path.write_text("/studies/1.2.2 ")
    world.drain()
    ended = world.ended(operation)
    assert ended.error
    assert ended.error.code is Code.FAILED_PRECONDITION
    assert world.instances() == []


def test_a_page_may_end_within_a_study_of_which_several_series_are_named(tmp_path: Path) -> None:
    """The names of series 1.3.1 sort before those of 1.3, their paths behind."""
    for series in ("1.3", "1.3.1"):
        for number in range(9):
            path = tmp_path / f"store/1.2/{series}/{series}.9.{number}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            uid = f"{series}.9.{number}"
            path.write_bytes(make_instance(StudyInstanceUID="1.2", SeriesInstanceUID=series, SOPInstanceUID=uid))
    (tmp_path / "root/filters").mkdir(parents=True)
    world = World(tmp_path / "root", tmp_path / "store")
    operation = export(world, tmp_path, "/studies/1.2/series/1.3\n/studies/1.2/series/1.3.1\n")
    assert operation.pages
    assert operation.pages > 2
    assert counters_of(operation).success == len(set(world.instances())) == 18
    assert counters_of(operation).studies == 1
    world.close()


@dataclass
class CountingStore:
    """Objects of a few names, by name, and how many requests and names listing them took."""

    names: list[str]
    requests: int = 0
    yielded: int = 0

    def list(
        self,
        *,
        prefix: str = "",
        start_after: str = "",
        unlisted: object = None,  # noqa: ARG002 - all can be listed
    ) -> Iterator[StoredObject]:
        self.requests += 1
        for name in self.names[bisect_left(self.names, max(prefix, start_after)) :]:
            if not name.startswith(prefix):
                return
            if name > start_after:
                self.yielded += 1
                yield make_object(name)


def plan_pages(
    names: list[str], tmp_path: Path, paths: Sequence[tuple[str, ...]] | None, layout: Layout = Layout.UIDS
) -> Iterator[tuple[list[str], int, int]]:
    """Yield what each page of a plan has, and how many requests and names listing it took."""
    journal, operation, cursor = Journal(FolderState(tmp_path)), make_operation(), Cursor(layout)
    index = journal.filters.create(operation.name, list(paths), chunk_size=100) if paths is not None else None
    while cursor:
        store = CountingStore(names)
        declared = DeclaredStore(cast("Any", store), ("*.txt",))
        found = listing(declared, cursor, operation, index, journal, unlisted=lambda _: None)
        tasks, following = cut_page(found, layout, PlanLimits(page_paths=20))
        yield [stored.name for task in tasks for stored in task], store.requests, store.yielded
        if following is None:
            return
        assert (following.path, following.start_after) > (cursor.path, cursor.start_after)
        cursor = following


def test_each_series_of_a_filter_counts_as_a_request(tmp_path: Path) -> None:
    paths = [(f"1.2.{study}", f"1.3.{series}") for study in range(10) for series in range(8)]
    names = sorted(f"{study}/{series}/1.4" for study, series in paths)
    pages = list(plan_pages(names, tmp_path, sorted(paths)))
    assert sorted(name for found, _, _ in pages for name in found) == names
    assert [requests for _, requests, _ in pages] == [25, 25, 25, 8]  # three studies, and the first series of the next
    studies = [{name.partition("/")[0] for name in found} for found, _, _ in pages]
    assert sum(map(len, studies)) == 10


def test_a_study_of_more_named_series_than_a_page_takes_requests_is_cut(tmp_path: Path) -> None:
    paths = sorted(("1.2.3", f"1.3.{series}") for series in range(50))
    names = sorted(f"1.2.3/{series}/1.4" for _, series in paths)
    pages = list(plan_pages(names, tmp_path, paths))
    assert [name for found, _, _ in pages for name in found] == [f"1.2.3/{series}/1.4" for _, series in paths]
    assert [requests for _, requests, _ in pages] == [20, 20, 10]


@pytest.mark.parametrize("layout", [Layout.UIDS, Layout.FOLDERS])
def test_a_page_of_names_that_the_store_ignores_ends_too_and_the_next_goes_on_behind(
    tmp_path: Path, layout: Layout
) -> None:
    wanted = [f"1.2.{study}/1.3/1.4" for study in (1, 3)]
    names = sorted([*wanted, *(f"1.2.2/1.3/{number:05d}.txt" for number in range(9_000))])
    pages = list(plan_pages(names, tmp_path, None, layout))
    assert [name for found, _, _ in pages for name in found] == wanted
    assert len(pages) > 4
    assert max(yielded for _, _, yielded in pages) <= 2_000 + 2


def test_names_of_a_study_that_its_filter_does_not_name_are_bounded_too(tmp_path: Path) -> None:
    names = [f"1.2/1.3/1.4.{number:05d}" for number in range(9_000)]
    paths = [("1.2", "1.3", f"1.4.{number:05d}") for number in (7, 8_999)]
    pages = list(plan_pages(names, tmp_path, paths))
    assert [name for found, _, _ in pages for name in found] == [names[7], names[8_999]]
    assert max(yielded for _, _, yielded in pages) <= 2_001


def test_the_layout_is_told_without_reading_millions_of_ignored_names() -> None:
    store = CountingStore([f"{number:06d}.txt" for number in range(60_000)])
    assert first_cursor(DeclaredStore(cast("Any", store), ("*.txt",))) == Cursor(Layout.FOLDERS)
    assert store.yielded == 50_000


def test_a_plan_with_empty_pages_exports_and_counts_all(tmp_path: Path) -> None:
    """Pages of two list requests each: most find nothing, and one study has several pages."""
    series = [f"1.3.{number}" for number in range(9)]
    for number in (0, 5, 8):
        path = tmp_path / f"store/1.2/{series[number]}/1.4.{number}.dcm"
        path.parent.mkdir(parents=True)
        path.write_bytes(
            make_instance(StudyInstanceUID="1.2", SeriesInstanceUID=series[number], SOPInstanceUID=f"1.4.{number}")
        )
    (tmp_path / "root/filters").mkdir(parents=True)
    world = World(tmp_path / "root", tmp_path / "store")
    world.handlers = handlers_on(world.ports, PlanLimits(page_paths=2))
    operation = export(world, tmp_path, "".join(f"/studies/1.2/series/{uid}\n" for uid in series))
    assert world.instances() == ["1.4.0", "1.4.5", "1.4.8"]
    assert operation.pages == 5
    assert (counters_of(operation).success, counters_of(operation).studies) == (3, 1)
    world.close()

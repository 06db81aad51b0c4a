"""An export of a part of a store: what the filter names is exported once, whatever the store's names are like."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import pytest

from dicom_export.errors import Code, NotFound
from dicom_export.names import GcsUri
from dicom_files import make_instance
from worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_export.operations import Counters, Operation

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
    operation = export(world, tmp_path, "/studies/1.2.1\n/series/1.2.1.0\n")
    assert operation.error
    assert operation.error.code is Code.INVALID_ARGUMENT
    assert "Line 2 " in operation.error.message
    assert "'/series/1.2.1.0'" in operation.error.message
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

"""Failed instances as rows of a table: each once, whatever crashes, and no export waits for a table that takes none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from dicom_export import messages
from dicom_export.bootstrap.wiring import handlers_on
from dicom_export.errors import Unavailable
from dicom_export.messages import StudyExported
from dicom_export.names import TableName
from dicom_export.rows.failure_rows import FAILURE_SCHEMA
from support.dicom_files import make_instance
from support.faults import Faults
from support.worlds import LIMITS, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FAILURES = TableName("local", "main", "failures")
BROKEN = [f"1.2.{study}/1.3/broken.dcm" for study in range(2)]


@pytest.fixture
def open_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []
    for study in range(3):
        folder = tmp_path / f"store/1.2.{study}/1.3"
        folder.mkdir(parents=True)
        instance = make_instance(StudyInstanceUID=f"1.2.{study}", SOPInstanceUID=f"1.2.{study}.1")
        (folder / "good.dcm").write_bytes(instance)
    for name in BROKEN:
        (tmp_path / "store" / name).write_bytes(make_instance()[:200])

    def open_one(faults: Faults | None = None, failures_table: TableName = FAILURES) -> World:
        root = tmp_path / str(len(worlds))
        root.mkdir()
        world = World(root, tmp_path / "store", faults, failures_table)
        worlds.append(world)
        return world

    yield open_one
    for world in worlds:
        world.close()


def reported(world: World) -> list[dict[str, Any]]:
    world.tables.close()
    with duckdb.connect(world.file, read_only=True) as connection:
        return sorted(
            connection.table("main.failures").to_arrow_table().to_pylist(), key=lambda row: str(row["Object"])
        )


def test_each_failed_instance_is_a_row(open_world: Callable[..., World]) -> None:
    world = open_world()
    operation = world.export()
    world.drain()
    failures = {failure.object: failure for failure in world.service.failures(operation.name)}
    rows = reported(world)
    assert [row["Object"] for row in rows] == BROKEN == sorted(failures)
    for row in rows:
        failure = failures[row["Object"]]
        assert set(row) == {field.name for field in FAILURE_SCHEMA}
        assert row["Operation"] == str(operation.name)
        assert row["DicomStore"] == str(operation.request.store)
        assert (row["Generation"], row["Stage"], row["Message"]) == (failure.generation, "READ", failure.message)
        assert row["Code"] == failure.code.name
        assert row["StudyInstanceUID"] == failure.uids.study


def test_a_crash_after_any_effect_reports_nothing_twice(open_world: Callable[..., World]) -> None:
    quiet = open_world()
    quiet.export()
    quiet.drain()
    for point in range(len(quiet.faults.log)):
        world = open_world(Faults(frozenset({point})))
        operation = world.export()
        world.drain()
        assert world.ended(operation).is_done
        assert [row["Object"] for row in reported(world)] == BROKEN
        world.close()


def test_a_table_that_cannot_take_them_holds_up_no_export(
    open_world: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    world = open_world(failures_table=replace(FAILURES, dataset="nowhere"))
    operation = world.export()
    world.drain()
    assert world.ended(operation).is_done
    assert "cannot be written to bq://local.nowhere.failures" in caplog.text


def test_a_table_that_cannot_be_reached_is_tried_again(open_world: Callable[..., World]) -> None:
    world = open_world()
    operation = world.export()
    while not any(topic == StudyExported.topic for topic, _ in world.mailbox.waiting):
        world.deliver()

    class Unreachable:
        def __getattr__(self, name: str) -> Any:
            def fail(*_: Any) -> None:
                raise Unavailable(f"{name}: not now")

            return fail

    unreachable: Any = Unreachable()
    broken = handlers_on(replace(world.ports, tables=unreachable), LIMITS)[StudyExported.topic]
    for topic, data in world.mailbox.waiting:
        message = messages.decode(topic, data)
        if isinstance(message, StudyExported) and world.ports.journal.pages.results(operation.name, message.page):
            with pytest.raises(Unavailable):
                broken(message)
    world.drain()
    assert [row["Object"] for row in reported(world)] == BROKEN

"""A verification as a batch job: an inventory, exactly once, and a report of what the table lacks and has too much."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.adapters.local.duckdb.definitions import table_sql
from dicom_export.errors import Code, Unavailable
from dicom_export.handlers.start_export import start_batch_export
from dicom_export.names import OperationName
from dicom_export.operations.counters import Counters, DifferenceCounts
from dicom_export.protocol.operations_json import operation_to_json
from dicom_export.verifying.compare import repair_name
from support.dicom_files import make_instance
from support.factories import PARENT, STORE, TABLE
from support.faults import Faults
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_export.operations.operation import Operation

NAME = OperationName(PARENT, "4711")
REPORT = replace(TABLE, table="differences")
FOUND = DifferenceCounts(missing=1, stale=1, orphaned=1)
EXPORTED = [f"1.2.3.{number}" for number in range(5)]
LATER = 1_790_000_000


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five instances that were exported, of which then one was changed and one removed, one that came, and what is no DICOM."""
    root = tmp_path_factory.mktemp("exported")
    folder = root / "store/folder"
    folder.mkdir(parents=True)
    for number in range(5):
        write(folder, number)
    world = World(root, root / "store")
    world.export()
    world.drain()
    world.close()
    write(folder, 5)
    (folder / "1.dcm").write_bytes(make_instance(SOPInstanceUID="1.2.3.1", PatientID="changed"))
    (folder / "0.dcm").unlink()
    (folder / "page.html").write_text("\0no DICOM at all")
    return root


@pytest.fixture
def open_world(tmp_path: Path, exported: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def open_one(faults: Faults | None = None) -> World:
        root = tmp_path / str(len(worlds))
        shutil.copytree(exported, root)
        worlds.append(World(root, root / "store", faults))
        return worlds[-1]

    yield open_one
    for world in worlds:
        world.close()


def write(store: Path, number: int) -> None:
    (store / f"{number}.dcm").write_bytes(make_instance(SOPInstanceUID=f"1.2.3.{number}"))


def job(**changes: Any) -> bytes:
    verify = {"tableUri": str(TABLE), "reportTableUri": str(REPORT)} | changes
    return json.dumps({"name": str(STORE), "verify": verify}).encode()


def start(world: World, **changes: Any) -> None:
    with world.faults.disarmed():
        start_batch_export(job(**changes), NAME.operation, world.service)
    world.faults.log.clear()
    world.faults.calls.clear()


def ended(world: World, name: OperationName = NAME) -> Operation:
    with world.faults.disarmed():
        return world.service.get_operation(name)


def reported(world: World) -> list[tuple[str, str, str | None]]:
    return [(row["Difference"], row["SOPInstanceUID"], row["Object"]) for row in world.rows(REPORT)]


def assert_found(world: World) -> None:
    operation = ended(world)
    assert operation.is_done
    assert operation.differences == FOUND
    assert operation.counters == Counters(planned=6, success=5, failure=1, studies=1)
    assert reported(world) == [
        ("ORPHANED", "1.2.3.0", None),
        ("STALE", "1.2.3.1", "folder/1.dcm"),
        ("MISSING", "1.2.3.5", "folder/5.dcm"),
    ]
    assert world.tables.describe(operation.target) is None


def test_a_verification_reports_what_is_missing_stale_and_orphaned(open_world: Callable[..., World]) -> None:
    world = open_world()
    start(world)
    world.drain()
    assert_found(world)
    assert world.instances() == EXPORTED
    assert [failure.object for failure in world.service.failures(NAME)] == ["folder/page.html"]


def test_a_verification_is_an_operation_that_says_what_it_found(open_world: Callable[..., World]) -> None:
    world = open_world()
    (world.file.parent / "store/folder/page.html").unlink()
    start(world)
    world.drain()
    shown = operation_to_json(ended(world))
    assert shown["done"]
    assert "error" not in shown
    assert shown["metadata"]["apiMethodName"] == "dicom_export.Verify"
    assert shown["metadata"]["counter"] == {"success": "5", "secondarySuccess": "1"}
    assert shown["metadata"]["differences"] == {"missing": "1", "stale": "1", "orphaned": "1", "outranked": "0"}


def test_a_repair_exports_what_is_missing_and_stale_and_a_second_one_nothing(open_world: Callable[..., World]) -> None:
    world = open_world()
    start(world, repair=True)
    world.drain()
    assert_found(world)
    repaired = ended(world, repair_name(NAME))
    assert repaired.error is None
    assert repaired.counters
    assert repaired.counters.success == 2
    assert world.instances() == sorted([*EXPORTED, "1.2.3.1", "1.2.3.5"])
    start_batch_export(job(repair=True), "4712", world.service)
    world.drain()
    again = OperationName(PARENT, "4712")
    assert ended(world, again).differences == DifferenceCounts(orphaned=1)
    assert world.service.journal.operations.find(repair_name(again)) is None


@pytest.mark.parametrize("error", [None, Unavailable])
def test_a_crash_or_a_lost_answer_from_the_comparison_to_the_repair_changes_nothing(
    open_world: Callable[..., World], error: Callable[[str], BaseException] | None
) -> None:
    quiet = open_world()
    start(quiet, repair=True)
    quiet.drain()
    # From the last result on until the repair is under way: before and behind that it is an export like any other.
    compared = quiet.faults.log.index("compare")
    for point in range(compared - 2, quiet.faults.log.index("publish", compared) + 3):
        at = frozenset({point})
        world = open_world(Faults(at, error) if error else Faults(at))
        start(world, repair=True)
        world.drain()
        assert_found(world)
        assert world.instances() == sorted([*EXPORTED, "1.2.3.1", "1.2.3.5"])
        world.close()


def test_a_cancelled_verification_leaves_the_report_as_it_was_and_repairs_nothing(
    open_world: Callable[..., World],
) -> None:
    world = open_world()
    start(world, repair=True)
    world.service.cancel_operation(NAME)
    world.drain()
    operation = ended(world)
    assert operation.error
    assert operation.error.code is Code.CANCELLED
    assert operation.differences is None
    assert world.tables.describe(REPORT) is None
    assert world.tables.describe(operation.target) is None
    assert world.instances() == EXPORTED


def test_a_table_that_goes_meanwhile_ends_the_verification_with_an_error(open_world: Callable[..., World]) -> None:
    world = open_world()
    start(world)
    world.tables.drop(TABLE)
    world.drain()
    operation = ended(world)
    assert operation.error
    assert operation.error.code is Code.NOT_FOUND
    assert str(TABLE) in operation.error.message


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"tableUri": "bq://local.main.nowhere"}, Code.NOT_FOUND, "nowhere was not found; an export creates it"),
        ({"reportTableUri": str(TABLE)}, Code.INVALID_ARGUMENT, "give it a table of its own"),
        ({"reportTableUri": None}, Code.INVALID_ARGUMENT, "verify.reportTableUri is required"),
        ({"repair": "perhaps"}, Code.INVALID_ARGUMENT, "repair"),
        ({"surprise": 1}, Code.INVALID_ARGUMENT, 'Unknown name "surprise"'),
    ],
)
def test_a_bad_request_becomes_an_operation_that_has_ended_with_the_error(
    open_world: Callable[..., World], changes: dict[str, Any], code: Code, message: str
) -> None:
    world = open_world()
    start(world, **changes)
    operation = ended(world)
    assert operation.error
    assert operation.error.code is code
    assert message in operation.error.message
    assert not world.mailbox.waiting


def test_what_is_streamed_while_the_inventory_is_taken_is_not_judged(open_world: Callable[..., World]) -> None:
    """Of these the row is there and the object was listed before it came, or was changed or deleted after that."""
    world = open_world()
    start(world)
    with world.tables.transaction(TABLE) as cursor:
        cursor.execute(
            f"INSERT INTO {table_sql(TABLE)} BY NAME SELECT * REPLACE (now() + INTERVAL 1 MINUTE AS LastUpdated) FROM {table_sql(TABLE)}"  # noqa: S608 - our own
        )
    world.drain()
    assert ended(world).differences == DifferenceCounts(missing=1)

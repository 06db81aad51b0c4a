"""After a crash at any moment the advised rerun gives each instance exactly once, also where a file came back from an older copy."""

from __future__ import annotations

import shutil
import signal
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicom_export.operations.request import WriteDisposition
from support.command_line import make_folder, operation_ids, rows, run, start
from support.faults import Faults
from support.machines import EXPECTED, INSTANCES, Machine, make_store
from support.thorough import by_extent, points_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DISPOSITIONS = [WriteDisposition.WRITE_EMPTY, WriteDisposition.WRITE_APPEND, WriteDisposition.WRITE_TRUNCATE]
EXAMPLES = by_extent(quick=15, soak=200)
POINTS = st.integers(0, 40)
"""At which effects to crash: the first run of an export has some 35."""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files of `make_store`."""
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def make_machine(tmp_path: Path, store: Path) -> Iterator[Callable[[WriteDisposition], Machine]]:
    made: list[Path] = []

    def make(disposition: WriteDisposition) -> Machine:
        made.append(tmp_path / str(len(made)))
        made[-1].mkdir()
        return Machine(made[-1], store, disposition)

    yield make
    for root in made:
        shutil.rmtree(root)


def assert_exact(machine: Machine) -> None:
    assert machine.reported[-1].counters == EXPECTED
    assert machine.instances() == INSTANCES
    assert machine.streams() == []


@pytest.mark.parametrize("disposition", DISPOSITIONS)
def test_the_rerun_after_a_crash_at_any_effect_gives_each_instance_once(
    make_machine: Callable[[WriteDisposition], Machine], disposition: WriteDisposition
) -> None:
    effects = make_machine(disposition).effects()
    assert len(effects) > 30
    for point in points_of(effects):
        machine = make_machine(disposition)
        assert machine.run(Faults(frozenset({point}))) or machine.run()
        assert_exact(machine)


@pytest.mark.parametrize("disposition", DISPOSITIONS)
def test_what_was_reported_is_begun_anew(
    make_machine: Callable[[WriteDisposition], Machine], disposition: WriteDisposition
) -> None:
    machine = make_machine(disposition)
    assert machine.run()
    if disposition is WriteDisposition.WRITE_EMPTY:
        with pytest.raises(Exception, match="has 6 rows"):
            machine.run()
    else:
        assert machine.run()
    times = 2 if disposition is WriteDisposition.WRITE_APPEND else 1
    assert machine.instances() == sorted(INSTANCES * times)


@settings(max_examples=EXAMPLES)
@given(
    first=POINTS,
    second=POINTS,
    third=POINTS,
    disposition=st.sampled_from(DISPOSITIONS),
)
@example(first=0, second=6, third=1, disposition=WriteDisposition.WRITE_APPEND)
@example(first=0, second=6, third=2, disposition=WriteDisposition.WRITE_APPEND)
@example(first=0, second=6, third=1, disposition=WriteDisposition.WRITE_EMPTY)
@example(first=0, second=6, third=1, disposition=WriteDisposition.WRITE_TRUNCATE)
@example(first=0, second=6, third=2, disposition=WriteDisposition.WRITE_TRUNCATE)
def test_a_file_that_came_back_from_an_older_copy_is_completed(
    make_machine: Callable[[WriteDisposition], Machine],
    first: int,
    second: int,
    third: int,
    disposition: WriteDisposition,
) -> None:
    """Killed twice, the file is put back as it was after the first time, and the process is killed once more."""
    machine = make_machine(disposition)
    if machine.run(Faults(frozenset({first}))):
        return
    older = machine.copy(f"{machine.root.name}-older")
    if machine.run(Faults(frozenset({second}))):
        return
    machine.restore_file(older)
    if machine.run(Faults(frozenset({third}))):
        assert_exact(machine)
        return
    assert machine.run()
    assert_exact(machine)


@settings(max_examples=EXAMPLES)
@given(first=POINTS, second=POINTS, disposition=st.sampled_from(DISPOSITIONS))
def test_a_state_that_came_back_from_an_older_copy_gives_each_instance_once_or_an_error(
    make_machine: Callable[[WriteDisposition], Machine], first: int, second: int, disposition: WriteDisposition
) -> None:
    machine = make_machine(disposition)
    if machine.run(Faults(frozenset({first}))):
        return
    older = machine.copy(f"{machine.root.name}-older")
    if machine.run(Faults(frozenset({second}))):
        return
    known = list((older.data / "state").glob("**/operation.json"))
    machine.restore_state(older)
    if not known:  # the older state knows of no export that could go on
        return
    assert machine.run()
    if machine.reported[-1].counters == EXPECTED:
        assert_exact(machine)
    else:
        assert disposition is not WriteDisposition.WRITE_TRUNCATE
        assert machine.reported[-1].error
        assert "has rows that the state of this export does not know of" in machine.reported[-1].error.message


# With real processes and a real SIGKILL.

COUNT = 120
COUNTED = "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom"
DIES_BEFORE_ITS_REPORT = """
import os, signal
from dicom_export.cli import folder_runs
folder_runs._report = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
"""
OPTIONS = ["write-empty", "write-append", "write-truncate"]
# Twelve messages; the process dies once so many of them have their result.
DIES_AFTER_RESULTS = """
import os, signal
from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.folder_export import request
from dicom_export.operations.planning import PlanLimits
request.local_limits = lambda: PlanLimits(bundle=10, split=10)
create, results = FolderState.create, set()

def counted(state, path, *rest, **more):
    is_new = create(state, path, *rest, **more)
    if "/results/" in path:
        results.add(path)
        if len(results) == {count}:
            os.kill(os.getpid(), signal.SIGKILL)
    return is_new

FolderState.create = counted
"""


class Place:
    """A DuckDB file and its state in a folder, and copies of both."""

    def __init__(self, root: Path) -> None:
        self.file = root / "out.duckdb"
        self.state = root / "out.duckdb.state"

    def copy_to(self, root: Path) -> Place:
        copy = Place(root)
        copy.take_file(self)
        copy.take_state(self)
        return copy

    def take_file(self, other: Place) -> None:
        """Have the other's DuckDB file instead of the own one."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        for path in _files(self):
            path.unlink()
        for path in _files(other):
            shutil.copy(path, self.file.parent)

    def take_state(self, other: Place) -> None:
        """Have the other's state instead of the own one."""
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(other.state, self.state)

    def arrow_files(self) -> list[Path]:
        return list((self.state / "streams").glob("**/*.arrow"))


def _files(place: Place) -> list[Path]:
    return [path for path in place.file.parent.glob("out.duckdb*") if path.is_file()]


def export_of(folder: Path, place: Place, option: str) -> tuple[object, ...]:
    return ("export", folder, "--to", place.file, "--write-disposition", option)


def kill(arguments: tuple[object, ...], before: str) -> None:
    """Run a command whose process kills itself where `before` says."""
    process = start(*arguments, before=before)
    output = process.communicate()
    assert process.returncode == -signal.SIGKILL, output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("large") / "store", COUNT)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def make_unreported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Place]:
    """Return what is there after an export that ended and was killed before its report. Do not change it."""

    @cache
    def make(option: str) -> Place:
        killed = Place(tmp_path_factory.mktemp("unreported"))
        kill(export_of(folder, killed, option), DIES_BEFORE_ITS_REPORT)
        return killed

    return make


@pytest.fixture(scope="module", params=OPTIONS)
def killed_twice(
    folder: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Place, Place]:
    """Return an option, and what is there after an export was killed for the first and for the second time. Do not change it."""
    option, places = request.param, tmp_path_factory.mktemp("killed")
    place = Place(places / "now")
    place.file.parent.mkdir()
    kill(export_of(folder, place, option), DIES_AFTER_RESULTS.format(count=3))
    older = place.copy_to(places / "older")
    kill(export_of(folder, place, option), DIES_AFTER_RESULTS.format(count=5))
    return option, older, place


@pytest.mark.parametrize("option", OPTIONS)
def test_an_export_that_ended_and_was_killed_before_its_report_is_reported(
    folder: Path, tmp_path: Path, make_unreported: Callable[[str], Place], option: str
) -> None:
    place = make_unreported(option).copy_to(tmp_path)
    command = export_of(folder, place, option)
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "had ended before this command could say so" in result.stderr
    assert f"{COUNT:,} of {COUNT:,} instances" in result.stdout
    assert rows(place.file, COUNTED) == [(COUNT, COUNT)]
    assert len(operation_ids(place.file)) == 1
    again = run(*command)
    assert again.exit_code == (2 if option == "write-empty" else 0)
    assert rows(place.file, COUNTED) == [(COUNT, COUNT)]


def test_with_other_options_or_another_folder_another_export_begins(
    folder: Path, tmp_path: Path, make_unreported: Callable[[str], Place]
) -> None:
    place = make_unreported("write-empty").copy_to(tmp_path / "place")
    for number, other in enumerate(
        (
            (*export_of(folder, place, "write-append"), "--ignore", "*1.dcm"),
            export_of(make_folder(tmp_path / "other"), place, "write-append"),
        ),
        2,
    ):
        assert "had ended before" not in run(*other).stderr
        assert len(operation_ids(place.file)) == number
    assert "had ended before" in run(*export_of(folder, place, "write-empty")).stderr


def test_an_unreported_export_whose_rows_were_replaced_since_begins_anew(
    folder: Path, tmp_path: Path, make_unreported: Callable[[str], Place]
) -> None:
    place = make_unreported("write-append").copy_to(tmp_path)
    assert run(*export_of(folder, place, "write-truncate")).exit_code == 0
    assert run(*export_of(folder, place, "write-append")).exit_code == 0
    assert rows(place.file, COUNTED) == [(COUNT, COUNT)]


def test_a_restored_file_is_completed_and_no_row_is_claimed_that_is_not_there(
    folder: Path, tmp_path: Path, killed_twice: tuple[str, Place, Place]
) -> None:
    option, older, newer = killed_twice
    place = newer.copy_to(tmp_path)
    place.take_file(older)
    result = run(*export_of(folder, place, option))
    assert result.exit_code == 0, result.output
    assert "rows that this export had written: it was restored from an older copy" in result.stderr
    assert f"{COUNT:,} of {COUNT:,} instances" in result.stdout
    assert rows(place.file, COUNTED) == [(COUNT, COUNT)]
    assert place.arrow_files() == []


def test_a_state_that_is_older_than_the_file_is_told(
    folder: Path, tmp_path: Path, killed_twice: tuple[str, Place, Place]
) -> None:
    option, older, newer = killed_twice
    place = newer.copy_to(tmp_path)
    place.take_state(older)
    result = run(*export_of(folder, place, option))
    if option == "write-truncate":
        assert rows(place.file, COUNTED) == [(COUNT, COUNT)]
    else:
        assert result.exit_code == 1
        assert "has rows that the state of this export does not know of" in result.stdout
        assert f"{COUNT:,} of {COUNT:,} instances" not in result.stdout


def test_rows_outside_of_the_table_go_with_the_operation_that_needs_them(folder: Path, place: Place) -> None:
    kill(
        ("export", folder, "--to", place.file),
        before="""
import os, signal
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
DuckDbTables.commit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
""",
    )
    assert place.arrow_files()
    streams = place.state / "streams"
    orphan = streams / ("0" * 32)
    orphan.mkdir()
    (orphan / "000000000000-000000000001.arrow").write_bytes(b"rows of no operation")
    (streams / "spill").mkdir(exist_ok=True)
    (streams / "spill/duckdb_temp_storage-0.tmp").write_bytes(b"what had no room")
    assert run("watch", folder, "--to", place.file, "--table", "other", "--once").exit_code == 0
    left = place.arrow_files()
    assert left
    assert not any(path.is_relative_to(orphan) for path in left)
    assert not (streams / "spill/duckdb_temp_storage-0.tmp").exists()
    assert run("export", folder, "--to", place.file).exit_code == 0
    assert place.arrow_files() == []
    assert rows(place.file, COUNTED) == [(COUNT, COUNT)]

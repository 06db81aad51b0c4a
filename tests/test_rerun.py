"""After a crash at any moment the advised rerun gives each instance exactly once, also where a file came back from an older copy."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import SMALL_MESSAGES, make_folder, operation_ids, rows, run, start, wait_for
from dicom_export.operations.counters import Counters
from dicom_export.operations.request import WriteDisposition
from dicom_files import make_instance
from faults import Faults
from machines import Machine

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

DISPOSITIONS = [WriteDisposition.WRITE_EMPTY, WriteDisposition.WRITE_APPEND, WriteDisposition.WRITE_TRUNCATE]
INSTANCES = [f"1.2.{study}.{number}" for study in range(1, 4) for number in range(study)]
EXPECTED = Counters(planned=7, success=6, failure=1, studies=3)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three studies of one to three instances, and a file that is not DICOM."""
    root = tmp_path_factory.mktemp("store")
    for uid in INSTANCES:
        study = uid.rpartition(".")[0]
        folder = root / study / "1.3"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{uid}.dcm").write_bytes(make_instance(StudyInstanceUID=study, SOPInstanceUID=uid))
    (root / "1.2.3/1.3/1.2.3.9.dcm").write_bytes(b"\0no DICOM at all")
    return root


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
    assert effects > 30
    for point in range(effects):
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


@settings(max_examples=40)
@given(
    first=st.integers(0, 60),
    second=st.integers(0, 60),
    third=st.integers(0, 60),
    disposition=st.sampled_from(DISPOSITIONS),
)
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


@settings(max_examples=40)
@given(first=st.integers(0, 60), second=st.integers(0, 60), disposition=st.sampled_from(DISPOSITIONS))
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

COUNT = 600
COUNTED = "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom"
DIES_BEFORE_ITS_REPORT = """
import os, signal
from dicom_export.cli import export
export._report = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""
OPTIONS = ["write-empty", "write-append", "write-truncate"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("large") / "store", COUNT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out.duckdb"


def state(file: Path) -> Path:
    return file.with_name("out.duckdb.state")


def results(file: Path) -> int:
    return len(list(state(file).glob("state/**/results/*/*.json")))


def kill_after(count: int, folder: Path, file: Path, option: str) -> None:
    """Kill an export once so many of its messages have their result."""
    process: subprocess.Popen[str] = start(
        "export", folder, "--to", file, "--write-disposition", option, before=SMALL_MESSAGES
    )
    wait_for(lambda: results(file) >= count, process)
    process.kill()
    process.communicate()


def arrow_files(file: Path) -> list[Path]:
    return list((state(file) / "streams").glob("**/*.arrow"))


@pytest.mark.parametrize("option", OPTIONS)
def test_an_export_that_ended_and_was_killed_before_its_report_is_reported(
    folder: Path, file: Path, option: str
) -> None:
    command = ("export", folder, "--to", file, "--write-disposition", option)
    process = start(*command, before=DIES_BEFORE_ITS_REPORT)
    process.communicate()
    assert process.returncode < 0
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "had ended before this command could say so" in result.stderr
    assert f"{COUNT:,} of {COUNT:,} instances" in result.stdout
    assert rows(file, COUNTED) == [(COUNT, COUNT)]
    assert len(operation_ids(file)) == 1
    again = run(*command)
    assert again.exit_code == (2 if option == "write-empty" else 0)
    assert rows(file, COUNTED) == [(COUNT * (2 if option == "write-append" else 1), COUNT)]


def test_with_other_options_or_another_folder_another_export_begins(folder: Path, file: Path, tmp_path: Path) -> None:
    process = start("export", folder, "--to", file, before=DIES_BEFORE_ITS_REPORT)
    process.communicate()
    for number, other in enumerate(
        (
            (folder, "--to", file, "--write-disposition", "write-append", "--ignore", "*1.dcm"),
            (make_folder(tmp_path / "other"), "--to", file, "--write-disposition", "write-append"),
        ),
        2,
    ):
        assert "had ended before" not in run("export", *other).stderr
        assert len(operation_ids(file)) == number
    assert "had ended before" in run("export", folder, "--to", file).stderr


def test_an_unreported_export_whose_rows_were_replaced_since_begins_anew(folder: Path, file: Path) -> None:
    command = ("export", folder, "--to", file, "--write-disposition", "write-append")
    start(*command, before=DIES_BEFORE_ITS_REPORT).communicate()
    assert run("export", folder, "--to", file, "--write-disposition", "write-truncate").exit_code == 0
    assert run(*command).exit_code == 0
    assert rows(file, COUNTED) == [(2 * COUNT, COUNT)]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_restored_file_is_completed_and_no_row_is_claimed_that_is_not_there(
    folder: Path, file: Path, tmp_path: Path, option: str
) -> None:
    kill_after(3, folder, file, option)
    backup = tmp_path / "backup"
    backup.mkdir()
    for path in file.parent.glob("out.duckdb*"):
        if path.is_file():
            shutil.move(path, backup)
            shutil.copy(backup / path.name, path)
    kill_after(8, folder, file, option)
    for path in file.parent.glob("out.duckdb*"):
        if path.is_file():
            path.unlink()
    for path in backup.iterdir():
        shutil.copy(path, file.parent)
    result = run("export", folder, "--to", file, "--write-disposition", option)
    assert result.exit_code == 0, result.output
    assert "rows that this export had written: it was restored from an older copy" in result.stderr
    assert f"{COUNT:,} of {COUNT:,} instances" in result.stdout
    assert rows(file, COUNTED) == [(COUNT, COUNT)]
    assert arrow_files(file) == []


@pytest.mark.parametrize("option", OPTIONS)
def test_a_state_that_is_older_than_the_file_is_told(folder: Path, file: Path, tmp_path: Path, option: str) -> None:
    kill_after(3, folder, file, option)
    shutil.copytree(state(file), tmp_path / "backup")
    kill_after(8, folder, file, option)
    shutil.rmtree(state(file))
    shutil.copytree(tmp_path / "backup", state(file))
    result = run("export", folder, "--to", file, "--write-disposition", option)
    if option == "write-truncate":
        assert rows(file, COUNTED) == [(COUNT, COUNT)]
    else:
        assert result.exit_code == 1
        assert "has rows that the state of this export does not know of" in result.stdout
        assert f"{COUNT:,} of {COUNT:,} instances" not in result.stdout


def test_rows_outside_of_the_table_go_with_the_operation_that_needs_them(folder: Path, file: Path) -> None:
    process = start(
        "export",
        folder,
        "--to",
        file,
        before="""
import os, signal
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
DuckDbTables.commit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
""",
    )
    process.communicate()
    assert arrow_files(file)
    orphan = state(file) / "streams" / ("0" * 32)
    orphan.mkdir()
    (orphan / "000000000000-000000000001.arrow").write_bytes(b"rows of no operation")
    (state(file) / "streams/spill").mkdir(exist_ok=True)
    (state(file) / "streams/spill/duckdb_temp_storage-0.tmp").write_bytes(b"what had no room")
    assert run("watch", folder, "--to", file, "--table", "other", "--once").exit_code == 0
    left = arrow_files(file)
    assert left
    assert not any(path.is_relative_to(orphan) for path in left)
    assert not (state(file) / "streams/spill/duckdb_temp_storage-0.tmp").exists()
    assert run("export", folder, "--to", file).exit_code == 0
    assert arrow_files(file) == []
    assert rows(file, COUNTED) == [(COUNT, COUNT)]

"""What a user's Ctrl-C, a kill and a full disk do to an export: real processes, real signals, a real file system."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.command_line import SMALL_MESSAGES, make_folder, operation_ids, rows, run, start, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 1200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("large") / "store", COUNT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out.duckdb"


def results_of(file: Path) -> int:
    """Return how many messages of the export have their result."""
    return len(list(file.with_name("out.duckdb.state").glob("state/**/results/*/*.json")))


def start_export(*arguments: object, own_session: bool = False) -> subprocess.Popen[str]:
    return start("export", *arguments, own_session=own_session, before=SMALL_MESSAGES)


def start_and_wait_for_results(folder: Path, file: Path, results: int = 1) -> subprocess.Popen[str]:
    process = start_export(folder, "--to", file)
    wait_for(lambda: results_of(file) >= results, process)
    return process


@pytest.mark.parametrize("results", [0, 1, 4])
def test_a_killed_export_resumes_without_a_row_twice_or_missing(folder: Path, file: Path, results: int) -> None:
    process = start_export(folder, "--to", file)
    operation = file.with_name("out.duckdb.state")
    wait_for(lambda: any(operation.glob("state/**/plan/*.json")) and results_of(file) >= results, process)
    process.kill()
    process.communicate()
    result = run("export", folder, "--to", file)
    assert result.exit_code == 0, result.output
    assert "Resuming export" in result.stderr
    assert f"{COUNT:,} of {COUNT:,} instances" in result.stdout
    assert rows(file, "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom") == [(COUNT, COUNT)]
    assert len(operation_ids(file)) == 1


def test_an_export_whose_file_was_deleted_starts_anew(folder: Path, file: Path) -> None:
    process = start_and_wait_for_results(folder, file)
    process.kill()
    process.communicate()
    for left in file.parent.glob("out.duckdb*"):
        if left.is_file():
            left.unlink()
    result = run("export", folder, "--to", file)
    assert result.exit_code == 0, result.output
    assert rows(file, "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom") == [(COUNT, COUNT)]
    assert "FAILED_PRECONDITION" in run("operations", "list", "--from", file).stdout


def test_ctrl_c_cancels_and_says_how_far_it_got(folder: Path, file: Path) -> None:
    process = start_and_wait_for_results(folder, file)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate()
    assert process.returncode == 1
    assert "Cancelling" in stderr
    assert "CANCELLED: The export was cancelled" in stdout
    assert "Traceback" not in stderr
    [(exported,)] = rows(file, "SELECT count(*) FROM dicom")
    assert 0 < exported < COUNT
    assert f"{exported:,} of " in stdout


def test_ctrl_c_on_a_terminal_goes_to_all_processes_and_shows_no_traceback(folder: Path, file: Path) -> None:
    process = start_export(folder, "--to", file, own_session=True)
    state = file.with_name("out.duckdb.state")
    wait_for(lambda: any(state.glob("state/**/plan/*.json")), process)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate()
    assert process.returncode == 1
    assert "CANCELLED: " in stdout
    assert "Traceback" not in stderr
    assert "failed at attempt" not in stderr


def test_ctrl_c_twice_stops_at_once_and_the_next_run_ends_what_was_cancelled(folder: Path, file: Path) -> None:
    process = start_and_wait_for_results(folder, file)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Cancelling" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate()
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.split("\n", 1)[1] == "Stopped at once; the same command brings the cancelled export to its end.\n"
    result = run("export", folder, "--to", file, "--write-disposition", "write-truncate")
    assert result.exit_code == 0, result.output
    assert rows(file, "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom") == [(COUNT, COUNT)]
    assert len(operation_ids(file)) == 2


def test_ctrl_c_before_there_is_anything_to_cancel_ends_with_130_and_no_traceback(folder: Path) -> None:
    process = start(
        "estimate",
        folder,
        # A signal right before a sleep is noticed only after it.
        before="import time\nfrom dicom_export import bootstrap\nfrom dicom_export.bootstrap import local"
        "\nlocal.local_store_of = lambda *_, **__: (print('begun', flush=True), [time.sleep(0.01) for _ in range(6000)])",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "\nInterrupted.\n"


def test_another_process_can_follow_and_cancel_a_running_export(folder: Path, file: Path) -> None:
    process = start_and_wait_for_results(folder, file)
    assert "unfinished: " in run("operations", "describe", "--from", file).stdout
    assert run("operations", "cancel", "--from", file).exit_code == 0
    stdout, _ = process.communicate()
    assert process.returncode == 1
    assert "CANCELLED: " in stdout
    assert "CANCELLED: " in run("operations", "list", "--from", file).stdout


def test_a_killed_overwrite_leaves_the_old_rows(folder: Path, file: Path, tmp_path: Path) -> None:
    run("export", make_folder(tmp_path / "small"), "--to", file)
    process = start_export(folder, "--to", file, "--write-disposition", "write-truncate")
    wait_for(lambda: results_of(file) >= 2, process)
    process.kill()
    process.communicate()
    assert rows(file, "SELECT count(*) FROM dicom") == [(2,)]


def test_an_unfinished_export_of_another_folder_is_mentioned(folder: Path, file: Path, tmp_path: Path) -> None:
    process = start_and_wait_for_results(folder, file)
    process.kill()
    process.communicate()
    [unfinished] = operation_ids(file)
    arguments = ("--to", file, "--write-disposition", "write-append")
    result = run("export", make_folder(tmp_path / "small"), *arguments)
    assert result.exit_code == 0, result.output
    assert f"Export {unfinished} to table dicom is unfinished" in result.stderr


def test_an_interrupted_export_is_not_resumed_with_other_patterns_to_ignore(folder: Path, file: Path) -> None:
    process = start_and_wait_for_results(folder, file)
    process.kill()
    process.communicate()
    [unfinished] = operation_ids(file)
    ignoring = ("export", folder, "--to", file, "--ignore", "*5.dcm")
    refused = run(*ignoring)
    assert refused.exit_code == 2
    assert f"Export {unfinished} to table dicom is unfinished: the command that began it resumes it" in refused.stderr
    assert f"Export {unfinished}, which is unfinished, needs table dicom of {file} for itself." in refused.stderr
    result = run(*ignoring, "--table", "other")
    assert result.exit_code == 0, result.output
    assert rows(file, "SELECT count(*) FROM other") == [(COUNT * 9 // 10,)]
    resumed = run("export", folder, "--to", file)
    assert f"Resuming export {unfinished}" in resumed.stderr
    assert rows(file, "SELECT count(*) FROM dicom") == [(COUNT,)]


def test_the_order_of_the_patterns_to_ignore_does_not_matter_for_resuming(folder: Path, file: Path) -> None:
    process = start_export(folder, "--to", file, "--ignore", "*5.dcm", "--ignore", "*6.dcm")
    wait_for(lambda: results_of(file) >= 1, process)
    process.kill()
    process.communicate()
    result = run("export", folder, "--to", file, "--ignore", "*6.dcm", "--ignore", "*5.dcm")
    assert "Resuming export" in result.stderr
    assert rows(file, "SELECT count(*) FROM dicom") == [(COUNT * 8 // 10,)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if mount("-t", "tmpfs", "-o", "size=512k", "tmpfs", disk):
        pytest.skip("a small disk is a tmpfs, and only root may mount one")
    yield disk
    subprocess.run([shutil.which("umount") or "", "--lazy", disk], check=True)


def mount(*arguments: object) -> int:
    command = [shutil.which("mount") or "", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_a_full_disk_is_told_and_the_same_command_resumes_when_there_is_space(folder: Path, small_disk: Path) -> None:
    file = small_disk / "out.duckdb"
    process = start_export(folder, "--to", file)
    _, stderr = process.communicate()
    assert process.returncode == 1, stderr
    assert "free space" in stderr
    assert "Traceback" not in stderr
    assert mount("-o", "remount,size=200m", small_disk) == 0
    result = run("export", folder, "--to", file)
    assert result.exit_code == 0, result.output
    assert rows(file, "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom") == [(COUNT, COUNT)]

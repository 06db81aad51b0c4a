"""`--quiet` says something only if there is something wrong; `--verbose` names each failure as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.command_line import make_folder, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "scans")


def test_quiet_prints_nothing_of_a_success(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.duckdb"
    for arguments in (
        ("export", folder, "--to", file),
        ("verify", folder, "--from", file),
        ("watch", folder, "--to", file, "--once"),
        ("export-files", folder, "--to", tmp_path / "copies"),
    ):
        result = run(*arguments, "--quiet")
        assert (result.exit_code, result.output) == (0, ""), arguments


def test_quiet_prints_failures_and_differences(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.duckdb"
    (folder / "page.html").write_text("\0<html>")
    exported = run("export", folder, "--to", file, "-q")
    assert exported.exit_code == 1
    assert "Finished, but 1 failed:" in exported.stdout
    assert "page.html" in exported.stdout
    (folder / "page.html").unlink()
    (folder / "000001.dcm").unlink()
    verified = run("verify", folder, "--from", file, "-q")
    assert verified.exit_code == 1
    assert "1 orphaned" in verified.stdout


def test_quiet_json_is_printed(folder: Path, tmp_path: Path) -> None:
    assert run("export", folder, "--to", tmp_path / "a.duckdb", "-q", "--format", "json").stdout.startswith("{")


def test_verbose_names_each_failure(folder: Path, tmp_path: Path) -> None:
    for number in range(7):
        (folder / f"{number}.html").write_text("\0<html>")
    result = run("export", folder, "--to", tmp_path / "a.duckdb", "--verbose")
    named = [line for line in result.stderr.splitlines() if ".html: " in line]
    assert len(named) == 7


@pytest.mark.parametrize("command", ["export", "export-files", "watch"])
def test_quiet_and_verbose_exclude_each_other(command: str, folder: Path, tmp_path: Path) -> None:
    result = run(command, folder, "--to", tmp_path / "a.duckdb", "-q", "-v")
    assert result.exit_code == 2
    assert "--quiet and --verbose contradict each other" in result.stderr


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    file = tmp_path / "a.duckdb"
    exported = run("export", tmp_path / "empty", "--to", file)
    assert f"The folder {tmp_path / 'empty'} is empty" in exported.stdout
    later = run("export", tmp_path / "empty", "--to", file, "--since", "2026-01-02")
    assert "was modified after the time of --since" in later.stdout
    assert "No DICOM files were found" in run("verify", tmp_path / "empty", "--from", file).stdout

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.command_line import make_folder, operation_ids, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file into which one export failed in part, and a later one was whole."""
    folder = make_folder(tmp_path_factory.mktemp("stores") / "store")
    file = tmp_path_factory.mktemp("out") / "out.duckdb"
    (folder / "page.html").write_text("\0<html>")
    assert run("export", folder, "--to", file).exit_code == 1
    (folder / "page.html").unlink()
    assert run("export", folder, "--to", file, "--write-disposition", "write-truncate").exit_code == 0
    return file


def test_list_has_the_newest_first(file: Path) -> None:
    newest, oldest = run("operations", "list", "--from", file).stdout.splitlines()
    assert newest.endswith("done: 2 exported, 0 failed")
    assert oldest.endswith("finished with failures: 2 exported, 1 failed")


def test_list_is_limited(file: Path) -> None:
    assert len(run("operations", "list", "--from", file, "--limit", 1).stdout.splitlines()) == 1


def test_describe_is_about_the_newest_if_none_is_named(file: Path) -> None:
    newest, oldest = operation_ids(file)
    assert f"operations/{newest}\n" in run("operations", "describe", "--from", file).stdout
    text = run("operations", "describe", oldest, "--from", file).stdout
    assert f"operations/{oldest}\n" in text
    assert "failures:          1 of 3 instances failed" in text
    assert "INVALID_ARGUMENT" not in text


def test_describe_takes_a_whole_name_and_gives_the_resource(file: Path) -> None:
    name = f"projects/local/locations/local/datasets/local/operations/{operation_ids(file)[0]}"
    operation = json.loads(run("operations", "describe", name, "--from", file, "--format", "json").stdout)
    assert operation["name"] == name
    assert operation["done"] is True


def test_failures_are_lines_of_text_or_json(file: Path) -> None:
    failed = operation_ids(file)[1]
    assert run("operations", "failures", failed, "--from", file).stdout.startswith("page.html: Not DICOM")
    [line] = run("operations", "failures", failed, "--from", file, "--format", "json").stdout.splitlines()
    failure = json.loads(line)
    assert (failure["object"], failure["stage"], failure["code"]) == ("page.html", "READ", 3)
    assert run("operations", "failures", "--from", file).stdout == ""


def test_cancelling_what_has_ended_changes_nothing(file: Path) -> None:
    before = run("operations", "describe", "--from", file).stdout
    result = run("operations", "cancel", "--from", file)
    assert result.exit_code == 0
    assert "The export has ended already: nothing was cancelled." in result.stderr
    assert run("operations", "describe", "--from", file).stdout == before


def test_the_data_folder_can_be_named_itself(file: Path) -> None:
    data = file.with_name("out.duckdb.state")
    assert run("operations", "list", "--data", data).stdout == run("operations", "list", "--from", file).stdout


@pytest.mark.parametrize("command", ["list", "describe", "cancel", "failures"])
def test_whose_operations_has_to_be_said(command: str) -> None:
    result = run("operations", command)
    assert result.exit_code == 2
    assert "--from" in result.stderr


@pytest.mark.parametrize("command", ["describe", "cancel", "failures"])
def test_an_unknown_operation_is_told(file: Path, command: str) -> None:
    result = run("operations", command, "123", "--from", file)
    assert result.exit_code == 2
    assert "operations/123 was not found" in result.stderr


def test_a_dataset_without_operations_is_told(file: Path) -> None:
    result = run("operations", "describe", "--from", file, "--dataset", "projects/p/locations/l/datasets/d")
    assert result.exit_code == 2
    assert "projects/p/locations/l/datasets/d has no operations" in result.stderr


def test_a_file_that_nothing_was_exported_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.duckdb").touch()
    result = run("operations", "list", "--from", tmp_path / "a.duckdb")
    assert result.exit_code == 2
    assert "No export was started here" in result.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "a.duckdb"]

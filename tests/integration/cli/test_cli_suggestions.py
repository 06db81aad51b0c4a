from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from pyarrow import parquet

from support.command_line import make_folder, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("exprot",), "'export'"),
        (("qeury", "SELECT 1"), "'query'"),
        (("dead-leters",), "'dead-letters'"),
        (("EXPORT",), "'export'"),
        (("operations", "List"), "'list'"),
        (("operations", "lsit"), "'list'"),
        (("export", ".", "--write-dispositon", "x"), "'--write-disposition'"),
        (("verify", ".", "--repare"), "'--repair'"),
    ],
)
def test_a_misspelt_command_or_option_gets_a_suggestion(typed: tuple[str, ...], meant: str) -> None:
    result = run(*typed)
    assert result.exit_code == 2
    assert f"Did you mean {meant}?" in result.stderr


def test_what_resembles_no_command_gets_no_suggestion() -> None:
    result = run("xyzzy")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "Error: No such command 'xyzzy'."


@pytest.mark.parametrize("command", ["export", "watch"])
@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("out.parquet", "out.parquet"),
        ("out.CSV", "out.csv"),
        ("out.json", "out.json"),
        ("out.ndjson", "out.json"),
        ("out.xlsx", "out.csv"),
        ("my scans.parquet", "'my scans.parquet'"),
    ],
)
def test_an_export_into_another_kind_of_file_is_refused_with_the_way_to_one(
    command: str, name: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_folder(tmp_path / "scans"))
    result = run(command, ".", "--to", name)
    assert result.exit_code == 2
    assert "is not a DuckDB file" in result.stderr
    assert 'query "SELECT * FROM dicom" --from' in result.stderr
    assert result.stderr.endswith(f" --output {output}\n")
    assert len(list(tmp_path.rglob("*"))) == 3


def test_the_way_to_another_kind_of_file_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_folder(tmp_path / "scans"))
    advice = run("export", ".", "--to", "my scans.parquet").stderr.partition("then run: dicom-export ")[2]
    assert run("export", ".", "--to", "my scans.duckdb").exit_code == 0
    result = run(*shlex.split(advice))
    assert result.exit_code == 0, result.output
    assert parquet.read_table("my scans.parquet").num_rows == 2

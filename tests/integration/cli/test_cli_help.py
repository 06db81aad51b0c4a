"""The help of every command: its order, its examples, and its width."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
import pytest

from dicom_export.cli import main
from dicom_export.cli.help import Command, Group
from support.command_line import make_folder, run, subcommands
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.emulators.s3 import S3
    from support.emulators.storage import Storage


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, group
    for name, command in subcommands(group).items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = {" ".join(path): command for path, command in commands(main)}
NEEDS_A_CLOUD = ("doctor", "smoke-test", "dead-letters list", "dead-letters replay", "serve")
FIRST = "export scans --to scans.duckdb"
ENDLESS = "watch scans --to scans.duckdb"


def examples_of(command: click.Command) -> tuple[str, ...]:
    assert isinstance(command, Command | Group)
    return command.examples


EXAMPLES = sorted({example for command in COMMANDS.values() for example in examples_of(command)})


def test_the_commands_are_listed_in_order_of_use() -> None:
    listed = run("--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    names = [line.split()[0] for line in listed.splitlines()]
    assert names[:5] == ["export", "query", "columns", "watch", "verify"]
    assert set(names) == set(subcommands(main))
    assert "..." not in listed


@pytest.mark.parametrize("path", COMMANDS)
def test_the_help_of_every_command_has_examples_of_it(path: str) -> None:
    shown = run(*path.split(), "--help").stdout.partition("Examples:\n")[2]
    assert f"dicom-export {path}".strip() in shown
    assert all(f"dicom-export {path}".strip() in example for example in examples_of(COMMANDS[path]))


@pytest.mark.parametrize("path", COMMANDS)
def test_help_fits_40_columns(path: str) -> None:
    lines = run(*path.split(), "--help", env={"COLUMNS": "40"}).stdout.splitlines()
    too_long = [line for line in lines if len(line) > 40]
    assert all(len(line.split()) <= 2 for line in too_long), too_long  # a word that cannot be broken
    assert len(lines) > 10


def test_an_example_of_two_lines_is_one_command_for_a_shell() -> None:
    shown = run("query", "--help", env={"COLUMNS": "40"}).stdout.partition("Examples:\n")[2]
    first = shown.strip().replace("\\\n", "").splitlines()[0]
    words = shlex.split(first)
    assert words[:2] == ["dicom-export", "query"]
    assert " ".join(words[2].split()).startswith("SELECT Modality, COUNT(*) AS Instances")
    assert words[3:] == ["--from", "scans.duckdb"]


def test_every_example_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage_emulator: Storage, s3_server: S3
) -> None:
    monkeypatch.chdir(tmp_path)
    for service in (storage_emulator, s3_server):
        service.put(service.make_bucket("bucket"), "scans/ct.dcm", make_instance(Modality="CT"))
    (make_folder(tmp_path / "scans") / "ct.dcm").write_bytes(make_instance(Modality="CT", SOPInstanceUID="1.2.3.4.9"))
    for name in ("ct.csv", "cohort.csv"):
        (tmp_path / name).write_text("/studies/1.2.3\n")
    (tmp_path / "query.sql").write_text("SELECT 1")
    assert run(*FIRST.split()).exit_code == 0
    tried = 0
    for example in EXAMPLES:
        command = example.removeprefix("dicom-export ")
        if command.startswith(NEEDS_A_CLOUD) or "--endpoint" in command or command in (FIRST, ENDLESS):
            continue
        words, _, stdin = command.partition(" < ")
        result = run(*shlex.split(words), stdin=(tmp_path / stdin).read_text() if stdin else None)
        assert result.exit_code == 0, result.output
        tried += 1
    assert tried >= 20


def test_every_other_example_has_options_that_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, command in COMMANDS.items():
        for example in examples_of(command):
            words = shlex.split(example.partition(" < ")[0].removeprefix("dicom-export "))[len(path.split()) :]
            if isinstance(command, click.Group):
                assert words[0] in subcommands(command)
            else:
                command.make_parser(click.Context(command)).parse_args(words)

"""The command line as tests run it: in this process, or as a process of its own that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import click
import duckdb
from click.testing import CliRunner, Result

from dicom_export.cli import main
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def run(*arguments: object, stdin: str | None = None, env: Mapping[str, str] | None = None) -> Result:
    """Run a command in this process. An exception that it does not handle is raised here."""
    return CliRunner().invoke(main, [str(each) for each in arguments], input=stdin, env=env, catch_exceptions=False)


def subcommands(group: click.Group) -> dict[str, click.Command]:
    """Return the commands of a group by their names."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command}


# An export by small messages has many moments at which it can be interrupted.
SMALL_MESSAGES = """
from dicom_export.folder_export import request
from dicom_export.operations.planning import PlanLimits
request.local_limits = lambda: PlanLimits(bundle=50, split=50)
"""


def start(*arguments: object, own_session: bool = False, before: str = "") -> subprocess.Popen[str]:
    """Start a command as a process whose output is captured; in its own session its process id is that of its group.

    `before` is what Python does before the command.
    """
    command = [sys.executable, "-c", f"{before}\nfrom dicom_export.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=own_session
    )


def make_folder(folder: Path, count: int = 2) -> Path:
    """Fill a folder with instances of one series, `000000.dcm` and so on."""
    folder.mkdir(parents=True)
    prefix = "1.2.3.4.1000000"
    template = make_instance(PatientID="P1", StudyDate="20260102", StudyTime="030405", SOPInstanceUID=f"{prefix}000000")
    for number in range(count):
        content = template.replace(f"{prefix}000000".encode(), f"{prefix}{number:06d}".encode())
        (folder / f"{number:06d}.dcm").write_bytes(content)
    return folder


def rows(file: Path, sql: str) -> list[tuple[Any, ...]]:
    """Run DuckDB's SQL over a file that no process has open."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def wait_for(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return as soon as it is so; fail if the process ends before."""
    while not is_so():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def operation_ids(file: Path) -> list[str]:
    """Return the ids of the operations into a DuckDB file, the newest first."""
    listed = run("operations", "list", "--from", file, "--format", "json")
    return [operation["name"].rpartition("/")[2] for operation in json.loads(listed.stdout)]

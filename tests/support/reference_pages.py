"""Reference pages that follow from the code: `make reference` writes them, a test compares them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_export import errors
from dicom_export.cli import main as dicom_export
from dicom_export.errors import DicomExportError, InstanceError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
_WIDTH = 100
_GROUPS = (PermanentError, TransientError, InstanceError)


def command_line() -> str:
    """Return the page of the commands: what `--help` prints, for each."""
    parts = ["# Command line\n\nWhat each command prints with `--help`. `make reference` writes this page.\n"]
    for path, command in _commands(dicom_export, ("dicom-export",)):
        context = click.Context(command, info_name=" ".join(path), terminal_width=_WIDTH, max_content_width=_WIDTH)
        parts.append(f"## {' '.join(path)}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner:
                yield from _commands(inner, (*path, name))


def error_table() -> str:
    """Return the page of the errors: code, HTTP status, and whether a retry helps."""
    lines = [
        "# Errors",
        "",
        "An operation or a failure has one of the codes of google.rpc.Code. A transient error is retried: the message is delivered again.",
        "`make reference` writes this page.",
        "",
        "| error | code | HTTP | retried | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for error in _errors(DicomExportError):
        meaning = (error.__doc__ or "").partition("\n")[0].replace("|", "\\|")
        retried = "yes" if issubclass(error, TransientError) else "no"
        lines.append(f"| {error.__name__} | {error.code.name} | {error.code.http_status} | {retried} | {meaning} |")
    return "\n".join(lines) + "\n"


def _errors(error: type[DicomExportError]) -> Iterator[type[DicomExportError]]:
    """Yield the errors that the package raises, in the order of their definition: not the classes that only group them."""
    for each in error.__subclasses__():
        if each.__module__ == errors.__name__:
            if each not in _GROUPS:
                yield each
            yield from _errors(each)


PAGES = {"command-line.md": command_line, "errors.md": error_table}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())

"""The page of the commands, from click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dicom_export.cli import main as dicom_export

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 100


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

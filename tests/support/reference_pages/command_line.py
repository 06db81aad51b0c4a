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
        command._help_option = None  # click keeps the one that it made first, maybe for a context of another test
        settings = {**dicom_export.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
        context = command.context_class(command, info_name=" ".join(path), **settings)
        parts.append(f"## {' '.join(path)}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, **dicom_export.context_settings)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner:
                yield from _commands(inner, (*path, name))

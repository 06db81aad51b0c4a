"""Show help: examples after the options, commands in order of use, and lines that fit a narrow terminal."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MARGIN = 2
_NARROW = 60
_FIRST_COLUMN = 4


class Formatter(click.HelpFormatter):
    """Formats help for the width of the terminal. Click's own takes at least 50 cells."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        columns = min(shutil.get_terminal_size().columns, max_width or click.HelpFormatter().width + _MARGIN)
        super().__init__(indent_increment, width or max(columns - _MARGIN, 2 * _FIRST_COLUMN), max_width)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms and their descriptions. In a narrow terminal each description begins below its term."""
        if self.width >= _NARROW:
            super().write_dl(rows, col_max, col_spacing)
            return
        for term, description in rows:
            self._write_wrapped(_breakable(term), self.current_indent)
            self._write_wrapped(description, self.current_indent + _FIRST_COLUMN)

    def write_commands(self, commands: Iterable[str]) -> None:
        """Write commands, one per line. A long one continues on the next line, as a shell reads it, also within double quotes."""
        indent = " " * self.current_indent
        for command in commands:
            lines = textwrap.wrap(
                command,
                self.width - _MARGIN,
                initial_indent=indent,
                subsequent_indent=f"{indent}  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            self.write(" \\\n".join(lines) + "\n")

    def _write_wrapped(self, text: str, indent: int) -> None:
        lines = textwrap.wrap(text, self.width - indent, break_long_words=False, break_on_hyphens=False)
        self.write("".join(f"{'':{indent}}{line}\n" for line in lines))


def _breakable(term: str) -> str:
    """Return the term with a space after each choice, so that a long list of choices can be wrapped."""
    return term.replace("|", "| ")


class Context(click.Context):
    """The context of a command, with this formatter."""

    formatter_class = Formatter


class Command(click.Command):
    """A command whose help ends with examples."""

    context_class = Context

    def __init__(self, *args: Any, examples: Sequence[str] = (), **options: Any) -> None:  # noqa: ANN401 - as click has it
        super().__init__(*args, **options)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        _write_examples(self.examples, formatter)


class Group(click.Group):
    """Commands that are listed in their order of use, with help that ends with examples."""

    context_class = Context
    command_class = Command

    def __init__(self, *args: Any, examples: Sequence[str] = (), **options: Any) -> None:  # noqa: ANN401 - as click has it
        super().__init__(*args, **options)
        self.examples = tuple(examples)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click has it
        """Return the commands in the order of their definition."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            # Click suggests only commands that are loaded, and compares upper case with lower case.
            name, names = error.command_name.lower(), self.list_commands(ctx)
            raise click.NoSuchCommand(
                name, error.message, possibilities=[name] if name in names else names, ctx=ctx
            ) from error

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        _write_examples(self.examples, formatter)


def _write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    if examples and isinstance(formatter, Formatter):
        with formatter.section("Examples"):
            formatter.write_commands(examples)

"""`dicom-export query`: run BigQuery's SQL on the tables of a DuckDB file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_export.cli.console import print_lines, terminal_width
from dicom_export.cli.help import Command
from dicom_export.cli.rendering import FORMATS, rendered
from dicom_export.folder_export.places import check_is_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.adapters.local.duckdb.query import Dialect, Result

_LIKE_AN_OPTION = re.compile(r"--[A-Za-z][\w-]*(=.*)?")
_SUFFIXES = (".parquet", ".csv", ".json")


def _check_suffix(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> Path | None:
    if file is None:
        return None
    if file.suffix.lower() not in _SUFFIXES:
        raise click.BadParameter(f"{str(file)!r} does not end in {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}")
    if not file.resolve().parent.is_dir():
        raise click.BadParameter(f"Folder {str(file.parent)!r} does not exist; create it first")
    return file


class _SqlCommand(Command):
    """A command whose argument may begin with `--`, as an SQL comment does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [*_with_comments(args, self._options_with_value(ctx))])

    def _options_with_value(self, ctx: click.Context) -> set[str]:
        options = (each for each in self.get_params(ctx) if isinstance(each, click.Option) and not each.is_flag)
        return {name for each in options for name in each.opts}


def _with_comments(args: list[str], with_value: set[str]) -> Iterator[str]:
    """Yield the arguments. A space before a comment keeps it from being taken for an option, and means nothing in SQL."""
    before = ""
    for arg in args:
        name = arg.partition("=")[0]
        is_comment = (
            arg.startswith("--") and arg != "--" and name not in with_value and not _LIKE_AN_OPTION.fullmatch(arg)
        )
        yield f" {arg}" if is_comment and before not in with_value else arg
        before = arg


@click.command(
    cls=_SqlCommand,
    short_help="Run one SELECT on the tables of a DuckDB file.",
    examples=(
        'dicom-export query "SELECT Modality, COUNT(*) AS Instances FROM dicom GROUP BY Modality" --from scans.duckdb',
        'dicom-export query "SELECT * FROM dicomStudies" --from scans.duckdb --format vertical',
        'dicom-export query "SELECT * FROM dicom" --from scans.duckdb --output scans.parquet',
        "dicom-export query - --from scans.duckdb < query.sql",
    ),
)
@click.argument("sql")
@click.option(
    "--from",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.duckdb",
    help="The DuckDB file.",
)
@click.option(
    "--dialect",
    type=click.Choice(["bigquery", "duckdb"]),
    default="bigquery",
    show_default=True,
    help="The SQL dialect. `duckdb` runs the query unchanged.",
)
@click.option(
    "--format",
    "output",
    type=click.Choice(FORMATS),
    show_default="text",
    help="How to print rows; `vertical` prints one line per value.",
)
@click.option(
    "-o",
    "--output",
    "result_file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_check_suffix,
    metavar="FILE",
    help="Write the rows to FILE.parquet, FILE.csv or FILE.json. An existing file is replaced after all rows are written.",
)
@click.option("--no-header", is_flag=True, help="Leave out the header of CSV.")
def query(
    sql: str, file: Path, dialect: Dialect, output: str | None, result_file: Path | None, *, no_header: bool
) -> None:
    """Run one SELECT on the tables of a DuckDB file, and print the rows. If SQL is `-`, read it from standard input.

    On a terminal, text fits the width: long values are cut, and results with too many columns are shown vertically. In a pipe or a
    file nothing is cut.
    """
    kind = _kind(output, result_file)
    if no_header and kind != "csv":
        raise click.UsageError("--no-header is for CSV only: add --format csv, or --output FILE.csv.")
    if result_file:
        check_is_file(result_file)
        if result_file.exists() and result_file.samefile(file):
            raise click.UsageError("--output names the file that is queried: name another file.")
    # `--help` is answered without loading DuckDB and sqlglot.
    from dicom_export.adapters.local.duckdb.query import run_query

    result = run_query(sys.stdin.read() if sql == "-" else sql, file, dialect)
    if result_file:
        _write(result, kind, result_file, has_header=not no_header)
    else:
        lines = rendered(kind, result.columns, result.rows, terminal_width=terminal_width(), has_header=not no_header)
        print_lines(lines)


def _kind(output: str | None, result_file: Path | None) -> str:
    """Return the requested format: the result file's suffix, if there is such a file."""
    if result_file is None:
        return output or "text"
    kind = result_file.suffix.lower().removeprefix(".")
    if output not in {None, kind}:
        raise click.UsageError(
            f"--format {output} contradicts --output {result_file}, whose suffix decides: leave it out."
        )
    return kind


def _write(result: Result, kind: str, file: Path, *, has_header: bool) -> None:
    from dicom_export.adapters.local.duckdb.result_files import write_result
    from dicom_export.adapters.local.folder.files import replaced_file

    with replaced_file(file) as target:
        count = write_result(result, kind, target, has_header=has_header)
    click.echo(f"{count:,} {'row' if count == 1 else 'rows'} written to {file}")

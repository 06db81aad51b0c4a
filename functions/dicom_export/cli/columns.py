"""`dicom-export columns`: list the columns of a table of a DuckDB file, with their descriptions."""

from __future__ import annotations

from pathlib import Path

import click

from dicom_export.cli.console import print_lines, terminal_width
from dicom_export.cli.help import Command
from dicom_export.cli.options import table_option
from dicom_export.cli.rendering import FORMATS, rendered

_HEADER = ("name", "type", "mode", "description")


@click.command(
    cls=Command,
    short_help="List the columns of a table with their descriptions.",
    examples=(
        "dicom-export columns --from scans.duckdb",
        "dicom-export columns thickness --from scans.duckdb",
    ),
)
@click.argument("word", default="")
@click.option(
    "--from",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.duckdb",
    help="The DuckDB file.",
)
@table_option
@click.option("--format", "output", type=click.Choice(FORMATS), default="text", show_default=True)
def columns(word: str, file: Path, table: str, output: str) -> None:
    """List the columns of a table with their BigQuery types, modes and descriptions from the DICOM dictionary.

    With WORD, list only columns whose name or description contains it, in upper or lower case. Nested fields have dotted names.
    """
    # `--help` is answered without loading DuckDB and pydicom.
    from dicom_export.adapters.local.duckdb.table_columns import read_columns
    from dicom_export.rows.descriptions import description

    listed = (
        (column.name, column.type, column.mode.value, description(column.path)) for column in read_columns(file, table)
    )
    wanted = word.casefold()
    found = [row for row in listed if wanted in row[0].casefold() or wanted in row[3].casefold()]
    print_lines(rendered(output, _HEADER, found, terminal_width=terminal_width()))

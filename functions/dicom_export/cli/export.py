"""`dicom-export export`: export a folder to a table of a DuckDB file, by the same messages and handlers as on Google Cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dicom_export.cli.folder_runs import run_and_report
from dicom_export.cli.help import Command
from dicom_export.cli.options import (
    archives_option,
    file_option,
    filter_option,
    folder_argument,
    ignore_option,
    operation_format_option,
    schema_option,
    source_object_option,
    source_store_option,
    table_option,
    views_option,
)
from dicom_export.cli.verbosity import Verbosity, verbosity_options
from dicom_export.errors import InvalidArgument
from dicom_export.folder_export.arguments import DISPOSITIONS, parse_since
from dicom_export.folder_export.request import folder_export

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


def _since(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    try:
        return parse_since(text) if text is not None else None
    except InvalidArgument as error:
        raise click.BadParameter(error.message) from error


@click.command(
    cls=Command,
    short_help="Export a folder of DICOM files to a table.",
    examples=(
        "dicom-export export scans --to scans.duckdb",
        "dicom-export export scans --to scans.duckdb --write-disposition write-append",
        "dicom-export export scans --to scans.duckdb --table ct --filter ct.csv",
    ),
)
@folder_argument
@file_option
@table_option
@filter_option
@click.option(
    "--write-disposition",
    type=click.Choice(DISPOSITIONS),
    default="write-empty",
    show_default=True,
    help="What to do if the table has rows: end with an error, replace all rows at the end, or add rows.",
)
@click.option(
    "--since",
    metavar="TIME",
    callback=_since,
    help="Export only files that were modified after this time, such as 2026-01-02T03:04:05Z, or since the beginning of a day in"
    " UTC, such as 2026-01-02.",
)
@schema_option
@source_store_option
@views_option
@source_object_option
@ignore_option
@archives_option
@verbosity_options
@operation_format_option
def export(
    folder: Path,
    file: Path,
    table: str,
    filter_file: Path | None,
    write_disposition: str,
    since: datetime | None,
    schema: str,
    ignore: tuple[str, ...],
    output: str,
    *,
    include_source_store: bool,
    views: bool,
    archives: bool,
    include_source_object: bool,
    verbosity: Verbosity,
) -> None:
    """Export the DICOM files in FOLDER, and in all folders below it, to a table.

    To resume an interrupted export, run the same command again. Ctrl-C cancels the export.
    """
    asked = folder_export(
        folder,
        file,
        table=table,
        filter_file=filter_file,
        write_disposition=write_disposition,
        schema=schema,
        include_source_store=include_source_store,
        views=views,
        archives=archives,
        include_source_object=include_source_object,
        since=since,
        ignore=ignore,
    )
    run_and_report(asked, folder, file, output, verbosity=verbosity)

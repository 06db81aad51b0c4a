"""`dicom-export export`: export a folder or a bucket to a table of a DuckDB file, by the same messages and handlers as on Google Cloud."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_export.cli.exit_codes import FAILED
from dicom_export.cli.help import Command
from dicom_export.cli.options import (
    FilterPath,
    allow_cold_reads_option,
    anonymous_option,
    archives_option,
    endpoint_url_option,
    file_option,
    ignore_option,
    place_argument,
    schema_option,
    source_object_option,
    source_store_option,
    table_option,
    user_project_option,
    views_option,
)
from dicom_export.cli.verbosity import Verbosity, verbosity_options
from dicom_export.errors import InvalidArgument
from dicom_export.folder_export.arguments import DISPOSITIONS, parse_since
from dicom_export.folder_export.ctrl_c import threads_without_ctrl_c
from dicom_export.folder_export.places import place_of
from dicom_export.folder_export.request import folder_export

if TYPE_CHECKING:
    from datetime import datetime

    from dicom_export.folder_export.request import FolderExport
    from dicom_export.operations.operation import Operation
    from dicom_export.settings import LocalSettings, Place


def _since(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    try:
        return parse_since(text) if text is not None else None
    except InvalidArgument as error:
        raise click.BadParameter(error.message) from error


@click.command(
    cls=Command,
    short_help="Export a folder or bucket of DICOM files to a table.",
    examples=(
        "dicom-export export scans --to scans.duckdb",
        "dicom-export export scans --to scans.duckdb --write-disposition write-append",
        "dicom-export export scans --to scans.duckdb --table ct --filter ct.csv",
        "dicom-export export gs://bucket/scans --to gcs.duckdb",
        "dicom-export export s3://bucket/scans --to s3.duckdb",
    ),
)
@place_argument
@file_option
@table_option
@click.option(
    "--filter",
    "filter_file",
    type=FilterPath(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help="Export only what the lines of this file name: /studies/UID[/series/UID[/instances/UID]]. A quoted pattern such as"
    " 'filter-*.csv' names several files.",
)
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
@anonymous_option
@user_project_option
@allow_cold_reads_option
@endpoint_url_option
@verbosity_options
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Print a summary as text, or the Operation resource as JSON.",
)
def export(
    folder: Path | str,
    file: Path,
    table: str,
    filter_file: Path | None,
    write_disposition: str,
    since: datetime | None,
    schema: str,
    ignore: tuple[str, ...],
    user_project: str | None,
    endpoint_url: str | None,
    output: str,
    *,
    anonymous: bool,
    allow_cold_reads: bool,
    include_source_store: bool,
    views: bool,
    archives: bool,
    include_source_object: bool,
    verbosity: Verbosity,
) -> None:
    """Export the DICOM files in FOLDER, and in all folders below it, to a table.

    BUCKET is gs://BUCKET/FOLDER in Cloud Storage, or s3://BUCKET/FOLDER.

    To resume an interrupted export, run the same command again. Ctrl-C cancels the export.
    """
    place = place_of(
        str(folder),
        is_anonymous=anonymous,
        user_project=user_project,
        endpoint_url=endpoint_url,
        allows_cold_reads=allow_cold_reads,
    )
    asked = folder_export(
        place,
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
    operation = _run(asked, place, verbosity)
    _report(operation, asked.settings, file, output, place=place, verbosity=verbosity)
    sys.exit(FAILED if operation.error else 0)


def _run(asked: FolderExport, place: Place, verbosity: Verbosity) -> Operation:
    # `--help` and a mistyped option are answered without loading DuckDB and the rest.
    from dicom_export.bootstrap.local import local_deployment
    from dicom_export.cli.console import standard_error, warnings_on
    from dicom_export.cli.running import Run

    console = standard_error()
    with warnings_on(console, verbosity), ExitStack() as stack:
        with threads_without_ctrl_c():
            deployment = stack.enter_context(local_deployment(asked.settings))
        return Run(deployment, asked.request, asked.ignored, console, reports=True, verbosity=verbosity).to_its_end(
            place
        )


def _report(
    operation: Operation, settings: LocalSettings, file: Path, output: str, *, place: Place, verbosity: Verbosity
) -> None:
    """Print how the operation ended, then note that it was reported. After a crash in between it is reported again."""
    from dicom_export.bootstrap.local import local_operations
    from dicom_export.cli.console import echo_lines
    from dicom_export.cli.summary import summary
    from dicom_export.protocol.operations_json import operation_to_json

    operations = local_operations(settings.data)
    if output == "json":
        click.echo(json.dumps(operation_to_json(operation), indent=2))
    elif operation.error or not verbosity.is_quiet or operations.unlisted(operation.name):
        unlisted = operations.unlisted(operation.name)
        failures, passed_over = operations.failures(operation.name), operations.passed_over(operation.name)
        lines = summary(operation, failures, passed_over, file, unlisted, place=place)
        echo_lines(lines)
    operations.set_reported(operation.name)

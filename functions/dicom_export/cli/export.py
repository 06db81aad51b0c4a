"""`dicom-export export`: export a folder or a bucket to a table of a DuckDB file, or have an installation export a store to BigQuery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from click.core import ParameterSource

from dicom_export.cli.endpoint import ENDPOINT, Endpoint, endpoint_options
from dicom_export.cli.folder_runs import run_and_report
from dicom_export.cli.help import Command
from dicom_export.cli.options import (
    allow_cold_reads_option,
    anonymous_option,
    archives_option,
    destination_option,
    endpoint_url_option,
    filter_source_option,
    ignore_option,
    operation_format_option,
    schema_option,
    source_argument,
    source_object_option,
    source_store_option,
    table_option,
    user_project_option,
    views_option,
)
from dicom_export.cli.verbosity import Verbosity, verbosity_options
from dicom_export.errors import InvalidArgument
from dicom_export.folder_export.arguments import DISPOSITIONS, parse_since
from dicom_export.folder_export.places import place_of
from dicom_export.folder_export.request import folder_export
from dicom_export.names import GcsUri, StoreName, TableName
from dicom_export.operations.request import ExportRequest, WriteDisposition
from dicom_export.rows.layout import SchemaKind

if TYPE_CHECKING:
    from datetime import datetime

T = TypeVar("T")

_SERVED = (
    "dicom-export export projects/p/locations/l/datasets/d/dicomStores/s --to bq://p.dicom.instances"
    " --endpoint https://dicom-export-api.example.com"
)
_FOR_FOLDERS = ("table", "views", "archives", "ignore", "anonymous", "user_project", "endpoint_url")
_FOR_STORES = ("waits",)


def _since(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    try:
        return parse_since(text) if text is not None else None
    except InvalidArgument as error:
        raise click.BadParameter(error.message) from error


@click.command(
    cls=Command,
    short_help="Export DICOM files to a table.",
    examples=(
        "dicom-export export scans --to scans.duckdb",
        "dicom-export export scans --to scans.duckdb --write-disposition write-append",
        "dicom-export export scans --to scans.duckdb --table ct --filter ct.csv",
        "dicom-export export gs://bucket/scans --to gcs.duckdb",
        "dicom-export export s3://bucket/scans --to s3.duckdb",
        _SERVED,
    ),
)
@source_argument
@destination_option
@table_option
@filter_source_option
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
@endpoint_url_option
@endpoint_options
@click.option(
    "--async", "waits", flag_value=False, default=True, help="Start the export of a store, and do not wait for its end."
)
@allow_cold_reads_option
@verbosity_options
@operation_format_option
def export(
    source: Path | str | StoreName,
    destination: Path | TableName,
    table: str,
    filter_source: Path | GcsUri | None,
    write_disposition: str,
    since: datetime | None,
    schema: str,
    ignore: tuple[str, ...],
    endpoint: Endpoint | None,
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
    waits: bool,
    verbosity: Verbosity,
) -> None:
    """Export DICOM files to a table: those in FOLDER or BUCKET and in all folders below it, or those of the DICOM store STORE.

    To resume an interrupted export of a folder or bucket, run the same command again. Ctrl-C cancels the export.

    BUCKET is gs://BUCKET/FOLDER in Cloud Storage, or s3://BUCKET/FOLDER.

    STORE is a resource name, projects/PROJECT/locations/LOCATION/datasets/DATASET/dicomStores/STORE. The installation at
    --endpoint exports it to BigQuery.
    """
    if isinstance(source, StoreName):
        _check_is_given_to_none(_FOR_FOLDERS, "a folder or bucket", "a DICOM store")
        # `--help` and a mistyped option are answered without loading rich and the rest.
        from dicom_export.cli.served_export import export_store

        export_store(
            ExportRequest(
                source,
                _of_type(TableName, destination, "--to", "a DICOM store is exported to bq://PROJECT.DATASET.TABLE"),
                WriteDisposition(write_disposition.upper().replace("-", "_")),
                SchemaKind(schema),
                include_source_store,
                _of_type(GcsUri, filter_source, "--filter", "the filter of a DICOM store is gs://BUCKET/FILE")
                if filter_source
                else None,
                allow_cold_reads=allow_cold_reads,
                include_source_object=include_source_object,
                since=since,
            ),
            _named(endpoint),
            output,
            waits=waits,
            verbosity=verbosity,
        )
    _check_is_given_to_none(_FOR_STORES, "a DICOM store", "a folder or bucket")
    if endpoint and not endpoint.is_default:
        raise click.UsageError(
            f"--endpoint is for a DICOM store, projects/P/locations/L/datasets/D/dicomStores/S. {source} is a folder or bucket."
        )
    file = _of_type(Path, destination, "--to", "a folder or bucket is exported to FILE.duckdb")
    filter_file = (
        _of_type(Path, filter_source, "--filter", "the filter of a folder or bucket is a file")
        if filter_source
        else None
    )
    place = place_of(
        str(source),
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
    run_and_report(asked, place, file, output, verbosity=verbosity)


def _check_is_given_to_none(names: tuple[str, ...], of: str, other: str) -> None:
    """Raise UsageError if one of these parameters, which are for one kind of source, was given with another kind."""
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in names and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{'/'.join((*parameter.opts, *parameter.secondary_opts))} is for the export of {of}, not of {other}."
            )


def _of_type(kind: type[T], given: object, option: str, expected: str) -> T:
    if not isinstance(given, kind):
        raise click.BadParameter(f"{str(given)!r}: {expected}.", param_hint=f"'{option}'")
    return given


def _named(endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise click.UsageError(
            f"Specify the installation that exports the store with --endpoint URL, or in {ENDPOINT}."
        )
    return endpoint

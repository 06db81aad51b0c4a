"""`dicom-export verify`: compare a folder or a bucket with a table of a DuckDB file, and export missing instances on demand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from dicom_export.bootstrap.buckets import check_bucket
from dicom_export.cli.console import echo_lines
from dicom_export.cli.exit_codes import FAILED
from dicom_export.cli.help import Command
from dicom_export.cli.options import (
    allow_cold_reads_option,
    anonymous_option,
    archives_option,
    endpoint_url_option,
    ignore_option,
    place_argument,
    table_option,
    user_project_option,
)
from dicom_export.cli.verbosity import Verbosity, verbosity_options
from dicom_export.folder_export.places import (
    DATASET,
    PROJECT,
    check_file,
    own_files,
    place_of,
    state_of,
    store_of,
    table_of,
)
from dicom_export.settings import LocalBucket, LocalSettings, local_limits, local_readers

_REPAIRS = "repairs"
_LIMIT = 20


@click.command(
    cls=Command,
    short_help="Compare a folder or bucket with a table, and repair the table.",
    examples=(
        "dicom-export verify scans --from scans.duckdb",
        "dicom-export verify scans --from scans.duckdb --repair",
        "dicom-export verify scans --from scans.duckdb --limit 1000 --format json",
        "dicom-export verify gs://bucket/scans --from gcs.duckdb",
    ),
)
@place_argument
@click.option(
    "--from",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.duckdb",
    help="The DuckDB file.",
)
@table_option
@ignore_option
@archives_option
@anonymous_option
@user_project_option
@allow_cold_reads_option
@endpoint_url_option
@click.option("--repair", is_flag=True, help="Export the missing and stale instances, then compare again.")
@click.option(
    "--limit", type=click.IntRange(0), default=_LIMIT, show_default=True, help="Maximum number of differences to list."
)
@verbosity_options
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def verify(
    folder: Path | str,
    file: Path,
    table: str,
    ignore: tuple[str, ...],
    user_project: str | None,
    endpoint_url: str | None,
    limit: int,
    output: str,
    *,
    anonymous: bool,
    allow_cold_reads: bool,
    archives: bool,
    repair: bool,
    verbosity: Verbosity,
) -> None:
    """Compare the DICOM files in FOLDER, and in all folders below it, with the newest rows of a table.

    BUCKET is gs://BUCKET/FOLDER in Cloud Storage, or s3://BUCKET/FOLDER.

    It lists missing instances (without a row), stale ones (the row is older than the file, or has another size) and orphaned rows
    (no file has the instance). The exit code is 1 while there are differences; with --repair, if any are left.
    """
    check_file(file)
    destination = table_of(table)
    place = place_of(
        str(folder),
        is_anonymous=anonymous,
        user_project=user_project,
        endpoint_url=endpoint_url,
        allows_cold_reads=allow_cold_reads,
    )
    if isinstance(place, LocalBucket):
        check_bucket(place)
    store = store_of(place)
    repairs = state_of(file) / _REPAIRS
    settings = LocalSettings(
        data=state_of(file),
        stores={store: place},
        buckets={_REPAIRS: repairs},
        databases={PROJECT: file},
        datasets=((PROJECT, DATASET),),
        ignore=(*ignore, *own_files(file, place)),
        limits=local_limits(),
        readers=local_readers(),
        archives=archives,
    )
    repairs.mkdir(parents=True, exist_ok=True)
    # `--help` and a mistyped option are answered without loading DuckDB, pydicom and the rest.
    from dicom_export.cli.verifying import Verifying

    verified = Verifying(settings, store, destination, _REPAIRS, file, ignore, limit).run(
        repair=repair, verbosity=verbosity
    )
    if output == "json":
        click.echo(json.dumps(verified.to_json()))
    elif verified.has_findings or not verbosity.is_quiet:
        echo_lines(verified.lines(file, place))
    sys.exit(FAILED if verified.report.counts.total else 0)

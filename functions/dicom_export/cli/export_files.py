"""`dicom-export export-files`: the files of a folder's instances, or of a cohort, in another folder."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_export.cli.exit_codes import FAILED
from dicom_export.cli.help import Command
from dicom_export.cli.options import FilterPath, folder_argument, ignore_option
from dicom_export.cli.verbosity import Verbosity, verbosity_options
from dicom_export.errors import PermissionDenied
from dicom_export.folder_export.ctrl_c import threads_without_ctrl_c
from dicom_export.folder_export.wanted_files import files_export, forget_deleted

if TYPE_CHECKING:
    from dicom_export.folder_export.wanted_files import FilesExport
    from dicom_export.operations.operation import Operation


@click.command(
    cls=Command,
    short_help="Export the DICOM files of a folder to another folder.",
    examples=(
        "dicom-export export-files scans --to cohort --filter cohort.csv",
        "dicom-export export-files scans --to copies --copy",
    ),
)
@folder_argument
@click.option(
    "--to",
    "destination",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The folder for STUDY_UID/SERIES_UID/INSTANCE_UID.dcm. Created if it does not exist. Nothing in it is replaced or deleted.",
)
@click.option(
    "--filter",
    "filter_file",
    type=FilterPath(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help="Export only what the lines of this file name: /studies/UID[/series/UID[/instances/UID]]. A quoted pattern such as"
    " 'filter-*.csv' names several files.",
)
@click.option(
    "--copy",
    is_flag=True,
    help="Write files with contents of their own. By default, files are hard links where the file system allows them.",
)
@ignore_option
@verbosity_options
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Print a summary as text, or the Operation resource as JSON.",
)
def export_files(
    folder: Path,
    destination: Path,
    filter_file: Path | None,
    ignore: tuple[str, ...],
    output: str,
    *,
    copy: bool,
    verbosity: Verbosity,
) -> None:
    """Export the DICOM files in FOLDER, and in all folders below it, to another folder.

    To resume an interrupted export, or to add what is new, run the same command again. Ctrl-C cancels the export.
    """
    asked = files_export(folder, destination, filter_file=filter_file, ignore=ignore, links=not copy)
    operation = _run(asked, folder, destination, verbosity)
    _report(operation, asked, destination, output, folder=folder, verbosity=verbosity)
    sys.exit(FAILED if operation.error else 0)


def _run(asked: FilesExport, folder: Path, destination: Path, verbosity: Verbosity) -> Operation:
    # `--help` and a mistyped option are answered without loading DuckDB and the rest.
    from dicom_export.bootstrap.local import local_deployment
    from dicom_export.cli.console import standard_error, warnings_on
    from dicom_export.cli.running import Run

    console = standard_error()
    is_new = _created(destination)
    with warnings_on(console, verbosity), ExitStack() as stack:
        with threads_without_ctrl_c():
            deployment = stack.enter_context(local_deployment(asked.settings))
        if is_new:
            forget_deleted(deployment.service, asked.request)
        return Run(deployment, asked.request, asked.ignored, console, reports=True, verbosity=verbosity).to_its_end(
            folder
        )


def _created(destination: Path) -> bool:
    """Create the folder; return False if it exists."""
    try:
        destination.mkdir()
    except FileExistsError:
        return False
    except OSError as error:
        raise PermissionDenied(f"Folder {str(destination)!r} cannot be created: {error.strerror}") from error
    return True


def _report(
    operation: Operation, asked: FilesExport, destination: Path, output: str, *, folder: Path, verbosity: Verbosity
) -> None:
    """Print how the operation ended, and only then note that it was reported: a crash in between has it reported again."""
    from dicom_export.bootstrap.local import local_operations
    from dicom_export.cli.console import echo_lines
    from dicom_export.cli.summary import summary
    from dicom_export.protocol.operations_json import operation_to_json

    operations = local_operations(asked.settings.data)
    if output == "json":
        click.echo(json.dumps(operation_to_json(operation), indent=2))
    elif operation.error or not verbosity.is_quiet or operations.unlisted(operation.name):
        unlisted = operations.unlisted(operation.name)
        failures, passed_over = operations.failures(operation.name), operations.passed_over(operation.name)
        lines = summary(operation, failures, passed_over, destination, unlisted, place=folder)
        echo_lines(lines)
    operations.set_reported(operation.name)

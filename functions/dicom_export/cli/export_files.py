"""`dicom-export export-files`: the files of a folder's instances, or of a cohort, in another folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_export.cli.folder_runs import run_and_report
from dicom_export.cli.help import Command
from dicom_export.cli.options import filter_option, folder_argument, ignore_option, operation_format_option
from dicom_export.cli.verbosity import verbosity_options
from dicom_export.errors import PermissionDenied
from dicom_export.folder_export.wanted_files import files_export, forget_deleted

if TYPE_CHECKING:
    from dicom_export.cli.verbosity import Verbosity


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
@filter_option
@click.option(
    "--copy",
    is_flag=True,
    help="Write files with contents of their own. By default, files are hard links where the file system allows them.",
)
@ignore_option
@verbosity_options
@operation_format_option
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
    is_new = _created(destination)
    run_and_report(
        asked,
        folder,
        destination,
        output,
        verbosity=verbosity,
        prepare=partial(forget_deleted, request=asked.request) if is_new else None,
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

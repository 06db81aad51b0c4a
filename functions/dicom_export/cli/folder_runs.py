"""Run an export of a folder or bucket, and report how it ended: what `export` and `export-files` share."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

import click

from dicom_export.cli.exit_codes import FAILED
from dicom_export.folder_export.ctrl_c import threads_without_ctrl_c
from dicom_export.folder_export.refusals import in_callers_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_export.cli.verbosity import Verbosity
    from dicom_export.exporting.service import ExportService
    from dicom_export.folder_export.request import FolderExport
    from dicom_export.folder_export.wanted_files import FilesExport
    from dicom_export.operations.operation import Operation
    from dicom_export.settings import LocalSettings, Place


def run_and_report(
    asked: FolderExport | FilesExport,
    place: Place,
    destination: Path,
    output: str,
    *,
    verbosity: Verbosity,
    prepare: Callable[[ExportService], None] | None = None,
) -> NoReturn:
    """Run the export to its end, print how it ended, and exit with 0, or with 1 after an error or failed instances.

    `prepare` is called before the export begins. `destination` is the DuckDB file or the folder.
    """
    with in_callers_words(destination, "--write-disposition {}".format):
        operation = _run(asked, place, verbosity, prepare)
    _report(operation, asked.settings, destination, output, place=place, verbosity=verbosity)
    sys.exit(FAILED if operation.error else 0)


def _run(
    asked: FolderExport | FilesExport,
    place: Place,
    verbosity: Verbosity,
    prepare: Callable[[ExportService], None] | None,
) -> Operation:
    # `--help` and a mistyped option are answered without loading DuckDB and the rest.
    from dicom_export.bootstrap.local import local_deployment
    from dicom_export.cli.console import standard_error, warnings_on
    from dicom_export.cli.running import folder_run

    console = standard_error()
    with warnings_on(console, verbosity), ExitStack() as stack:
        with threads_without_ctrl_c():
            deployment = stack.enter_context(local_deployment(asked.settings))
        if prepare:
            prepare(deployment.service)
        run = folder_run(deployment, asked.request, asked.ignored, console, place, reports=True, verbosity=verbosity)
        return run.to_its_end()


def _report(
    operation: Operation, settings: LocalSettings, destination: Path, output: str, *, place: Place, verbosity: Verbosity
) -> None:
    """Print how the operation ended, then note that it was reported. After a crash in between it is reported again."""
    from dicom_export.bootstrap.local import local_operations
    from dicom_export.cli.console import echo_lines
    from dicom_export.cli.summary import folder_places, summary
    from dicom_export.protocol.operations_json import operation_to_json

    operations = local_operations(settings.data)
    unlisted = operations.unlisted(operation.name)
    if output == "json":
        click.echo(json.dumps(operation_to_json(operation), indent=2))
    elif operation.error or not verbosity.is_quiet or unlisted:
        failures, passed_over = operations.failures(operation.name), operations.passed_over(operation.name)
        echo_lines(summary(operation, failures, passed_over, folder_places(operation, place, destination), unlisted))
    operations.set_reported(operation.name)

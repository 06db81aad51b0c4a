"""Export a DICOM store by an installation that is deployed, and report how the export ended."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import click

from dicom_export.cli.console import COMMAND, echo_lines, standard_error, warnings_on
from dicom_export.cli.exit_codes import FAILED
from dicom_export.cli.progress import ExportProgress
from dicom_export.cli.running import Run
from dicom_export.cli.served_run import ServedRun
from dicom_export.cli.summary import Places, summary
from dicom_export.decoding.counted import DecodedCounts
from dicom_export.protocol.operations_json import operation_to_json

if TYPE_CHECKING:
    from rich.console import Console

    from dicom_export.cli.endpoint import Endpoint
    from dicom_export.cli.verbosity import Verbosity
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import ExportRequest
    from dicom_export.ports import ServedExports


def export_store(
    request: ExportRequest, endpoint: Endpoint, output: str, *, waits: bool, verbosity: Verbosity
) -> NoReturn:
    """Have the installation export a store, print how that ended, and exit with 0, or with 1 after an error or failed instances.

    An export that is not waited for is only started.
    """
    exports = endpoint.exports()
    if not waits:
        _print_start(exports.create_export(request), endpoint, output, verbosity)
        sys.exit(0)
    console = standard_error()
    steps = ServedRun(exports, request, endpoint.option, lambda: run.is_interrupted)
    run = Run(
        steps,
        lambda _: served_progress(console, verbosity),
        console,
        "Cancelling: batches that are being written are completed. Press Ctrl-C again to stop waiting.",
        steps.stopped,
    )
    with warnings_on(console, verbosity):
        operation = run.to_its_end()
    report(replace(operation, requested=request), exports, endpoint, output, verbosity)


def served_progress(console: Console, verbosity: Verbosity) -> ExportProgress:
    """Return the progress of an operation whose counters are all that is known."""
    return ExportProgress(console, None, DecodedCounts(), is_shown=not verbosity.is_quiet)


def report(
    operation: Operation, exports: ServedExports, endpoint: Endpoint, output: str, verbosity: Verbosity
) -> NoReturn:
    """Print how an operation of a known request ended, and exit."""
    if output == "json":
        click.echo(json.dumps(operation_to_json(operation), indent=2))
    elif operation.error or not verbosity.is_quiet:
        store = str(operation.request.store)
        places = Places(
            store,
            f"table {operation.table}",
            "object",
            f"{store} has no DICOM instances",
            f"{operation.name} {endpoint.option}",
        )
        echo_lines(summary(operation, exports.failures(operation.name), (), places))
    sys.exit(FAILED if operation.error else 0)


def _print_start(operation: Operation, endpoint: Endpoint, output: str, verbosity: Verbosity) -> None:
    if output == "json":
        click.echo(json.dumps(operation_to_json(operation), indent=2))
    elif not verbosity.is_quiet:
        click.echo(f"Started {operation.name}\nFollow it:\n{COMMAND}operations wait {operation.name} {endpoint.option}")

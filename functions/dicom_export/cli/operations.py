"""`dicom-export operations`: show exports, their progress and their failures, also while one runs; wait for them, or cancel them."""

from __future__ import annotations

import json
import sys
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import click

from dicom_export.cli.console import printable, standard_error
from dicom_export.cli.exit_codes import FAILED
from dicom_export.cli.help import Group
from dicom_export.cli.summary import failure_line
from dicom_export.cli.verbosity import Verbosity, verbosity_options
from dicom_export.cli.whose import of_whom, of_whose_state
from dicom_export.folder_export.run import error_besides_failures
from dicom_export.operations.counters import Counters
from dicom_export.operations.request import FilesRequest
from dicom_export.protocol.operations_json import operation_to_json, timestamp

if TYPE_CHECKING:
    from dicom_export.cli.whose import Whose, WhoseState
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import Request

_LISTED = 50


@click.group(
    cls=Group,
    short_help="Show exports and their failures, and cancel exports.",
    examples=(
        "dicom-export operations list --from scans.duckdb",
        "dicom-export operations failures --from scans.duckdb",
    ),
)
def operations() -> None:
    """Show and cancel exports: to a DuckDB file (--from), of `serve` (--data), or on Google Cloud (--endpoint).

    Without these options, the command works with the installation on Google Cloud whose settings are in the environment.

    OPERATION is the id or the resource name of an operation. Without it, the newest operation is used.
    """


_format_option = partial(
    click.option, "--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
_operation_argument = partial(click.argument, "operation", required=False)


@operations.command(
    "list",
    examples=(
        "dicom-export operations list --from scans.duckdb",
        "dicom-export operations list --from scans.duckdb --limit 5 --format json",
        "dicom-export operations list --endpoint https://dicom-export-api.example.com --dataset projects/p/locations/l/datasets/d",
    ),
)
@click.option("--limit", type=click.IntRange(min=1), default=_LISTED, show_default=True, help="Maximum number to list.")
@of_whom
@_format_option()
def list_(whose: Whose, limit: int, output: str) -> None:
    """List exports, the newest first."""
    found = list(islice(whose.operations.newest_first(whose.parent), limit))
    if output == "json":
        click.echo(json.dumps([operation_to_json(operation) for operation in found], indent=2))
        return
    for operation in found:
        click.echo(f"{operation.name.operation}  {timestamp(operation.create_time)}  {_state(operation)}")


@operations.command(
    examples=(
        "dicom-export operations describe --from scans.duckdb",
        "dicom-export operations describe --from scans.duckdb --format json",
    ),
)
@_operation_argument()
@of_whom
@_format_option()
def describe(whose: Whose, operation: str | None, output: str) -> None:
    """Show the progress of an export, or how it ended."""
    _show(whose.operations.get_operation(whose.name(operation)), output, whose)


@operations.command(
    examples=("dicom-export operations cancel --from scans.duckdb",),
)
@_operation_argument()
@of_whom
@_format_option()
def cancel(whose: Whose, operation: str | None, output: str) -> None:
    """Cancel an export. This has no effect on an export that has ended.

    An interrupted export ends when its command is run again.
    """
    name = whose.name(operation)
    if whose.operations.get_operation(name).is_done:
        click.echo("The export has ended already: nothing was cancelled.", err=True)
    _show(whose.operations.cancel_operation(name), output, whose)


@operations.command(
    examples=("dicom-export operations wait --from scans.duckdb",),
)
@_operation_argument()
@of_whom
@verbosity_options
@_format_option()
def wait(whose: Whose, operation: str | None, output: str, verbosity: Verbosity) -> None:
    """Wait until an export has ended, and show how.

    The exit code is 1 if it ended with an error or with failed instances. Ctrl-C ends the waiting, not the export. An
    interrupted export ends only when its command is run again.
    """
    from dicom_export.cli.served_export import served_progress
    from dicom_export.cli.served_run import states

    name = whose.name(operation)
    with served_progress(standard_error(), verbosity) as progress:
        for current in states(whose.operations, name, whose.option):
            progress.show(current)
    if current.error or output == "json" or not verbosity.is_quiet:
        _show(current, output, whose)
    sys.exit(FAILED if current.error else 0)


@operations.command(
    examples=(
        "dicom-export operations failures --from scans.duckdb",
        "dicom-export operations failures --from scans.duckdb --format json",
    ),
)
@_operation_argument()
@of_whom
@_format_option()
def failures(whose: Whose, operation: str | None, output: str) -> None:
    """List every failed instance with the reason. JSON has one object per line."""
    for failure in whose.operations.failures(whose.name(operation)):
        click.echo(json.dumps(failure.to_json()) if output == "json" else failure_line(failure))


@operations.command(
    "passed-over",
    examples=("dicom-export operations passed-over --from scans.duckdb",),
)
@_operation_argument()
@of_whose_state
@_format_option()
def passed_over(whose: WhoseState, operation: str | None, output: str) -> None:
    """List every file that is not DICOM with its kind. JSON has one object per line."""
    for name, kind in whose.operations.passed_over(whose.name(operation)):
        click.echo(json.dumps({"object": name, "kind": kind}) if output == "json" else printable(f"{name}: {kind}"))


def _show(operation: Operation, output: str, whose: Whose) -> None:
    if output == "json":
        click.echo(json.dumps(operation_to_json(operation), indent=2))
        return
    facts = {
        "name": operation.name,
        "state": _state(operation),
        **(_requested(operation.requested, whose) if operation.requested else {}),
        "created": timestamp(operation.create_time),
        "ended": timestamp(operation.end_time) if operation.end_time else "not yet",
    }
    for name, fact in facts.items():
        click.echo(f"{name + ':':19}{fact}")
    if operation.error:
        error = error_besides_failures(operation)
        label, kind = ("error:", f"{error.code.name}: ") if error else ("failures:", "")
        click.echo(f"{label:19}{kind}{operation.error.message}")


def _requested(request: Request, whose: Whose) -> dict[str, object]:
    return {
        "store": request.store,
        **_destination(request, whose),
        "filter": request.filter_uri or "none",
    }


def _destination(request: Request, whose: Whose) -> dict[str, object]:
    if isinstance(request, FilesRequest):
        return {"folder": whose.place or request.folder}
    return {"table": request.table, "write disposition": request.write_disposition, "schema": request.schema}


def _state(operation: Operation) -> str:
    counters = operation.counters or Counters()
    counts = f"{counters.success:,} exported, {counters.failure:,} failed"
    if operation.is_done:
        error = error_besides_failures(operation)
        how = error.code.name if error else "finished with failures" if operation.error else "done"
        return f"{how}: {counts}"
    how = "cancelling" if operation.cancel_requested else "unfinished"
    return f"{how}: {counts}, {counters.pending:,} pending so far"

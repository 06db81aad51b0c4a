"""`dicom-export operations`: what exports there were, how far they are, what failed; beside a running one, too."""

from __future__ import annotations

import json
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_export.cli.places import existing_state
from dicom_export.cli.summary import failure_line
from dicom_export.errors import NotFound
from dicom_export.names import DatasetName, OperationName
from dicom_export.operations import Counters
from dicom_export.operations_json import operation_to_json, timestamp
from dicom_export.settings import LOCAL_PARENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.handlers.service import OperationsService
    from dicom_export.operations import Operation

_LISTED = 50


@click.group()
def operations() -> None:
    """See and cancel exports: those into a DuckDB file (--from), or those of `serve` (--data).

    OPERATION is an id or a whole resource name; without one, the newest is meant.
    """


def _of_whom(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option(
            "--from", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.duckdb",
            help="The destination of the exports.",
        ),
        click.option(
            "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
            help="The folder that `serve` was given.",
        ),
        click.option(
            "--dataset", metavar="projects/P/locations/L/datasets/D", default=str(LOCAL_PARENT),
            help="The Healthcare dataset of stores that `serve` was given by their whole resource name.",
        ),
        click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


_operation_argument = partial(click.argument, "operation", required=False)


@operations.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=_LISTED, show_default=True, help="At most so many.")
@_of_whom
def list_(limit: int, file: Path | None, data: Path | None, dataset: str, output: str) -> None:
    """List the exports, the newest first."""
    service = _service(file, data)
    found = [each for _, each in islice(service.list_operations(DatasetName.parse(dataset)), limit)]
    if output == "json":
        click.echo(json.dumps([operation_to_json(operation) for operation in found], indent=2))
        return
    for operation in found:
        click.echo(f"{operation.name.operation}  {timestamp(operation.create_time)}  {_state(operation)}")


@operations.command()
@_operation_argument()
@_of_whom
def describe(operation: str | None, file: Path | None, data: Path | None, dataset: str, output: str) -> None:
    """Show how far an export is, or how it ended."""
    service = _service(file, data)
    _show(service.get_operation(_name(operation, dataset, service)), output)


@operations.command()
@_operation_argument()
@_of_whom
def cancel(operation: str | None, file: Path | None, data: Path | None, dataset: str, output: str) -> None:
    """Ask for the end of an export; without effect on one that has ended.

    One that was interrupted ends when its command is run again.
    """
    service = _service(file, data)
    _show(service.cancel_operation(_name(operation, dataset, service)), output)


@operations.command()
@_operation_argument()
@_of_whom
def failures(operation: str | None, file: Path | None, data: Path | None, dataset: str, output: str) -> None:
    """List every object that failed, with its reason; as JSON, one object a line."""
    service = _service(file, data)
    for failure in service.failures(_name(operation, dataset, service)):
        click.echo(json.dumps(failure.to_json()) if output == "json" else failure_line(failure))


def _service(file: Path | None, data: Path | None) -> OperationsService:
    # The composition root is not loaded for `--help`.
    from dicom_export.bootstrap import local_operations  # noqa: PLC0415 - as said above

    return local_operations(existing_state(file, data))


def _name(operation: str | None, dataset: str, service: OperationsService) -> OperationName:
    parent = DatasetName.parse(dataset)
    if operation is None:
        newest = next(service.list_operations(parent), None)
        if newest is None:
            raise NotFound(f"There is no operation of {parent}")
        return newest[1].name
    return OperationName.parse(operation if "/" in operation else f"{parent}/operations/{operation}")


def _show(operation: Operation, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(operation_to_json(operation), indent=2))
        return
    request = operation.request
    facts = {
        "name": operation.name,
        "state": _state(operation),
        "store": request.store,
        "table": request.table,
        "write disposition": request.write_disposition,
        "schema": request.schema,
        "filter": request.filter_uri or "none",
        "created": timestamp(operation.create_time),
        "ended": timestamp(operation.end_time) if operation.end_time else "not yet",
    }
    for name, fact in facts.items():
        click.echo(f"{name + ':':19}{fact}")
    if operation.error:
        click.echo(f"{'error:':19}{operation.error.code.name}: {operation.error.message}")


def _state(operation: Operation) -> str:
    counters = operation.counters or Counters()
    counts = f"{counters.success:,} exported, {counters.failure:,} failed"
    if operation.is_done:
        how = operation.error.code.name if operation.error else "done"
        return f"{how}: {counts}"
    how = "cancelling" if operation.cancel_requested else "unfinished"
    return f"{how}: {counts}, {counters.pending:,} pending so far"

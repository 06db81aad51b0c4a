"""`dicom-export dead-letters`: list the messages that ran out of attempts, and export their instances."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from dicom_export.cli.help import Group
from dicom_export.cli.whose import of_whose_state
from dicom_export.errors import FailedPrecondition
from dicom_export.exporting.replay import replay_name
from dicom_export.messages import ExportStudy
from dicom_export.protocol.operations_json import timestamp

if TYPE_CHECKING:
    from dicom_export.cli.whose import WhoseState
    from dicom_export.state.dead_letters import DeadLetter


@click.group(
    "dead-letters",
    cls=Group,
    short_help="List messages that ran out of attempts, and replay them.",
    examples=("dicom-export dead-letters list",),
)
def dead_letters() -> None:
    """List messages that ran out of attempts, and export their instances, which count as failed."""


@dead_letters.command(
    "list",
    examples=(
        "dicom-export dead-letters list",
        "dicom-export dead-letters list --from scans.duckdb --format json",
    ),
)
@click.argument("operation", required=False)
@of_whose_state
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def list_(whose: WhoseState, operation: str | None, output: str) -> None:
    """List the dead letters of one operation, or of all. JSON has one object per line."""
    name = whose.name(operation) if operation else None
    for letter in whose.operations.dead_letters(whose.parent, name):
        click.echo(json.dumps(letter.to_json()) if output == "json" else _line(letter))


@dead_letters.command(
    examples=("dicom-export dead-letters replay export-0123456789abcdef",),
)
@click.argument("operation")
@of_whose_state
def replay(whose: WhoseState, operation: str) -> None:
    """Export the instances of an operation's dead letters to the same table. Each operation can be replayed once."""
    name = whose.name(operation)
    if whose.exports is None:
        raise FailedPrecondition(
            "On one machine there is no need: the same `export` command with --write-disposition write-truncate reads everything again"
        )
    whose.exports.replay(name)
    click.echo(f"Replaying as {replay_name(name)}")


def _line(letter: DeadLetter) -> str:
    message = letter.message
    what = (
        f"{len(message.objects):,} objects"
        if isinstance(message, ExportStudy)
        else f"the plan from page {message.page} on"
    )
    reason = f"{letter.reason.code.name}: {letter.reason.message}"
    return f"{message.operation.operation}  {timestamp(letter.time)}  {what}  {reason}"

"""`dicom-export doctor`: whether an installation on Google Cloud is set up as it should be, and how to mend it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from dicom_export.cli.console import printable
from dicom_export.cli.exit_codes import FAILED
from dicom_export.cli.help import Command
from dicom_export.diagnosing.findings import Status, is_healthy

if TYPE_CHECKING:
    from dicom_export.diagnosing.findings import Finding

_WAIT_SECONDS = 120
_LABELS = {Status.OK: "ok", Status.NOTICE: "notice", Status.WRONG: "WRONG", Status.UNKNOWN: "UNKNOWN"}


@click.command(
    cls=Command,
    short_help="Check an installation on Google Cloud.",
    examples=(
        "dicom-export doctor",
        "dicom-export doctor --api-url http://127.0.0.1:8080",
        "dicom-export doctor --format json",
    ),
)
@click.option(
    "--api-url", metavar="URL", help="The API's address, such as http://127.0.0.1:8080 of `gcloud run services proxy`."
)
@click.option(
    "--wait",
    "seconds",
    type=click.IntRange(min=0),
    default=_WAIT_SECONDS,
    show_default=True,
    help="Seconds to wait for the answers of the functions.",
)
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(api_url: str | None, seconds: int, output: str) -> None:
    """Check an installation on Google Cloud.

    The environment has to hold the content of `terraform output -json environment`. The command changes nothing: it
    reads the resources as you, and has each function test what its own account may do. For everything that is wrong, it
    prints how to mend it.

    The exit code is 1 if something is wrong, or could not be checked.
    """
    # The composition root is not loaded for `--help`.
    from dicom_export import bootstrap

    found: list[Finding] = []
    examination = bootstrap.examination(api_url)
    for finding in examination.findings(uuid.uuid4().hex, today=datetime.now(UTC).date(), seconds=seconds):
        found.append(finding)
        if output == "text":
            click.echo(_text(finding))
    if output == "json":
        click.echo(json.dumps([finding.to_json() for finding in found], indent=2))
    else:
        click.echo(_summary(found))
    if not is_healthy(found):
        raise SystemExit(FAILED)


def _text(finding: Finding) -> str:
    line = printable(f"{_LABELS[finding.status]:8}{finding.check}: {finding.subject}: {finding.fact}")
    return f"{line}\n{'':8}Mend: {printable(finding.mend)}" if finding.mend else line


def _summary(found: list[Finding]) -> str:
    counts = ((sum(finding.status is status for finding in found), label) for status, label in _LABELS.items())
    return ", ".join(f"{count} {label.lower()}" for count, label in counts)

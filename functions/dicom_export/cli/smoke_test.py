"""`dicom-export smoke-test`: a deployed installation, tried with synthetic instances."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from dicom_export import __version__
from dicom_export.cli.console import printable
from dicom_export.cli.exit_codes import FAILED
from dicom_export.cli.help import Command
from dicom_export.smoke_testing.results import Outcome

if TYPE_CHECKING:
    from dicom_export.smoke_testing.results import Result

_STEPS_ONLY = "Run the steps, and ask no questions."


@click.command(
    "smoke-test",
    cls=Command,
    short_help="Try an installation with synthetic instances.",
    examples=(
        "dicom-export smoke-test",
        "dicom-export smoke-test --api-url http://127.0.0.1:8080 --steps-only",
    ),
)
@click.option(
    "--api-url", metavar="URL", help="The API's address, such as http://127.0.0.1:8080 of `gcloud run services proxy`."
)
@click.option("--steps-only", is_flag=True, help=_STEPS_ONLY)
@click.option(
    "--repeats",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="How often the time until a new column is known is measured.",
)
@click.option(
    "--columns",
    type=click.IntRange(1, 9000),
    default=1000,
    show_default=True,
    help="Columns of the table of that measurement.",
)
@click.option(
    "--wait",
    "seconds",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Seconds to wait for each export and each row.",
)
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def smoke_test(api_url: str | None, steps_only: bool, repeats: int, columns: int, seconds: int, output: str) -> None:  # noqa: FBT001 - as click has it
    """Try a deployed installation with synthetic instances, and remove everything afterwards.

    The environment has to hold the content of `terraform output -json environment`, of an installation with the input
    `smoke_test_store`. The steps export, upload, delete and overwrite in a store of the test's own, and compare rows,
    counters, policies, logs and times. The questions measure what only a real project shows. The output has no names of
    your project: please send it to the project's issues.

    The exit code is 1 if a step failed. Questions that could not be answered do not count.
    """
    # The composition root is not loaded for `--help`.
    from dicom_export import bootstrap

    trial = bootstrap.smoke_test(api_url, repeats=repeats, columns=columns, wait_seconds=seconds)
    found: list[Result] = []

    def report(result: Result) -> None:
        found.append(trial.redacted(result))
        if output == "text":
            click.echo(_text(found[-1]))

    trial.run(report, asks=not steps_only)
    if output == "json":
        click.echo(json.dumps({"version": __version__, "results": [each.to_json() for each in found]}, indent=2))
    if any(each.outcome is Outcome.FAILED for each in found):
        raise SystemExit(FAILED)


def _text(result: Result) -> str:
    line = printable(f"{result.line:20} {result.outcome.value:15}  {result.text}")
    measured = (f"{'':38}{name}: {printable(json.dumps(value))}" for name, value in result.measured.items())
    return "\n".join([line, *measured])

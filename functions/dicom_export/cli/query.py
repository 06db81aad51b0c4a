"""`dicom-export query`: BigQuery's SQL over a DuckDB file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dicom_export.cli.rendering import RENDERERS


@click.command()
@click.argument("sql")
@click.option(
    "--from",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.duckdb",
    help="The file with the tables.",
)
@click.option("--format", "output", type=click.Choice(list(RENDERERS)), default="text", show_default=True)
def query(sql: str, file: Path, output: str) -> None:
    """Run one SELECT in BigQuery's SQL and print its rows. With `-` for SQL it is read from standard input."""
    # `--help` is answered without loading DuckDB and sqlglot.
    from dicom_export.adapters.local.query import run_query  # noqa: PLC0415 - as said above

    result = run_query(sys.stdin.read() if sql == "-" else sql, file)
    for line in RENDERERS[output](result.columns, result.rows):
        click.echo(line)

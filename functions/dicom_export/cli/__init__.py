"""The command line, `dicom-export`: its commands in order of use."""

import click

from dicom_export import __version__
from dicom_export.cli.exit_codes import Commands

__all__ = ["main"]

_COMMANDS = (
    "export",
    "query",
    "columns",
    "watch",
    "verify",
    "operations",
    "export-files",
    "estimate",
    "dump",
    "serve",
    "doctor",
    "smoke-test",
    "dead-letters",
)


@click.group(
    cls=Commands,
    names=_COMMANDS,
    examples=(
        "dicom-export export scans --to scans.duckdb",
        'dicom-export query "SELECT Modality, COUNT(*) AS Instances FROM dicom GROUP BY Modality" --from scans.duckdb',
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
def main() -> None:
    """Turn the metadata of DICOM files into a table that you query with SQL.

    The exit code is 0 after success, 1 if an export ended with an error or with failed instances, if `verify` found
    differences or if `doctor` or `smoke-test` found something wrong, and 2 for wrong usage, when nothing was done.
    It is 130 if Ctrl-C ended the command at once.
    """

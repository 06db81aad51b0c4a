"""The command line: `dicom-export export`, `export-files`, `watch`, `verify`, `estimate`, `dump`, `query`, `columns`, `operations`, `dead-letters`, `doctor`, `smoke-test` and `serve`."""

import click

from dicom_export import __version__
from dicom_export.cli.exit_codes import Commands

__all__ = ["main"]

_COMMANDS = (
    "columns",
    "dead-letters",
    "doctor",
    "dump",
    "estimate",
    "export",
    "export-files",
    "operations",
    "query",
    "serve",
    "smoke-test",
    "verify",
    "watch",
)


@click.group(cls=Commands, names=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Turn the metadata of DICOM files into a table that you query with SQL.

    The exit code is 0 after success, 1 if an export ended with an error or with failed instances, if `verify` found
    differences or if `doctor` or `smoke-test` found something wrong, and 2 for wrong usage. In the last case nothing was done.
    """

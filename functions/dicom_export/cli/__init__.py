"""The command line: `dicom-export export`, `watch`, `verify`, `estimate`, `dump`, `query`, `columns`, `operations`, `dead-letters` and `serve`."""

import click

from dicom_export import __version__
from dicom_export.cli.exit_codes import Commands

__all__ = ["main"]

_COMMANDS = ("columns", "dead-letters", "dump", "estimate", "export", "operations", "query", "serve", "verify", "watch")


@click.group(cls=Commands, names=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Turn the metadata of DICOM files into a table that you query with SQL.

    The exit code is 0 after success, 1 if an export ended with an error or with failed instances or if `verify` found
    differences, and 2 for wrong usage. In the last case nothing was done.
    """

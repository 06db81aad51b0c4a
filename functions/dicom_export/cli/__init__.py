"""The command line: `dicom-export export`, `watch`, `verify`, `dump`, `query`, `operations`, `dead-letters` and `serve`."""

import click

from dicom_export import __version__
from dicom_export.cli.dead_letters import dead_letters
from dicom_export.cli.dump import dump
from dicom_export.cli.exit_codes import Commands
from dicom_export.cli.export import export
from dicom_export.cli.operations import operations
from dicom_export.cli.query import query
from dicom_export.cli.serve import serve
from dicom_export.cli.verify import verify
from dicom_export.cli.watch import watch

__all__ = ["main"]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Turn the metadata of DICOM files into a table that SQL can query.

    The exit code is 0 when all went well, 1 when an export ended with an error or with failed instances, or `verify`
    found a difference, and 2 for wrong usage: nothing was done then.
    """


main.add_command(export)
main.add_command(watch)
main.add_command(verify)
main.add_command(dump)
main.add_command(query)
main.add_command(operations)
main.add_command(serve)
main.add_command(dead_letters)

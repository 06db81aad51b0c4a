"""Options that commands about a folder have in common: where rows go, and what they are like."""

from __future__ import annotations

from pathlib import Path

import click

from dicom_export.row_layout import TABLE_SCHEMAS, SchemaKind

folder_argument = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
file_option = click.option(
    "--to",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.duckdb",
    help="The DuckDB file; it is created if it is missing.",
)
table_option = click.option("--table", default="dicom", show_default=True, help="The table in it.")
schema_option = click.option(
    "--schema",
    type=click.Choice([kind.value for kind in TABLE_SCHEMAS]),
    default=SchemaKind.FLATTENED.value,
    show_default=True,
    help="A column for each element, or one JSON column.",
)
source_store_option = click.option("--include-source-store", is_flag=True, help="Add the column SourceDicomStore.")
ignore_option = click.option(
    "--ignore", multiple=True, metavar="PATTERN", help="Names below FOLDER that are no instances: '*.txt'."
)

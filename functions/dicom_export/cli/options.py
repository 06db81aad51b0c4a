"""Options that commands about a folder have in common: where rows go, and what they are like."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_export.row_layout import TABLE_SCHEMAS, SchemaKind

if TYPE_CHECKING:
    import os


class FilterPath(click.Path):
    """A file that exists, or a pattern with one `*` in the name that some file matches."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        path = Path(value)
        before, star, after = path.name.partition("*")
        if not star or path.exists():
            return super().convert(value, param, ctx)
        if "*" in after:
            self.fail(f"Pattern {str(path)!r} has more than one *.", param, ctx)
        if next(path.parent.glob(f"{escape(before)}*{escape(after)}"), None) is None:
            self.fail(f"No file matches {str(path)!r}.", param, ctx)
        return path


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
    "--ignore", multiple=True, metavar="PATTERN", help="Names below FOLDER that are not instances: '*.txt'."
)

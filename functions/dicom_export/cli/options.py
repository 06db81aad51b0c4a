"""Options that commands about a folder have in common: where rows go, and what they are like."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from shlex import quote
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


# Types of file that users may expect an export to write, and the nearest type that `query` writes.
_RESULT_SUFFIXES = {
    **dict.fromkeys((".parquet", ".pq", ".arrow", ".feather", ".ipc", ".avro", ".orc"), ".parquet"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), ".json"),
    **dict.fromkeys((".csv", ".tsv", ".xlsx", ".xls", ".ods", ".txt", ".gz", ".zip"), ".csv"),
}


def _check_is_database(_context: click.Context, _parameter: click.Parameter, file: Path) -> Path:
    """Refuse the name of another type of file, and say how to make one."""
    suffix = _RESULT_SUFFIXES.get(file.suffix.lower())
    if suffix is None:
        return file
    database, result = (quote(str(file.with_suffix(each))) for each in (".duckdb", suffix))
    command = f'dicom-export query "SELECT * FROM dicom" --from {database} --output {result}'  # noqa: S608 - for the user
    raise click.BadParameter(f"{str(file)!r} is not a DuckDB file. Export into {database}, then run: {command}")


folder_argument = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
file_option = click.option(
    "--to",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_check_is_database,
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

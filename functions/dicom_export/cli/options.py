"""Define options that several commands about a folder share: the table of the rows, and their form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dicom_export.errors import DicomExportError, InvalidArgument
from dicom_export.folder_export.arguments import SCHEMAS, check_is_database, is_pattern
from dicom_export.folder_export.places import is_bucket
from dicom_export.names import GcsUri, StoreName, TableName
from dicom_export.rows.layout import SchemaKind

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

T = TypeVar("T")


class Folder(click.Path):
    """The path of a folder that exists. Refuses the address of a bucket with a sentence of its own."""

    def __init__(self, *, or_bucket: bool = False) -> None:
        super().__init__(exists=True, file_okay=False, path_type=Path)
        self._or_bucket = or_bucket

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if not (isinstance(value, str) and is_bucket(value)):
            return super().convert(value, param, ctx)
        if not self._or_bucket:
            command = ctx.info_name if ctx else "this command"
            self.fail(
                f"{value!r} is a bucket, and `{command}` needs a folder. `export` and `verify` read buckets", param, ctx
            )
        return value


class FilterPath(click.Path):
    """The path of a file that exists, or a pattern with one `*` in its name that matches at least one file."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        path = Path(value)
        try:
            return path if is_pattern(path) else super().convert(value, param, ctx)
        except DicomExportError as error:
            self.fail(error.message, param, ctx)


class FilterSource(FilterPath):
    """Such a path, or the address of an object in Cloud Storage."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click.Path declares it without GcsUri
        if not str(value).startswith("gs://"):
            return super().convert(value, param, ctx)
        return _parsed(lambda: GcsUri.parse(str(value)), self, param, ctx)


class Source(click.Path):
    """The path of a folder that exists, the address of a bucket, or the name of a DICOM store."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click.Path declares it without StoreName
        text = str(value)
        if is_bucket(text):
            return text
        if not text.startswith("projects/") or Path(text).exists():
            return super().convert(value, param, ctx)
        return _parsed(lambda: StoreName.parse(text), self, param, ctx)


class Destination(click.Path):
    """The path of a DuckDB file, or a table of BigQuery."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click.Path declares it without TableName
        text = str(value)
        if text.startswith("bq://"):
            return _parsed(lambda: TableName.parse(text), self, param, ctx)
        _parsed(lambda: check_is_database(Path(text)), self, param, ctx)
        return super().convert(value, param, ctx)


def _parsed(
    parse: Callable[[], T], kind: click.ParamType[Any], param: click.Parameter | None, ctx: click.Context | None
) -> T:
    try:
        return parse()
    except InvalidArgument as error:
        kind.fail(error.message, param, ctx)


def _check_is_database(_context: click.Context, _parameter: click.Parameter, file: Path) -> Path:
    """Refuse the name of another type of file, such as .csv, and say how to write such a file."""
    try:
        check_is_database(file)
    except InvalidArgument as error:
        raise click.BadParameter(error.message) from error
    return file


folder_argument = click.argument("folder", type=Folder())
place_argument = click.argument("folder", metavar="FOLDER|BUCKET", type=Folder(or_bucket=True))
anonymous_option = click.option(
    "--anonymous",
    is_flag=True,
    help="Use no credentials, for a public bucket. By default, they are those of the environment.",
)
user_project_option = click.option(
    "--user-project",
    metavar="PROJECT",
    help="The project that pays for the requests to a bucket of Cloud Storage whose requester pays.",
)
allow_cold_reads_option = click.option(
    "--allow-cold-reads",
    is_flag=True,
    help="Read objects of a bucket or store in the classes Nearline, Coldline and Archive of Cloud Storage, which costs more.",
)
endpoint_url_option = click.option(
    "--endpoint-url", metavar="URL", help="The address of a server of S3 other than Amazon's.  [env: AWS_ENDPOINT_URL]"
)
file_option = click.option(
    "--to",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_check_is_database,
    metavar="FILE.duckdb",
    help="The DuckDB file to write. Created if it does not exist.",
)
table_option = click.option("--table", default="dicom", show_default=True, help="The table in the file.")
schema_option = click.option(
    "--schema",
    type=click.Choice(SCHEMAS),
    default=SchemaKind.FLATTENED.value,
    show_default=True,
    help="One column per element, or all elements in one JSON column.",
)
source_store_option = click.option(
    "--include-source-store", is_flag=True, help="Add the column SourceDicomStore, which names the folder of each row."
)
views_option = click.option(
    "--views/--no-views",
    default=True,
    show_default=True,
    help="Define views next to the table: its current instances, studies, series and private elements.",
)
archives_option = click.option(
    "--archives", is_flag=True, help="Read the members of ZIP and tar archives (.zip, .tar, .tar.gz, .tgz), too."
)
source_object_option = click.option(
    "--no-source-object",
    "include_source_object",
    flag_value=False,
    default=True,
    help="Leave out the columns SourceObject and SourceGeneration, which name the file of each row.",
)
ignore_option = click.option(
    "--ignore",
    multiple=True,
    metavar="PATTERN",
    help="Ignore names below the folder that match, such as '*.txt'. May be repeated.",
)
source_argument = click.argument(
    "source", metavar="FOLDER|BUCKET|STORE", type=Source(exists=True, file_okay=False, path_type=Path)
)
destination_option = click.option(
    "--to",
    "destination",
    required=True,
    type=Destination(dir_okay=False, path_type=Path),
    metavar="FILE.duckdb|TABLE",
    help="The DuckDB file to write, which is created if it does not exist. For a store the table, bq://PROJECT.DATASET.TABLE.",
)
_FILTER_HELP = (
    "Export only what the lines of this file name: /studies/UID[/series/UID[/instances/UID]]. A quoted pattern such as"
    " 'filter-*.csv' names several files."
)
filter_source_option = click.option(
    "--filter",
    "filter_source",
    type=FilterSource(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help=f"{_FILTER_HELP} For a store, gs://BUCKET/FILE.",
)
filter_option = click.option(
    "--filter",
    "filter_file",
    type=FilterPath(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help=_FILTER_HELP,
)
operation_format_option = click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Print a summary as text, or the Operation resource as JSON.",
)

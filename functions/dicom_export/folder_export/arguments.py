"""Check the arguments of an export, in the same way for the command line and for Python."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from glob import escape
from shlex import quote
from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument, NotFound
from dicom_export.protocol.instants import parse_instant
from dicom_export.rows.layout import TABLE_SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

SCHEMAS = tuple(kind.value for kind in TABLE_SCHEMAS)
"""The names of the schemas of a table."""

DISPOSITIONS = ("write-empty", "write-truncate", "write-append")
"""The names of the write dispositions."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# Types of file that users may expect an export to write, and the nearest type that `query` writes.
_RESULT_SUFFIXES = {
    **dict.fromkeys((".parquet", ".pq", ".arrow", ".feather", ".ipc", ".avro", ".orc"), ".parquet"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), ".json"),
    **dict.fromkeys((".csv", ".tsv", ".xlsx", ".xls", ".ods", ".txt", ".gz", ".zip"), ".csv"),
}


def parse_since(text: str) -> datetime:
    """Return the time after which files count. A date stands for the beginning of the day in UTC: it counts, too.

    Raises InvalidArgument.
    """
    if _DATE.fullmatch(text):
        with suppress(ValueError, OverflowError):
            return datetime.fromisoformat(text).replace(tzinfo=UTC) - timedelta(microseconds=1)
    try:
        return parse_instant(text)
    except InvalidArgument as error:
        raise InvalidArgument(f"{error.message}, or a date, as in 2026-01-02") from error


def check_is_database(file: Path) -> None:
    """Raise InvalidArgument for the name of another type of file. The error says how to write such a file."""
    suffix = _RESULT_SUFFIXES.get(file.suffix.lower())
    if suffix:
        database, result = (quote(str(file.with_suffix(each))) for each in (".duckdb", suffix))
        command = f'dicom-export query "SELECT * FROM dicom" --from {database} --output {result}'  # noqa: S608 - for the user
        raise InvalidArgument(f"{str(file)!r} is not a DuckDB file. Export into {database}, then run: {command}")


def is_pattern(filter_file: Path) -> bool:
    """Return whether the path is a pattern with one `*` in its name. Raises InvalidArgument for more, NotFound if no file matches."""
    before, star, after = filter_file.name.partition("*")
    if not star or filter_file.exists():
        return False
    if "*" in after:
        raise InvalidArgument(f"Pattern {str(filter_file)!r} has more than one *.")
    if next(filter_file.parent.glob(f"{escape(before)}*{escape(after)}"), None) is None:
        raise NotFound(f"No file matches {str(filter_file)!r}.")
    return True


def check_folder(folder: Path) -> None:
    """Raise NotFound or InvalidArgument if the path is not a folder."""
    if not folder.exists():
        raise NotFound(f"Folder {str(folder)!r} does not exist")
    if not folder.is_dir():
        raise InvalidArgument(f"{str(folder)!r} is a file: expected the folder with the DICOM files")


def check_filter(filter_file: Path) -> None:
    """Raise NotFound or InvalidArgument if the path is neither a file nor a pattern that matches a file."""
    if is_pattern(filter_file):
        return
    if not filter_file.exists():
        raise NotFound(f"Filter file {str(filter_file)!r} does not exist")
    if filter_file.is_dir():
        raise InvalidArgument(f"{str(filter_file)!r} is a folder: expected a filter file")

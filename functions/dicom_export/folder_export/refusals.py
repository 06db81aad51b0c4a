"""Say why an export of a folder was refused in the words of its caller, who knows a file and options, not a table of BigQuery."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dicom_export.errors import FailedPrecondition, TableHasRows, TableTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def in_callers_words(file: Path, disposition: Callable[[str], str]) -> Iterator[None]:
    """Raise the refusal of a table with its name and the file. `disposition` returns how the caller asks for a write disposition."""
    append, truncate = disposition("write-append"), disposition("write-truncate")
    try:
        yield
    except TableHasRows as error:
        rows = "1 row" if error.rows == 1 else f"{error.rows:,} rows"
        raise FailedPrecondition(
            f"Table {error.table} of {file} has {rows}. To add rows, use {append}. To replace them, use {truncate}."
        ) from error
    except TableTaken as error:
        raise FailedPrecondition(
            f"Export {error.operation}, which is unfinished, needs table {error.table} of {file} for itself. Wait for its end,"
            f" cancel it, or use {append}."
        ) from error

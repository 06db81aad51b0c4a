"""Read a query's result from DuckDB in Arrow's format."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_KINDS = {
    "Conversion": duckdb.ConversionException,
    "Out of Range": duckdb.OutOfRangeException,
    "Invalid Input": duckdb.InvalidInputException,
    "Out of Memory": duckdb.OutOfMemoryException,
    "IO": duckdb.IOException,
}


def batches_of(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yield the batches. An error of DuckDB, which Arrow passes on as an OSError, is raised as DuckDB's."""
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except OSError as error:
            text = str(error)
            raise _KINDS.get(text.partition(" Error:")[0], duckdb.Error)(text) from error
        yield batch


def python_values(column: pa.Array[Any]) -> list[Any]:
    """Return the column's values. Raises InvalidArgument for a date that is out of the range of Python and BigQuery."""
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError) as error:
        raise InvalidArgument(
            "The result has a date before year 1 or after year 9999, which BigQuery does not allow"
        ) from error
    return [value and _shortest(value) for value in values] if str(column.type).startswith("decimal") else values


def _shortest(number: Decimal) -> Decimal:
    """Return a NUMERIC without zeros at the end of its fraction, as BigQuery shows it."""
    plain = f"{number:f}"
    return Decimal(plain.rstrip("0").rstrip(".")) if "." in plain else number

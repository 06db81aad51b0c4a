"""Write the result of a query to a file. Its suffix is the format."""

from __future__ import annotations

from dataclasses import replace
from typing import IO, TYPE_CHECKING

import pyarrow as pa
from pyarrow import parquet

from dicom_export.errors import InvalidArgument
from dicom_export.rows.result_text import as_csv, as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_export.adapters.local.duckdb.query import Result

_ROW_GROUP_BYTES = 64_000_000
_ROW_GROUP_ROWS = 122_880


def write_result(result: Result, output: str, file: IO[bytes], *, has_header: bool) -> int:
    """Write all rows as `parquet`, `csv` or `json`, and return their number."""
    count = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal count
        for batch in result.batches:
            count += batch.num_rows
            yield batch

    if output == "parquet":
        _write_parquet(result.schema, counted(), file)
    else:
        rows = replace(result, batches=counted()).rows
        lines = (
            as_json(result.columns, rows) if output == "json" else as_csv(result.columns, rows, has_header=has_header)
        )
        for line in lines:
            file.write(f"{line}\n".encode())
    return count


def _write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    try:
        writer = parquet.ParquetWriter(file, schema)
    except pa.ArrowNotImplementedError as error:
        raise InvalidArgument(f"Parquet has no type for a column of the result: {error}; cast it to text") from error
    with writer:
        for group in _row_groups(batches):
            writer.write_table(pa.Table.from_batches(group, schema))


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Yield batches in groups. Row groups of one small batch compress badly, and a row group of all batches needs all in memory."""
    group: list[pa.RecordBatch] = []
    size = rows = 0
    for batch in batches:
        group.append(batch)
        size += batch.nbytes
        rows += batch.num_rows
        if size >= _ROW_GROUP_BYTES or rows >= _ROW_GROUP_ROWS:
            yield group
            group, size, rows = [], 0, 0
    if group:
        yield group

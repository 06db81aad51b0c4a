"""Rows as Arrow batches."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pyarrow as pa
import pytest

from dicom_export.rows.arrow import Batch, TooLarge, arrow_schema, batches, record_batch
from dicom_export.rows.schema import Field, FieldType, Mode

SCHEMA = (
    Field("text", FieldType.STRING),
    Field("texts", FieldType.STRING, Mode.REPEATED),
    Field(
        "items",
        FieldType.RECORD,
        Mode.REPEATED,
        (Field("n", FieldType.INTEGER), Field("f", FieldType.FLOAT, Mode.REPEATED)),
    ),
    Field("record", FieldType.RECORD, fields=(Field("date", FieldType.DATE),)),
)
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "arrow", "value"),
    [
        (FieldType.STRING, pa.utf8(), "é"),
        (FieldType.INTEGER, pa.int64(), 2**63 - 1),
        (FieldType.FLOAT, pa.float64(), 0.1),
        (FieldType.DATE, pa.date32(), date(2026, 1, 2)),
        (FieldType.TIME, pa.time64("us"), time(3, 4, 5, 678901)),
        (FieldType.TIMESTAMP, pa.timestamp("us", "UTC"), MOMENT),
        (FieldType.JSON, pa.utf8(), "{}"),
    ],
)
def test_value_of_each_type_is_kept(kind: FieldType, arrow: pa.DataType, value: Any) -> None:
    schema = (Field("x", kind), Field("y", kind, Mode.REPEATED))
    assert arrow_schema(schema).types == [arrow, pa.list_(arrow)]
    assert record_batch([{"x": value, "y": [value]}, {}], schema).to_pylist() == [
        {"x": value, "y": [value]},
        {"x": None, "y": []},
    ]


def test_missing_lists_are_empty_and_missing_records_null() -> None:
    rows: list[dict[str, Any]] = [
        {},
        {"text": None, "texts": None, "items": [{}, {"n": 1, "f": [0.5]}], "record": {}},
        {"texts": ["a", "b"], "record": {"date": date(2026, 1, 2)}, "unknown": 1},
    ]
    assert record_batch(rows, SCHEMA).to_pylist() == [
        {"text": None, "texts": [], "items": [], "record": None},
        {"text": None, "texts": [], "items": [{"n": None, "f": []}, {"n": 1, "f": [0.5]}], "record": {"date": None}},
        {"text": None, "texts": ["a", "b"], "items": [], "record": {"date": date(2026, 1, 2)}},
    ]


def test_records_that_rows_share_are_in_each_of_them() -> None:
    items, record = [{"n": 1, "f": [0.5]}, {}], {"date": date(2026, 1, 2)}
    rows: list[dict[str, Any]] = [{"items": items, "record": record}, {}, {"items": items}, {"items": [{"n": 2}]}]
    rows.append(rows[0])
    batch = record_batch(rows, SCHEMA)
    batch.validate(full=True)
    apart = [row for given in rows for row in record_batch([given], SCHEMA).to_pylist()]
    assert batch.to_pylist() == apart


def test_batch_has_the_schema_that_is_announced() -> None:
    batch = record_batch([{}], SCHEMA)
    batch.validate(full=True)
    assert batch.schema == arrow_schema(SCHEMA)


def test_rows_are_halved_until_they_fit_and_one_that_cannot_is_told() -> None:
    rows = [{"text": "x" * size} for size in (100, 100, 100_000, 100, 9_000, 9_000)]
    found: list[Any] = []
    for part in batches(rows, SCHEMA, max_bytes=16_000):
        if isinstance(part, TooLarge):
            assert part.bytes > 100_000
            found.append(part.index)
        else:
            assert isinstance(part, Batch)
            assert (
                part.records.to_pylist()
                == record_batch(rows[part.start : part.start + part.records.num_rows], SCHEMA).to_pylist()
            )
            found += [len(row["text"]) for row in part.records.to_pylist()]
    assert found == [100, 100, 2, 100, 9_000, 9_000]


def test_no_rows_make_no_batch() -> None:
    assert list(batches([], SCHEMA)) == []

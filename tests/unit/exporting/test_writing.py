"""Rows that a table refuses cost their own instances, and no others."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import pytest

from dicom_export.decoding import batches
from dicom_export.decoding.batches import in_batches
from dicom_export.decoding.decoded import DecodedInstance
from dicom_export.errors import Code, ColumnsNotKnown, InvalidArgument, LimitExceeded, RowsRefused
from dicom_export.exporting.writing import Rejected, StreamWriter
from dicom_export.ports import TableInfo
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import Field, FieldType
from dicom_export.uids import InstanceUids
from support.factories import make_object, make_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa

    from dicom_export.ports import Warehouse

COLUMN = "PatientID"


class Picky:
    """Tables with one stream, that refuse the rows of some values, at most `named` of them in one answer."""

    def __init__(self, refused: set[str], named: int = 500) -> None:
        self._refused = refused
        self._named = named
        self.rows: list[str] = []
        self.appends = 0
        self.opened: list[str] = []
        self.is_discarded = False

    def describe(self, _: object) -> TableInfo:
        return TableInfo((Field(COLUMN, FieldType.STRING),), 0)

    def prepare(self, *_: object) -> None:
        """Have every column."""

    def await_columns(self, _: object) -> None:
        """Know every column."""

    def open_stream(self, _: object) -> str:
        self.opened.append("stream")
        return "stream"

    def append(self, _: str, offset: int, batch: pa.RecordBatch) -> None:
        self.appends += 1
        assert offset == len(self.rows)
        values = batch.column(batch.schema.get_field_index(COLUMN)).to_pylist()
        wrong = [index for index, value in enumerate(values) if value in self._refused]
        if wrong:
            raise RowsRefused("rows are wrong", tuple(wrong[: self._named]))
        self.rows += map(str, values)

    def finalize(self, _: str) -> int:
        return len(self.rows)

    def discard(self, _: str) -> None:
        self.is_discarded = True


def write(tables: object, values: Iterable[str]) -> tuple[str | None, list[Rejected]]:
    """Write a row for each value; its object has the first letter for a name."""
    writer = StreamWriter(make_operation(), cast("Warehouse", tables))
    waiting = iter([make_object(value[0]) for value in values])
    instances = [DecodedInstance({COLUMN: value}, InstanceUids("1", "2", value[0])) for value in values]
    with writer:
        for batch in in_batches(instances, SchemaKind.FLATTENED):
            writer.write([*islice(waiting, len(batch.found))], batch)
        return writer.finish()


@pytest.mark.parametrize("named", [1, 500])
@pytest.mark.parametrize("refused", ["", "a", "f", "c", "ab", "ef", "af", "bde", "abcde"])
def test_the_rows_that_a_table_refuses_are_rejected_and_all_others_written(refused: str, named: int) -> None:
    tables = Picky({*refused}, named)
    stream, rejected = write(tables, "abcdef")
    assert stream == "stream"
    assert tables.rows == [value for value in "abcdef" if value not in refused]
    assert {(stored.name, uids.instance) for stored, uids, _ in rejected} == {(each, each) for each in refused}
    assert len(rejected) == len(refused)
    assert all(isinstance(error, RowsRefused) and error.code is Code.INVALID_ARGUMENT for _, _, error in rejected)


@pytest.mark.parametrize("named", [1, 500])
def test_without_a_row_that_the_table_takes_there_is_no_stream(named: int) -> None:
    tables = Picky({*"abc"}, named)
    stream, rejected = write(tables, "abc")
    assert stream is None
    assert tables.is_discarded
    assert sorted(stored.name for stored, _, _ in rejected) == ["a", "b", "c"]


def test_refused_rows_take_no_offset_from_later_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 2)
    tables = Picky({*"ade"})
    stream, rejected = write(tables, "abcdefg")
    assert stream
    assert tables.rows == [*"bcfg"]
    assert [stored.name for stored, _, _ in rejected] == [*"ade"]


def test_a_row_that_is_refused_after_one_that_is_too_large_is_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BATCH_BYTES", 700)
    tables = Picky({"c"})
    _, rejected = write(tables, ("a", "x" * 1000, "c", "d"))
    assert tables.rows == ["a", "d"]
    assert {(stored.name, type(error)) for stored, _, error in rejected} == {("x", LimitExceeded), ("c", RowsRefused)}


def test_an_append_of_as_many_rows_as_there_are_ends() -> None:
    values = "".join(chr(0x4E00 + number) for number in range(500))
    tables = Picky({*values}, named=1)
    assert write(tables, values)[0] is None
    assert tables.appends == 500


def raising(error: Exception) -> Callable[..., None]:
    def append(*_: Any) -> None:
        raise error

    return append


@pytest.mark.parametrize("error", [RowsRefused("no row", ()), RowsRefused("another", (7,)), InvalidArgument("batch")])
def test_a_refusal_that_names_no_row_of_the_batch_is_raised(error: Exception) -> None:
    tables = Picky(set())
    tables.append = raising(error)  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        write(tables, "ab")
    assert tables.is_discarded


class Late(Picky):
    """Tables whose streams do not know a column at the given appends, counted from 1."""

    def __init__(self, *late: int) -> None:
        super().__init__(set())
        self._late = late

    def append(self, stream: str, offset: int, batch: pa.RecordBatch) -> None:
        if self.appends + 1 in self._late:
            self.appends += 1
            raise ColumnsNotKnown("not yet")
        super().append(stream, offset, batch)


def test_rows_whose_column_the_first_stream_does_not_know_go_to_a_new_one() -> None:
    tables = Late(1, 2)
    stream, rejected = write(tables, "abc")
    assert stream
    assert (tables.rows, rejected, len(tables.opened)) == ([*"abc"], [], 3)


def test_a_stream_that_has_rows_is_kept_when_it_does_not_know_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 2)
    tables = Late(2, 3)
    write(tables, "abcd")
    assert (tables.rows, len(tables.opened)) == ([*"abcd"], 1)


@pytest.mark.parametrize("late", [(1, 2, 3), (2, 3, 4)])
def test_a_column_that_stays_unknown_is_transient(late: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 2)
    tables = Late(*late)
    with pytest.raises(ColumnsNotKnown):
        write(tables, "abcd")
    assert tables.appends == late[-1]
    assert tables.is_discarded

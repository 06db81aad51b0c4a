"""New columns take minutes to reach write streams: no header is read before they are there, or read again because of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from dicom_export.bootstrap.wiring import handlers_on
from dicom_export.errors import ColumnsNotKnown, FailedPrecondition
from dicom_export.messages import ExportStudy, PlanExport, decode
from dicom_export.operations.request import WriteDisposition
from dicom_export.stores import DeclaredStore
from support.buckets import Bucket
from support.dicom_files import make_instance
from support.factories import STORE, TABLE
from support.worlds import LIMITS, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_export.names import TableName

INSTANCES = [f"1.4.{number}" for number in range(1, 4)]


class Lagging:
    """Tables whose streams do not know the columns at the first `lag` looks."""

    def __init__(self, tables: Any, lag: int) -> None:
        self._tables = tables
        self.lag = lag
        self.looks: list[TableName] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)

    def await_columns(self, table: TableName) -> None:
        self.looks.append(table)
        if len(self.looks) <= self.lag:
            raise ColumnsNotKnown("not yet")


class Installation:
    """A world with some instances whose tables lag, and whose store counts the reads of headers."""

    def __init__(self, root: Path, lag: int) -> None:
        self.bucket = Bucket()
        self.world = World(root, self.bucket)
        self.reads = 0
        for uid in INSTANCES:
            instance = make_instance(StudyInstanceUID="1.2.1", SeriesInstanceUID="1.3.1", SOPInstanceUID=uid)
            self.bucket.write(f"1.2.1/1.3.1/{uid}.dcm", instance)
        self.tables = Lagging(self.world.ports.tables, lag)
        ports = replace(
            self.world.ports,
            stores={STORE: DeclaredStore(cast("Any", self))},
            tables=cast("Any", self.tables),
        )
        self.world.handlers = handlers_on(ports, LIMITS)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.bucket, name)
        if not name.startswith("read"):
            return found

        def read(*args: Any, **kwargs: Any) -> Any:
            self.reads += 1
            return found(*args, **kwargs)

        return read

    def waiting(self) -> list[type]:
        return [type(decode(*each)) for each in self.world.mailbox.waiting]


@pytest.fixture
def open_one(tmp_path: Path) -> Iterator[Any]:
    opened: list[Installation] = []

    def open_with(lag: int) -> Installation:
        opened.append(Installation(tmp_path, lag))
        return opened[-1]

    yield open_with
    for each in opened:
        each.world.close()


def test_a_page_is_announced_when_streams_know_its_columns_and_its_sample_is_read_once(open_one: Any) -> None:
    late: Installation = open_one(lag=3)
    late.world.export(WriteDisposition.WRITE_APPEND)
    late.world.deliver()
    sampled = late.reads
    assert sampled
    assert late.waiting() == [PlanExport]
    for _ in range(3):
        late.world.deliver()
    assert late.reads == sampled
    assert ExportStudy in late.waiting()
    assert set(late.tables.looks) == {TABLE}


def test_a_worker_reads_no_header_before_streams_know_the_columns(open_one: Any) -> None:
    late: Installation = open_one(lag=0)
    operation = late.world.export(WriteDisposition.WRITE_APPEND)
    late.world.deliver()
    late.tables.lag, sampled = len(late.tables.looks) + 4, late.reads
    for _ in range(4):
        late.world.deliver(late.waiting().index(ExportStudy))
    assert late.reads == sampled
    late.world.drain()
    assert late.world.instances() == INSTANCES
    assert late.world.ended(operation).error is None


def test_an_overwrite_that_its_table_cannot_take_is_refused_before_a_header_is_read(
    open_one: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: Installation = open_one(lag=0)

    def refuse(*_: Any) -> None:
        raise FailedPrecondition("Column PatientID is INTEGER")

    monkeypatch.setattr(refused.world.tables, "prepare_staging", refuse)
    operation = refused.world.export(WriteDisposition.WRITE_TRUNCATE)
    with suppress(IndexError):
        refused.world.drain()
    ended = refused.world.ended(operation)
    assert ended.error
    assert "Column PatientID is INTEGER" in ended.error.message
    assert refused.reads == 0

"""An export to a table that does not keep the rows of all objects ends before it reads anything, and says which these are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

import pytest

from dicom_export.errors import Code
from dicom_export.exporting import survey
from dicom_export.operations.request import ExportRequest, RepairRequest, Request, WriteDisposition
from dicom_export.ports import TableInfo
from dicom_export.rows.partitioning import Partitioning, PartitionType
from dicom_export.stores import DeclaredStore
from support.factories import STORE, TABLE, make_object, make_operation, make_request
from support.faults import Faults
from support.handlers_alone import LIMITS, Installation, NoTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.stored_object import StoredObject

DAY_MS = 86_400_000
EXPIRING = Partitioning(PartitionType.DAY, 30 * DAY_MS)
LASTING = Partitioning(PartitionType.YEAR)
KINDS = [WriteDisposition.WRITE_APPEND, WriteDisposition.WRITE_EMPTY, WriteDisposition.CREATE_NEW]


class Shelf:
    """A store of objects of these ages in days, whose listings are counted."""

    def __init__(self, *ages: float, **fields: Any) -> None:
        now = datetime.now(UTC)
        self.objects = [
            make_object(f"1.2.{number}/1.3/1.2.{number}.1")._replace(updated=now - timedelta(days=age), **fields)
            for number, age in enumerate(ages, 100)
        ]
        self.listed = Counter[str]()

    def uri(self, name: str) -> str:
        return f"gs://shelf/{name}"

    def copy_source(self, name: str) -> str:
        return self.uri(name)

    def list(self, *, prefix: str = "", start_after: str = "", unlisted: object = None) -> Iterator[StoredObject]:
        del unlisted
        for stored in self.objects:
            if stored.name.startswith(prefix) and stored.name > start_after:
                self.listed[stored.name] += 1
                yield stored


class Partitioned(NoTable):
    """A table that exists, with these partitions."""

    def __init__(self, partitioning: Partitioning | None) -> None:
        self.partitioning = partitioning

    def describe(self, table: object) -> TableInfo:  # type: ignore[override]
        del table
        return TableInfo((), 0, self.partitioning)


def exported(
    shelf: Shelf, request: Request, *, allows: bool = True, drains: bool = True, **options: Any
) -> Installation:
    store = DeclaredStore(cast("Any", shelf), allow_cold_reads=allows, has_autoclass=lambda: False)
    operation = replace(make_operation(), requested=request)
    installation = Installation(store=store, limits=replace(LIMITS, sample=10), operation=operation, **options)
    if drains:
        installation.drain()
    return installation


def asking(partitioning: Partitioning | None, **fields: Any) -> ExportRequest:
    return replace(make_request(WriteDisposition.WRITE_APPEND), partitioning=partitioning, **fields)


def refused(installation: Installation) -> str:
    ended = installation.ended()
    assert ended.error
    assert ended.error.code is Code.FAILED_PRECONDITION
    assert installation.sample == []
    assert installation.published["exported"] == 0
    return ended.error.message


@pytest.mark.parametrize("disposition", KINDS)
def test_objects_older_than_the_expiration_are_counted_before_a_header_is_read(disposition: WriteDisposition) -> None:
    request = replace(asking(EXPIRING), write_disposition=disposition)
    message = refused(exported(Shelf(1, 31, 29, 400, 40), request))
    assert "3 older than the expiration of 30 days" in message
    assert '"_since"' in message
    assert "without expirationMs" in message


def test_objects_that_bigquery_refuses_are_counted_without_an_expiration() -> None:
    message = refused(exported(Shelf(1, 3_700, 4_000, -400), asking(LASTING)))
    assert "2 older than ten years" in message
    assert "1 from more than a year in the future" in message
    assert "without partitions" in message
    assert '"_since"' not in message


@pytest.mark.parametrize("ages", [(0, 29.9), (-300,)])
def test_objects_that_the_table_keeps_are_exported(ages: tuple[float, ...]) -> None:
    installation = exported(Shelf(*ages), asking(EXPIRING))
    assert installation.ended().error is None
    assert installation.published["exported"] == len(ages)


def test_an_expiration_beyond_all_time_expires_nothing() -> None:
    assert exported(Shelf(1, 3_000), asking(replace(EXPIRING, expiration_ms=2**63 - 1))).ended().error is None


def test_since_leaves_out_what_the_table_does_not_keep() -> None:
    since = datetime.now(UTC) - timedelta(days=10)
    installation = exported(Shelf(1, 31, 4_000), asking(EXPIRING, since=since))
    assert installation.ended().error is None
    assert installation.published["exported"] == 1


@pytest.mark.parametrize("request_", [asking(None), RepairRequest(STORE, TABLE, TABLE)], ids=["export", "repair"])
def test_the_partitions_of_a_table_that_exists_count(request_: Request) -> None:
    if isinstance(request_, ExportRequest):
        message = refused(exported(Shelf(1, 31), request_, table=Partitioned(EXPIRING)))
        assert "1 older than the expiration of 30 days" in message
    looked = survey.looked_for(
        DeclaredStore(cast("Any", Shelf())),
        replace(make_operation(), requested=request_),
        cast("Any", Partitioned(EXPIRING)),
    )
    assert looked.partitioning == EXPIRING


def test_a_table_that_exists_without_partitions_keeps_everything() -> None:
    installation = exported(Shelf(1, 31, 4_000), asking(EXPIRING), table=Partitioned(None))
    assert installation.ended().error is None
    assert installation.published["exported"] == 3


def test_one_listing_finds_cold_objects_and_those_that_are_not_kept() -> None:
    both, none = Shelf(1, 2, 3), Shelf(1, 2, 3)
    assert exported(both, asking(EXPIRING), allows=False).ended().error is None
    assert exported(none, asking(None)).ended().error is None
    assert both.listed - none.listed == Counter(each.name for each in both.objects)


def test_cold_objects_that_may_be_read_are_not_refused_with_the_partitions() -> None:
    assert exported(Shelf(1, 2, storage_class="ARCHIVE"), asking(EXPIRING)).ended().error is None
    installation = exported(Shelf(1, 2, storage_class="ARCHIVE"), asking(EXPIRING), allows=False)
    assert "2 in ARCHIVE" in refused(installation)


def test_a_long_listing_goes_on_with_the_next_message_and_after_a_crash() -> None:
    with patch.object(survey, "SURVEY_OBJECTS", 3):
        ages = [40, *[1] * 9, 50]
        quiet = exported(Shelf(*ages), asking(EXPIRING))
        message = refused(quiet)
        assert "2 older than the expiration" in message
        assert len([path for path in quiet.state.objects if "/survey/" in path]) == 4
        for point in range(0, len(quiet.faults.log), 3):
            installation = exported(Shelf(*ages), asking(EXPIRING), faults=Faults(frozenset({point})))
            assert refused(installation) == message


def test_an_object_that_becomes_too_old_while_the_export_runs_ends_it() -> None:
    shelf = Shelf(*[1] * 6)
    installation = exported(shelf, asking(EXPIRING), drains=False)
    installation.deliver()
    shelf.objects[-1] = shelf.objects[-1]._replace(updated=datetime.now(UTC) - timedelta(days=31))
    installation.drain()
    ended = installation.ended()
    assert ended.error
    assert "1 older than the expiration" in ended.error.message
    assert ended.counters
    assert ended.counters.success == installation.published["exported"] < 6

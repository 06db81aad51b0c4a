"""An export that would read cold objects ends before it reads anything, with the sum, unless that is allowed."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

import pytest

from dicom_export.errors import Code
from dicom_export.exporting import survey
from dicom_export.messages import PlanExport
from dicom_export.operations import cold_reads
from dicom_export.operations.cold_reads import ColdObjects
from dicom_export.stores import DeclaredStore
from support.factories import make_object, make_operation, make_request
from support.faults import Faults
from support.handlers_alone import LIMITS, Installation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.operations.failure import Status
    from dicom_export.stored_object import StoredObject

MIB = 2**20


class Shelf:
    """A store of objects whose listings are counted; none may be read."""

    def __init__(self, *classes: str, size: int = MIB) -> None:
        self.objects = [
            make_object(f"1.2.{number}/1.3/1.2.{number}.1", size=size)._replace(storage_class=name)
            for number, name in enumerate(classes, 100)
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


def declared(shelf: Shelf, *, has_autoclass: bool | None = False, **options: Any) -> DeclaredStore:
    return DeclaredStore(
        cast("Any", shelf), has_autoclass=lambda: has_autoclass, **{"allow_cold_reads": False, **options}
    )


def exported(store: DeclaredStore, **options: Any) -> Installation:
    installation = Installation(store=store, limits=replace(LIMITS, sample=10), **options)
    installation.drain()
    return installation


def refused(installation: Installation) -> Status:
    ended = installation.ended()
    assert ended.is_done
    assert ended.error
    assert ended.error.code is Code.FAILED_PRECONDITION
    assert installation.sample == []
    assert installation.published["exported"] == 0
    return ended.error


def test_an_export_of_cold_objects_is_refused_before_a_header_is_read() -> None:
    shelf = Shelf("STANDARD", "NEARLINE", "ARCHIVE", "STANDARD", "NEARLINE", "COLDLINE")
    message = refused(exported(declared(shelf))).message
    assert "2 in NEARLINE and 1 in COLDLINE and 1 in ARCHIVE" in message
    assert '"_allowColdReads": true' in message
    assert "allow_cold_reads" in message


def test_one_cold_object_at_the_end_is_found_before_the_first_page_is_planned() -> None:
    installation = exported(declared(Shelf(*["STANDARD"] * 40, "COLDLINE")))
    assert "1 in COLDLINE" in refused(installation).message
    assert installation.journal.plans.pages(installation.operation.name) == [0]


@pytest.mark.parametrize("allows", ["store", "request"])
def test_cold_objects_are_read_if_the_store_or_the_request_allows_it(allows: str) -> None:
    operation = make_operation()
    if allows == "request":
        operation = replace(operation, requested=replace(make_request(), allow_cold_reads=True))
    store = declared(Shelf("ARCHIVE", "STANDARD"), allow_cold_reads=allows == "store")
    installation = exported(store, operation=operation)
    assert installation.ended().error is None
    assert len(installation.sample) == installation.published["exported"] == 2
    assert not any("/survey/" in path for path in installation.state.objects)


def test_a_store_without_cold_objects_is_listed_once_more_and_exported() -> None:
    shelf, free = Shelf(*["STANDARD"] * 9), Shelf(*["STANDARD"] * 9)
    assert exported(declared(shelf)).ended().error is None
    assert exported(declared(free, allow_cold_reads=True)).ended().error is None
    assert shelf.listed - free.listed == Counter(each.name for each in shelf.objects)


def test_a_long_listing_goes_on_with_the_next_message_and_after_a_crash() -> None:
    with patch.object(survey, "SURVEY_OBJECTS", 3):
        quiet = exported(declared(Shelf(*["STANDARD"] * 10, "NEARLINE")))
        assert "1 in NEARLINE" in refused(quiet).message
        parts = [path for path in quiet.state.objects if "/survey/" in path]
        assert len(parts) == 4
        for point in range(len(quiet.faults.log)):
            for faults in (Faults(frozenset({point})), Faults(denied=frozenset({point}))):
                installation = exported(declared(Shelf(*["STANDARD"] * 10, "NEARLINE")), faults=faults)
                assert refused(installation) == quiet.ended().error


def test_an_object_that_becomes_cold_while_the_export_runs_is_not_read() -> None:
    shelf = Shelf(*["STANDARD"] * 6)
    installation = Installation(store=declared(shelf))
    installation.deliver()
    shelf.objects[-1] = shelf.objects[-1]._replace(storage_class="ARCHIVE")
    installation.drain()
    ended = installation.ended()
    assert ended.error
    assert "1 in ARCHIVE" in ended.error.message
    assert ended.counters
    assert ended.counters.success == installation.published["exported"] < 6


def test_an_export_that_the_version_before_began_without_a_survey_goes_on() -> None:
    shelf = Shelf(*["STANDARD"] * 4, "ARCHIVE", "ARCHIVE")
    before = Installation(store=declared(shelf, allow_cold_reads=True))
    before.deliver()
    installation = Installation(store=declared(shelf))
    name = installation.operation.name
    page = before.journal.plans.page(name, 0)
    assert page
    installation.journal.plans.create_page(name, 0, replace(page, sender=""))
    installation.drain()
    assert installation.ended().error is None


def test_an_object_that_is_not_read_costs_nothing() -> None:
    shelf = Shelf("ARCHIVE", "ARCHIVE", "STANDARD")
    shelf.objects[0] = shelf.objects[0]._replace(content_encoding="gzip")
    store = declared(shelf, ignore=("1.2.101/*",))
    assert exported(store).ended().error is None


def test_a_cancelled_export_is_not_surveyed_further(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shelf = Shelf(*["ARCHIVE"] * 4)
    installation = Installation(store=declared(shelf))
    installation.service.cancel_operation(installation.operation.name)
    installation.drain()
    ended = installation.ended()
    assert ended.error
    assert ended.error.code is Code.CANCELLED
    assert not shelf.listed


def test_the_sum_is_that_of_the_price_table() -> None:
    million = {"NEARLINE": ColdObjects(1_000_000, 500 * 2**30, 64 * 2**30)}
    assert cold_reads.cost(million, has_autoclass=False) == pytest.approx(1.00 + 0.64)
    assert cold_reads.cost(million, has_autoclass=True) == pytest.approx(500 * 0.01)
    archive = {"ARCHIVE": ColdObjects(1_000_000, 100_000 * 2**30, 64 * 2**30)}
    assert cold_reads.cost(archive, has_autoclass=False) == pytest.approx(50 + 3.2)
    assert cold_reads.cost(archive, has_autoclass=True) == pytest.approx(5 + 6_160)


@pytest.mark.parametrize(
    ("has_autoclass", "said"),
    [(True, "Autoclass: a read moves an object"), (False, "operations and retrieval."), (None, "storage.buckets.get")],
)
def test_the_message_says_what_the_sum_is_for(*, has_autoclass: bool | None, said: str) -> None:
    message = refused(exported(declared(Shelf("COLDLINE"), has_autoclass=has_autoclass))).message
    assert said in message
    assert "US dollars" in message


def test_a_message_that_goes_on_with_a_survey_has_a_sender() -> None:
    with patch.object(survey, "SURVEY_OBJECTS", 3):
        installation = Installation(store=declared(Shelf(*["STANDARD"] * 10)))
        installation.deliver()
        (waiting,) = installation.mailbox.waiting
        assert waiting[0] == PlanExport.topic
        assert b'"sender"' in waiting[1]

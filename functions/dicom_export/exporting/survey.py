"""The survey of a store before an export reads anything.

It counts objects of which a read costs more, and objects whose rows the table does not keep.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.exporting.known import without_row
from dicom_export.exporting.listing import listing
from dicom_export.operations.cold_reads import ColdObjects, Survey, counted, refuse
from dicom_export.operations.partitions import partitioning_for, refuse_untimely
from dicom_export.operations.request import ExportRequest, RepairRequest
from dicom_export.rows.partitioning import Untimely

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_export.operations.operation import Operation
    from dicom_export.operations.planning import Cursor, Task
    from dicom_export.ports import Tables, Warehouse
    from dicom_export.rows.partitioning import Partitioning
    from dicom_export.state.filters import FilterIndex
    from dicom_export.state.journal import Journal
    from dicom_export.stored_object import StoredObject
    from dicom_export.stores import DeclaredStore

SURVEY_OBJECTS = 500_000
"""Objects that one message lists: 500 list calls take some minutes, and a push has ten."""
_SEARCH = 250
"""A search that finds nothing takes as long as listing so many objects."""
_COMPARED = 10_000
"""Objects that are compared at once with the rows of a table."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What an export looks for among the objects: cold ones unless it may read them, and those that its table does not keep."""

    may_read_cold: bool
    partitioning: Partitioning | None = None

    def __bool__(self) -> bool:
        return not self.may_read_cold or self.partitioning is not None

    def note(self, counts: dict[str, ColdObjects], untimely: Untimely, stored: StoredObject, now: datetime) -> Untimely:
        """Add the object to the counts if it is cold, and return the other count with it."""
        if not self.may_read_cold:
            counted(counts, stored)
        return untimely.and_one(stored.updated, self.partitioning, now) if self.partitioning else untimely

    def added(self, found: Survey, objects: Iterable[StoredObject], now: datetime) -> Survey:
        """Return what was found with the objects in addition."""
        counts, untimely = dict(found.counts), found.untimely
        for stored in objects:
            untimely = self.note(counts, untimely, stored, now)
        return Survey(counts, found.next, untimely)

    def concerns(self, stored: StoredObject, now: datetime) -> bool:
        """Say whether the object would be counted."""
        counts: dict[str, ColdObjects] = {}
        return bool(self.note(counts, Untimely(), stored, now) or counts)

    def refuse(self, found: Survey, store: DeclaredStore, operation: Operation) -> None:
        """Raise FailedPrecondition if such objects were found."""
        if isinstance(operation.request, ExportRequest | RepairRequest):
            refuse_untimely(operation.request, found.untimely, self.partitioning)
        refuse(found.counts, has_autoclass=store.has_autoclass() if found.counts else False)


def looked_for(store: DeclaredStore, operation: Operation, tables: Tables) -> Looked:
    """Return what the export has to look for. The table's own partitions count, and those of the request if it does not exist."""
    request = operation.request
    partitioning = None
    if isinstance(request, ExportRequest | RepairRequest):
        partitioning = partitioning_for(request, tables.describe(request.table))
    return Looked(store.allow_cold_reads or request.allow_cold_reads, partitioning)


def survey(
    store: DeclaredStore,
    begin: Cursor,
    operation: Operation,
    index: FilterIndex | None,
    journal: Journal,
    tables: Warehouse,
    looked: Looked,
) -> bool:
    """List a part of what the export is about, and say whether all of it is listed.

    Objects that have a row already, and that the export therefore does not read, are not counted.

    A part is created once, so that a message that is delivered again goes on where it was. Raises
    FailedPrecondition, with the sum, if everything is listed and some of it may not be exported.
    """
    number, last = journal.surveys.last(operation.name)
    if last is None or last.next:
        cursor = (last and last.next) or begin
        last = _listed(store, cursor, operation, index, journal, tables, last or Survey(), looked)
        journal.surveys.create(operation.name, number, last)
    if last.next is None:
        looked.refuse(last, store, operation)
    return last.next is None


def _listed(
    store: DeclaredStore,
    cursor: Cursor,
    operation: Operation,
    index: FilterIndex | None,
    journal: Journal,
    tables: Warehouse,
    before: Survey,
    looked: Looked,
) -> Survey:
    now = datetime.now(UTC)
    found, passed = before, 0
    waiting: list[StoredObject] = []
    for step in listing(store, cursor, operation, index, journal, lambda _: None, warns=False):
        if step.stored and looked.concerns(step.stored, now):
            waiting.append(step.stored)
        if len(waiting) == _COMPARED:
            found, waiting = looked.added(found, without_row(waiting, operation, store.objects, tables), now), []
        passed += 1 if step.stored else _SEARCH
        if passed >= SURVEY_OBJECTS:
            found = replace(found, next=step.cursor)
            break
    else:
        found = replace(found, next=None)
    return looked.added(found, without_row(waiting, operation, store.objects, tables), now)


def refuse_tasks(
    store: DeclaredStore, operation: Operation, tasks: Iterable[Task], journal: Journal, looked: Looked
) -> None:
    """Raise FailedPrecondition if objects of a page became cold, or too old for the table, after the survey.

    An operation that a version without the survey began goes on.
    """
    found = looked.added(Survey(), (stored for task in tasks for stored in task), datetime.now(UTC))
    if (found.counts or found.untimely) and journal.surveys.last(operation.name)[1]:
        looked.refuse(found, store, operation)

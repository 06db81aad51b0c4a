"""The survey of a store before an export reads anything.

It counts objects of which a read costs more, and objects whose rows the table does not keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.exporting.listing import listing
from dicom_export.operations.cold_reads import ColdObjects, Survey, counted, refuse
from dicom_export.operations.partitions import partitioning_for, refuse_untimely
from dicom_export.operations.request import ExportRequest, RepairRequest
from dicom_export.rows.partitioning import Untimely

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_export.operations.operation import Operation
    from dicom_export.operations.planning import Cursor, Task
    from dicom_export.ports import Tables
    from dicom_export.rows.partitioning import Partitioning
    from dicom_export.state.filters import FilterIndex
    from dicom_export.state.journal import Journal
    from dicom_export.stored_object import StoredObject
    from dicom_export.stores import DeclaredStore

SURVEY_OBJECTS = 500_000
"""Objects that one message lists: 500 list calls take some minutes, and a push has ten."""
_SEARCH = 250
"""A search that finds nothing takes as long as listing so many objects."""


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
    looked: Looked,
) -> bool:
    """List a part of what the export is about, and say whether all of it is listed.

    A part is created once, so that a message that is delivered again goes on where it was. Raises
    FailedPrecondition, with the sum, if everything is listed and some of it may not be exported.
    """
    number, last = journal.surveys.last(operation.name)
    if last is None or last.next:
        cursor = (last and last.next) or begin
        last = _listed(store, cursor, operation, index, journal, last or Survey(), looked)
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
    before: Survey,
    looked: Looked,
) -> Survey:
    counts, untimely = dict(before.counts), before.untimely
    now = datetime.now(UTC)
    passed = 0
    for step in listing(store, cursor, operation, index, journal, lambda _: None, warns=False):
        if step.stored:
            untimely = looked.note(counts, untimely, step.stored, now)
        passed += 1 if step.stored else _SEARCH
        if passed >= SURVEY_OBJECTS:
            return Survey(counts, step.cursor, untimely)
    return Survey(counts, None, untimely)


def refuse_tasks(
    store: DeclaredStore, operation: Operation, tasks: Iterable[Task], journal: Journal, looked: Looked
) -> None:
    """Raise FailedPrecondition if objects of a page became cold, or too old for the table, after the survey.

    An operation that a version without the survey began goes on.
    """
    counts: dict[str, ColdObjects] = {}
    untimely, now = Untimely(), datetime.now(UTC)
    for task in tasks:
        for stored in task:
            untimely = looked.note(counts, untimely, stored, now)
    if (counts or untimely) and journal.surveys.last(operation.name)[1]:
        looked.refuse(Survey(counts, None, untimely), store, operation)

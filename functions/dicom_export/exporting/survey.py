"""The survey of a store before an export reads anything: it counts objects of which a read costs more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.exporting.listing import listing
from dicom_export.operations.cold_reads import ColdObjects, Survey, counted, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_export.operations.operation import Operation
    from dicom_export.operations.planning import Cursor, Task
    from dicom_export.state.filters import FilterIndex
    from dicom_export.state.journal import Journal
    from dicom_export.stores import DeclaredStore

SURVEY_OBJECTS = 500_000
"""Objects that one message lists: 500 list calls take some minutes, and a push has ten."""
_SEARCH = 250
"""A search that finds nothing takes as long as listing so many objects."""


def may_read_cold(store: DeclaredStore, operation: Operation) -> bool:
    """Say whether the export may read cold objects, so that there is no need to look for them."""
    return store.allow_cold_reads or operation.request.allow_cold_reads


def survey(
    store: DeclaredStore,
    begin: Cursor,
    operation: Operation,
    index: FilterIndex | None,
    journal: Journal,
) -> bool:
    """List a part of what the export is about, and say whether all of it is listed.

    A part is created once, so that a message that is delivered again goes on where it was. Raises
    FailedPrecondition, with the sum, if everything is listed and some of it is cold.
    """
    number, last = journal.surveys.last(operation.name)
    if last is None or last.next:
        cursor = (last and last.next) or begin
        last = _listed(store, cursor, operation, index, journal, last or Survey())
        journal.surveys.create(operation.name, number, last)
    if last.next is None:
        refuse(last.counts, has_autoclass=store.has_autoclass() if last.counts else False)
    return last.next is None


def _listed(
    store: DeclaredStore,
    cursor: Cursor,
    operation: Operation,
    index: FilterIndex | None,
    journal: Journal,
    before: Survey,
) -> Survey:
    counts = dict(before.counts)
    passed = 0
    for step in listing(store, cursor, operation, index, journal, lambda _: None, warns=False):
        if step.stored:
            counted(counts, step.stored)
        passed += 1 if step.stored else _SEARCH
        if passed >= SURVEY_OBJECTS:
            return Survey(counts, step.cursor)
    return Survey(counts)


def refuse_cold_tasks(store: DeclaredStore, operation: Operation, tasks: Iterable[Task], journal: Journal) -> None:
    """Raise FailedPrecondition if objects of a page became cold after the survey.

    An operation without a survey was begun by a version that had none: it goes on.
    """
    counts: dict[str, ColdObjects] = {}
    for task in tasks:
        for stored in task:
            counted(counts, stored)
    if counts and not may_read_cold(store, operation) and journal.surveys.last(operation.name)[1]:
        refuse(counts, has_autoclass=store.has_autoclass())

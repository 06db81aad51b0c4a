"""Export the instances that an operation lost as dead letters, by another operation."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.errors import FailedPrecondition, NotFound
from dicom_export.logs import Event, operation_event
from dicom_export.messages import ExportStudy, PlanExport
from dicom_export.operations.operation import Operation
from dicom_export.operations.plan_page import PlanPage
from dicom_export.operations.planning import Cursor
from dicom_export.operations.request import ExportRequest, Request, WriteDisposition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.names import OperationName
    from dicom_export.state.dead_letters import DeadLetter
    from dicom_export.state.journal import Journal

log = logging.getLogger(__name__)

_PAGE_TASKS = 100
_SUFFIX = "-replay"


def replay_name(name: OperationName) -> OperationName:
    """Return the name of the one operation that replays another's dead letters."""
    return replace(name, operation=f"{name.operation}{_SUFFIX}")


def is_replay(name: OperationName) -> bool:
    """Return whether the operation replays another's dead letters, and so exports only a part of the request."""
    return name.operation.endswith(_SUFFIX)


def create_replay(name: OperationName, journal: Journal) -> Operation:
    """Create the operation that exports the instances of an ended one's dead letters, unless it exists.

    It adds the same generations of the objects to the same table, with the same filter, and continues the plan if that
    could not be finished. Raises NotFound if there is no such operation or nothing to replay, FailedPrecondition if the
    operation still runs, or was an overwrite: that left the old table as it was, and has to be requested again.
    """
    original = journal.operations.load(name)
    created = journal.operations.find(replay_name(name))
    if created:
        return created
    letters = list(journal.dead_letters.all(name.parent, name))
    _check(original, letters)
    replayed = Operation(
        replay_name(name),
        original.api_version,
        datetime.now(UTC),
        _appending(original.request),
        filter_generation=original.filter_generation,
        compares_objects=original.compares_objects,
    )
    journal.filters.copy(name, replayed.name)
    for number, page in enumerate(_plan(original.name, letters, journal)):
        journal.plans.create_page(replayed.name, number, page)
    journal.operations.create(replayed)
    log.info(
        "%d dead letters of %s are replayed", len(letters), name, extra=operation_event(replayed.name, Event.CREATED)
    )
    return journal.operations.load(replayed.name)


def _appending(request: Request) -> Request:
    """Return the request with WRITE_APPEND in place of its write disposition."""
    if isinstance(request, ExportRequest):
        return replace(request, write_disposition=WriteDisposition.WRITE_APPEND)
    return request


def _check(original: Operation, letters: Sequence[DeadLetter]) -> None:
    if not original.is_done:
        raise FailedPrecondition(f"Operation {original.name} has not ended yet; replay its dead letters after its end")
    if not letters:
        raise NotFound(f"Operation {original.name} has no dead letters to replay")
    if original.request.write_disposition is WriteDisposition.WRITE_TRUNCATE:
        raise FailedPrecondition(
            f"Operation {original.name} was to replace {original.table} and left it as it was; request the export again"
        )


def _plan(name: OperationName, letters: Sequence[DeadLetter], journal: Journal) -> Iterator[PlanPage]:
    """Yield the first pages of the replay's plan: the tasks that were given up, then the cursor of the listing.

    Yields nothing if the listing did not begin: then the replay is planned from the start.
    """
    first = journal.plans.page(name, 0)
    if first is None or first.error:
        return
    messages = [letter.message for letter in letters]
    studies = [message for message in messages if isinstance(message, ExportStudy)]
    chunks = [studies[start : start + _PAGE_TASKS] for start in range(0, len(studies), _PAGE_TASKS)] or [[]]
    another = Cursor(first.layout)  # that there is a next page, and not where it begins: it stands already
    following = [another] * (len(chunks) - 1) + [_interrupted_at(name, messages, journal)]
    for chunk, cursor in zip(chunks, following, strict=True):
        tasks = tuple(message.objects for message in chunk)
        yield PlanPage(tasks, cursor, first.layout, applies_filter=first.applies_filter)


def _interrupted_at(
    name: OperationName, messages: Sequence[PlanExport | ExportStudy], journal: Journal
) -> Cursor | None:
    """Return the cursor of the page that could not be planned, or None if all pages were planned."""
    for message in messages:
        if isinstance(message, PlanExport):
            previous = journal.plans.page(name, message.page - 1)
            return previous.next if previous else None
    return None

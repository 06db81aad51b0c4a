"""Export of the objects of one message: read, write to a stream or copy, claim, commit, report.

After a crash at any point, the next delivery of the message completes the work. The claim decides:
it is created once and names the one stream that may be committed, and the result follows from it.
So a row and its count always agree.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.decoding.budget import DEFAULT_COLUMN_LIMITS, ColumnLimits
from dicom_export.errors import FailedPrecondition, Internal, NotFound, PermanentError, Unavailable
from dicom_export.exporting.copying import copy_files, existing_folder
from dicom_export.exporting.matching import FilterLookup, Selection, without_unnamable
from dicom_export.exporting.tally import Tally
from dicom_export.exporting.writing import StreamWriter
from dicom_export.logs import instance_failure, instances_done
from dicom_export.messages import ExportStudy, StudyExported
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Failure, FailureStage, Status
from dicom_export.operations.outcome import Outcome
from dicom_export.operations.request import FilesRequest
from dicom_export.state.dead_letters import DeadLetter
from dicom_export.state.tasks import Claim
from dicom_export.stores import declared
from dicom_export.verifying.known_objects import decode_known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.exporting.copying import CopyFolders
    from dicom_export.names import StoreName
    from dicom_export.operations.operation import Operation
    from dicom_export.ports import DecodeBatches, DicomStore, Publisher, Warehouse
    from dicom_export.state.journal import Journal
    from dicom_export.stores import DeclaredStore


def export_study(
    message: ExportStudy,
    *,
    journal: Journal,
    stores: Mapping[StoreName, DeclaredStore],
    tables: Warehouse,
    publisher: Publisher,
    decode: DecodeBatches,
    columns: ColumnLimits = DEFAULT_COLUMN_LIMITS,
    folders: CopyFolders = lambda _: None,
    copy_seconds: float = math.inf,
) -> None:
    """Export the objects of the message, once.

    It does not matter how often the message is delivered and how many workers handle it. Copies that
    take longer than `copy_seconds` are continued by another delivery of the same message.
    """
    operation = journal.operations.load(message.operation)
    if operation.is_done:
        return
    if journal.tasks.result(message.operation, message.page, message.task) is None:
        store = declared(stores, operation.request.store).objects
        claim = journal.tasks.claim(message.operation, message.page, message.task)
        if claim is None:
            claim = _decide(message, operation, journal, store, tables, decode, columns, folders, copy_seconds)
        if claim is None:
            publisher.publish([message])
            return
        settle(message, operation, claim, store, journal, tables)
    publisher.publish([StudyExported(message.operation, message.page)])


def settle(
    message: ExportStudy,
    operation: Operation,
    claim: Claim,
    store: DicomStore | None,
    journal: Journal,
    tables: Warehouse,
    *,
    is_last_attempt: bool = False,
) -> None:
    """Commit the claimed stream and create the result that follows from the claim.

    If the stream can never be committed, its rows become failures, and the message a dead letter.
    Any other failed commit is retried until the last attempt, because the rows may be in the table.
    `store` only tells the log where the failed objects are; it is None if it is no longer declared.
    """
    outcome = claim.outcome
    if claim.stream:
        try:
            tables.commit(operation.target, claim.stream)
        except (NotFound, FailedPrecondition) as error:
            outcome = _lost(message, outcome, error)
            journal.dead_letters.keep(DeadLetter(message, Status(error.code, error.message), datetime.now(UTC)))
        except PermanentError as error:
            if not is_last_attempt:
                raise Unavailable(f"The rows cannot be committed yet, and will be retried: {error.message}") from error
            outcome = _lost(message, outcome, error)
    if journal.tasks.create_result(message.operation, message.page, message.task, outcome):
        instances_done(message.operation, operation.request.store, outcome.counters)
        for failure in outcome.failures:
            uri = store.uri(failure.object) if store else failure.object
            instance_failure(message.operation, uri, operation.request.store, failure)


def _lost(message: ExportStudy, outcome: Outcome, error: PermanentError) -> Outcome:
    """Return the outcome when the claimed stream can never be committed: its rows are failures."""
    failed, skipped = {failure.object for failure in outcome.failures}, set(outcome.skipped)
    lost = tuple(
        Failure(stored.name, stored.generation, FailureStage.COMMIT, error.code, error.message)
        for position, stored in enumerate(message.objects)
        if stored.name not in failed and position not in skipped
    )
    failures = outcome.failures + lost
    counters = replace(outcome.counters, success=0, studies=0, failure=len(failures), abandoned=len(lost))
    return replace(outcome, counters=counters, failures=failures, studies=())


def _decide(
    message: ExportStudy,
    operation: Operation,
    journal: Journal,
    store: DicomStore,
    tables: Warehouse,
    decode: DecodeBatches,
    columns: ColumnLimits,
    folders: CopyFolders,
    copy_seconds: float,
) -> Claim | None:
    """Return the stored claim after our attempt to create one; None if copies are unfinished.

    If our stream lost the race, it is discarded.
    """
    if operation.cancel_requested:
        ours = Claim(None, Outcome(Counters(cancelled=len(message.objects))))
    elif isinstance(operation.request, FilesRequest):
        folder = existing_folder(operation.request.folder, folders)
        outcome = copy_files(message, operation, journal, store, folder, decode, seconds=copy_seconds)
        if outcome is None:
            return None
        ours = Claim(None, outcome)
    else:
        ours = _export(message, operation, journal, store, tables, decode, columns)
    claim = journal.tasks.create_claim(message.operation, message.page, message.task, ours)
    if ours.stream and claim.stream != ours.stream:
        tables.discard(ours.stream)
    return claim


def _export(
    message: ExportStudy,
    operation: Operation,
    journal: Journal,
    store: DicomStore,
    tables: Warehouse,
    decode: DecodeBatches,
    columns: ColumnLimits,
) -> Claim:
    """Read the objects and write their rows to a finalized stream.

    Return the claim that would commit the stream.
    """
    selection = Selection(FilterLookup(operation.name, journal)) if message.applies_filter else None
    tally = Tally(operation, "each becomes a row")
    writer = StreamWriter(operation, tables, is_wanted=lambda: not _is_decided(message, journal), limits=columns)
    with writer:
        # Before the headers are read, so that an attempt that is given up has read none.
        writer.await_columns()
        decode = decode_known if message.is_known else decode
        for batch in decode(store, message.objects, operation.request.row_layout, selection):
            objects = message.objects[tally.objects : tally.objects + len(batch.found)]
            tally.add(objects, map(without_unnamable, batch.found) if operation.request.is_filtered else batch.found)
            writer.write(objects, batch)
        if tally.objects != len(message.objects):
            raise Internal(f"{tally.objects} of {len(message.objects)} objects were decoded; expected all")
        stream, rejected = writer.finish()
    for stored, uids, error in rejected:
        tally.reject(stored, uids, error, FailureStage.WRITE)
    return Claim(stream, tally.outcome(selection.matched if selection else ()))


def _is_decided(message: ExportStudy, journal: Journal) -> bool:
    """Say whether another delivery, or the end of the operation, has settled the message."""
    has_ended = journal.operations.load(message.operation).is_done
    return has_ended or journal.tasks.result(message.operation, message.page, message.task) is not None


def abandoned(message: ExportStudy, reason: Status) -> Claim:
    """Return the claim of a message that is out of attempts: all its instances failed."""
    failures = tuple(
        Failure(stored.name, stored.generation, FailureStage.DELIVERY, reason.code, reason.message)
        for stored in message.objects
    )
    return Claim(None, Outcome(Counters(failure=len(failures), abandoned=len(failures)), failures))

"""The objects of one message become rows: read, write to a stream, claim, commit, report.

A crash at any point is mended by the message's next delivery. The claim is what decides: it is created once, it names
the one stream that may be committed, and the result follows from it, so a row and its count never disagree.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_export.errors import FailedPrecondition, InstanceError, NotDicom, NotFound, PermanentError, Unavailable
from dicom_export.handlers.decoding import Decode, Decoded, decode_in_turn
from dicom_export.handlers.matching import FilterLookup
from dicom_export.handlers.writing import StreamWriter
from dicom_export.journal import Claim, DeadLetter, Outcome
from dicom_export.logs import instance_failure, instances_done
from dicom_export.messages import ExportStudy, StudyExported
from dicom_export.names import InstanceUids
from dicom_export.operations import Counters, Failure, Status
from dicom_export.rows.instance import DecodedInstance, Skipped
from dicom_export.stores import declared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.journal import Journal
    from dicom_export.names import StoreName
    from dicom_export.operations import Operation
    from dicom_export.ports import DicomStore, Publisher, StoredObject, Tables
    from dicom_export.stores import DeclaredStore

log = logging.getLogger(__name__)


def export_study(
    message: ExportStudy,
    *,
    journal: Journal,
    stores: Mapping[StoreName, DeclaredStore],
    tables: Tables,
    publisher: Publisher,
    decode: Decode = decode_in_turn,
) -> None:
    """Export the message's objects, once, however often it is delivered and whoever else works on it."""
    operation = journal.load(message.operation)
    if operation.is_done:
        return
    if journal.result(message.operation, message.page, message.task) is None:
        store = declared(stores, operation.request.store).objects
        claim = journal.claim(message.operation, message.page, message.task)
        if claim is None:
            claim = _decide(message, operation, journal, store, tables, decode)
        settle(message, operation, claim, store, journal, tables)
    publisher.publish([StudyExported(message.operation, message.page)])


def settle(
    message: ExportStudy,
    operation: Operation,
    claim: Claim,
    store: DicomStore | None,
    journal: Journal,
    tables: Tables,
    *,
    is_last_attempt: bool = False,
) -> None:
    """Commit the claimed stream and create the result that follows from the claim.

    A stream that can never be committed makes failures of its rows, and a dead letter. Whatever else a commit fails of is tried
    again, for the rows may be in the table, until the last attempt. The store only tells the log where the failed objects are; it
    may be None if it is declared no more.
    """
    outcome = claim.outcome
    if claim.stream:
        try:
            tables.commit(operation.target, claim.stream)
        except (NotFound, FailedPrecondition) as error:
            outcome = _lost(message, outcome, error)
            journal.keep_dead_letter(DeadLetter(message, Status(error.code, error.message), datetime.now(UTC)))
        except PermanentError as error:
            if not is_last_attempt:
                raise Unavailable(f"The rows cannot be committed yet: {error.message}") from error
            outcome = _lost(message, outcome, error)
    if journal.create_result(message.operation, message.page, message.task, outcome):
        instances_done(message.operation, operation.request.store, outcome.counters)
        for failure in outcome.failures:
            uri = store.uri(failure.object) if store else failure.object
            instance_failure(message.operation, uri, operation.request.store, failure)


def _lost(message: ExportStudy, outcome: Outcome, error: PermanentError) -> Outcome:
    """Return the outcome when the claimed stream can never be committed: what would have been its rows are failures."""
    failed, skipped = {failure.object for failure in outcome.failures}, set(outcome.skipped)
    lost = tuple(
        Failure(stored.name, stored.generation, "COMMIT", error.code, error.message)
        for position, stored in enumerate(message.objects)
        if stored.name not in failed and position not in skipped
    )
    failures = outcome.failures + lost
    counters = replace(outcome.counters, success=0, studies=0, failure=len(failures), abandoned=len(lost))
    return replace(outcome, counters=counters, failures=failures, studies=())


def _decide(
    message: ExportStudy, operation: Operation, journal: Journal, store: DicomStore, tables: Tables, decode: Decode
) -> Claim:
    """Return the claim that stands after our attempt to create one; a stream that lost the race is discarded."""
    if operation.cancel_requested:
        ours = Claim(None, Outcome(Counters(cancelled=len(message.objects))))
    else:
        ours = _export(message, operation, journal, store, tables, decode)
    claim = journal.create_claim(message.operation, message.page, message.task, ours)
    if ours.stream and claim.stream != ours.stream:
        tables.discard(ours.stream)
    return claim


def _export(
    message: ExportStudy, operation: Operation, journal: Journal, store: DicomStore, tables: Tables, decode: Decode
) -> Claim:
    """Read the objects, write their rows to a finalized stream, and return the claim that would commit it."""
    tally = _Tally(operation, FilterLookup(operation.name, journal) if message.applies_filter else None)
    writer = StreamWriter(operation, tables, is_wanted=lambda: not _is_decided(message, journal))
    decoded = decode(store, message.objects, operation.request.row_layout)
    with writer:
        for position, (stored, each) in enumerate(zip(message.objects, decoded, strict=True)):
            instance = tally.sort(position, stored, each)
            if instance:
                writer.add(stored, instance)
        stream, too_large = writer.finish()
    for stored, uids, error in too_large:
        tally.too_large(stored, uids, error)
    return Claim(stream, tally.outcome())


def _is_decided(message: ExportStudy, journal: Journal) -> bool:
    """Return whether the message is done, by another delivery or by the end of its operation."""
    has_ended = journal.load(message.operation).is_done
    return has_ended or journal.result(message.operation, message.page, message.task) is not None


class _Tally:
    """What became of each object of a message."""

    def __init__(self, operation: Operation, lookup: FilterLookup | None) -> None:
        self._operation = operation
        self._lookup = lookup
        self._instances: Counter[InstanceUids] = Counter()
        self._failures: list[Failure] = []
        self._skipped: list[int] = []
        self._matched: set[int] = set()

    def sort(self, position: int, stored: StoredObject, decoded: Decoded) -> DecodedInstance | None:
        """Return the instance if it is to be a row, else count it where it belongs."""
        if isinstance(decoded, Skipped) or not self._is_named(decoded):
            self._skipped.append(position)
            return None
        if isinstance(decoded, PermanentError):
            self._fail(stored, "READ", decoded, _uids_of(decoded))
            return None
        self._instances[decoded.uids] += 1
        return decoded

    def too_large(self, stored: StoredObject, uids: InstanceUids, error: PermanentError) -> None:
        """Take back an instance whose row no table takes."""
        self._instances[uids] -= 1
        self._fail(stored, "WRITE", error, uids)

    def outcome(self) -> Outcome:
        """Return the counters, the failures and the studies; log the instances that the store holds more than once."""
        success = self._instances.total()
        studies = tuple(sorted({uids.study for uids, count in self._instances.items() if count and uids.study}))
        for uids, count in self._instances.items():
            if count > 1:
                log.warning(
                    "%d objects hold the instance %s; each becomes a row",
                    count,
                    uids,
                    extra={"operation": str(self._operation.name)},
                )
        counters = Counters(
            success=success,
            failure=len(self._failures),
            skipped=len(self._skipped),
            studies=len(studies),
        )
        return Outcome(counters, tuple(self._failures), studies, tuple(self._skipped), tuple(sorted(self._matched)))

    def _is_named(self, decoded: DecodedInstance | PermanentError) -> bool:
        """Return whether the filter, if there is one, names the instance.

        What is no DICOM is in no study; an instance that cannot be told is taken for one that the filter may name.
        """
        if self._lookup is None:
            return True
        if isinstance(decoded, NotDicom):
            return False
        uids = _uids_of(decoded)
        if uids.study is None:
            return True
        position = self._lookup.position_of(uids)
        if position is not None:
            self._matched.add(position)
        return position is not None

    def _fail(self, stored: StoredObject, stage: str, error: PermanentError, uids: InstanceUids) -> None:
        self._failures.append(Failure(stored.name, stored.generation, stage, error.code, error.message, uids))


def _uids_of(decoded: DecodedInstance | PermanentError) -> InstanceUids:
    known = decoded.uids if isinstance(decoded, DecodedInstance | InstanceError) else None
    return known or InstanceUids()


def abandoned(message: ExportStudy, reason: Status) -> Claim:
    """Return the claim of a message that is out of attempts: every instance of it failed."""
    failures = tuple(
        Failure(stored.name, stored.generation, "DELIVERY", reason.code, reason.message) for stored in message.objects
    )
    return Claim(None, Outcome(Counters(failure=len(failures), abandoned=len(failures)), failures))

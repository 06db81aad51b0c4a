"""Copies of the files of a message: the step of an export of files that `writing` is for rows."""

from __future__ import annotations

import logging
import math
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from dicom_export.errors import AlreadyExists, Internal, NotFound, PermanentError, Unavailable
from dicom_export.exporting.matching import FilterLookup, Selection, without_unnamable
from dicom_export.exporting.tally import Tally
from dicom_export.operations.copy_names import copy_names
from dicom_export.operations.failure import FailureStage
from dicom_export.ports import CopyResult
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_export.decoding.decoded import DecodedBatch, Found
    from dicom_export.messages import ExportStudy
    from dicom_export.names import GcsFolder
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.outcome import Outcome
    from dicom_export.ports import CopyFolder, DecodeBatches, DicomStore
    from dicom_export.state.journal import Journal
    from dicom_export.stored_object import StoredObject

    CopyFolders = Callable[[GcsFolder], CopyFolder | None]

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0


def existing_folder(folder: GcsFolder, folders: CopyFolders) -> CopyFolder:
    """Return the folder of copies. Raises NotFound if there is no such bucket."""
    found = folders(folder)
    if found is None:
        raise NotFound(f"The bucket of {folder} was not found")
    return found


def copy_files(
    message: ExportStudy,
    operation: Operation,
    journal: Journal,
    store: DicomStore,
    folder: CopyFolder,
    decode: DecodeBatches,
    *,
    seconds: float = math.inf,
) -> Outcome | None:
    """Copy the selected files of the message, and return the outcome.

    Return None if the time is over: then another call continues, and finds the copies that were
    made. Raises Unavailable if nothing was achieved in the time. A cancellation is noticed between
    two copies; the other objects then count as cancelled.
    """
    selection = Selection(FilterLookup(operation.name, journal)) if message.applies_filter else None
    tally = Tally(operation, "each content is copied")
    copier = _Copier(message, operation, journal, store, folder, monotonic() + seconds)
    with ThreadPoolExecutor(folder.copies_at_once, "copy") as pool:
        for batch in decode(store, message.objects, operation.request.row_layout, selection):
            _copy_batch(batch, copier, tally, pool)
            if copier.is_stopped:
                break
    if copier.is_cancelled:
        tally.cancelled += len(message.objects) - tally.objects
    elif copier.is_stopped:
        if not copier.has_progressed:
            raise Unavailable(f"No file was copied to {folder.uri('')} in {seconds:.0f} s")
        return None
    elif tally.objects != len(message.objects):
        raise Internal(f"{tally.objects} of {len(message.objects)} objects were decoded; expected all")
    folder.flush(copier.copies)
    return tally.outcome(selection.matched if selection else ())


def _copy_batch(batch: DecodedBatch, copier: _Copier, tally: Tally, pool: ThreadPoolExecutor) -> None:
    objects = copier.message.objects[tally.objects : tally.objects + len(batch.found)]
    is_filtered = copier.operation.request.is_filtered
    found = [without_unnamable(each) for each in batch.found] if is_filtered else batch.found
    copies = [
        # How patient a call is depends on the attempt of the message: see `pubsub.attempts`.
        pool.submit(copy_context().run, copier.copy, position, stored, each)
        for position, (stored, each) in enumerate(zip(objects, found, strict=True), tally.objects)
    ]
    errors = [each.result() for each in copies]
    tally.add(objects, found)
    for stored, uids, error in zip(objects, found, errors, strict=True):
        if not isinstance(uids, InstanceUids):
            continue
        if isinstance(error, PermanentError):
            tally.reject(stored, uids, error, FailureStage.COPY)
        elif error is _STOPPED:
            tally.cancel(uids)


_STOPPED = object()


@dataclass
class _Copier:
    """Copies objects, in several threads, until the time is over or the operation is cancelled."""

    message: ExportStudy
    operation: Operation
    journal: Journal
    store: DicomStore
    folder: CopyFolder
    until: float
    is_stopped: bool = False
    is_cancelled: bool = False
    has_progressed: bool = False
    copies: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tokens = self.journal.rewrites.tokens(self.operation.name, self.message.page, self.message.task)
        self._next_look = monotonic() + _LOOK_SECONDS
        self._looking = Lock()

    def copy(self, position: int, stored: StoredObject, found: Found) -> object:
        """Copy an instance; return the error that it fails with, _STOPPED, or None. Raises TransientError."""
        if not isinstance(found, InstanceUids):
            return None
        try:
            return self._copy(position, stored, copy_names(found, stored))
        except PermanentError as error:
            return error
        except BaseException:
            self.is_stopped = True  # the other threads begin nothing more
            raise

    def _copy(self, position: int, stored: StoredObject, names: Sequence[str]) -> object:
        for name in names:
            for result in self._calls(position, stored, name):
                if result in (CopyResult.MADE, CopyResult.PRESENT):
                    self.copies.append(name)
                    self._warn(names[0], name)
                    return None
                if result is CopyResult.NAME_TAKEN:
                    break
            else:
                return _STOPPED
        raise AlreadyExists(f"Other contents have the names {self.folder.uri(names[0])} to {names[-1]}; move them away")

    def _calls(self, position: int, stored: StoredObject, name: str) -> Iterator[CopyResult]:
        """Yield the result of as many calls as the copy takes; nothing if it is to be stopped before."""
        token = self._tokens.get((position, name), "")
        source = self.store.copy_source(stored.name)
        while not self._is_over():
            result = self.folder.copy(source, stored, name, token)
            if isinstance(result, CopyResult):
                self.has_progressed = self.has_progressed or result is CopyResult.MADE
                yield result
                return
            token = result.token
            if token:
                self.journal.rewrites.keep(
                    self.operation.name, self.message.page, self.message.task, position, name, token
                )
                self.has_progressed = True

    def _is_over(self) -> bool:
        now = monotonic()
        if now >= self.until:
            self.is_stopped = True
        if not self.is_stopped and now >= self._next_look and self._looking.acquire(blocking=False):
            self._next_look = now + _LOOK_SECONDS
            try:
                current = self.journal.operations.load(self.operation.name)
            finally:
                self._looking.release()
            self.is_cancelled = current.cancel_requested
            self.is_stopped = self.is_stopped or self.is_cancelled
        return self.is_stopped

    def _warn(self, preferred: str, name: str) -> None:
        if name != preferred:
            log.warning(
                "%s has another content; the copy is %s",
                self.folder.uri(preferred),
                self.folder.uri(name),
                extra={"operation": str(self.operation.name)},
            )

"""The outcomes of the objects of a message."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from dicom_export.decoding.decoded import Skipped
from dicom_export.exporting.matching import UNNAMED, uids_of
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Failure, FailureStage
from dicom_export.operations.outcome import Outcome
from dicom_export.uids import InstanceUids, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dicom_export.decoding.decoded import Found
    from dicom_export.errors import PermanentError
    from dicom_export.operations.operation import Operation
    from dicom_export.stored_object import StoredObject

log = logging.getLogger(__name__)


class Tally:
    """Counts the objects of a message. `duplicates` says what becomes of objects with the same UIDs."""

    def __init__(self, operation: Operation, duplicates: str) -> None:
        self._operation = operation
        self._duplicates = duplicates
        self._instances: Counter[InstanceUids] = Counter()
        self._failures: list[Failure] = []
        self._skipped: list[int] = []
        self._passed_over: list[tuple[str, str]] = []
        self.objects = 0
        self.cancelled = 0

    def add(self, objects: Sequence[StoredObject], found: Iterable[Found]) -> None:
        """Count the decoded content of the next objects."""
        for stored, each in zip(objects, found, strict=True):
            if isinstance(each, InstanceUids):
                self._instances[each] += 1
            elif isinstance(each, Skipped):
                self._skipped.append(self.objects)
                if each != UNNAMED:
                    self._passed_over.append((stored.name, each.kind))
            else:
                self._fail(stored, FailureStage.READ, each, uids_of(each))
            self.objects += 1

    def reject(self, stored: StoredObject, uids: InstanceUids, error: PermanentError, stage: FailureStage) -> None:
        """Replace the success of an instance with a failure of a later stage."""
        self._instances[uids] -= 1
        self._fail(stored, stage, error, uids)

    def cancel(self, uids: InstanceUids) -> None:
        """Count an instance as cancelled that was counted as a success."""
        self._instances[uids] -= 1
        self.cancelled += 1

    def outcome(self, matched: Iterable[int]) -> Outcome:
        """Return the counters, failures, studies and matched positions of the filter.

        Log the instances that the store holds more than once.
        """
        success = self._instances.total()
        studies = tuple(sorted({key_of(uids.study) for uids, count in self._instances.items() if count and uids.study}))
        for uids, count in self._instances.items():
            if count > 1 and uids.instance:
                log.warning(
                    "%d objects hold the instance %s; %s",
                    count,
                    uids,
                    self._duplicates,
                    extra={"operation": str(self._operation.name)},
                )
        counters = Counters(
            success=success,
            failure=len(self._failures),
            skipped=len(self._skipped),
            cancelled=self.cancelled,
            studies=len(studies),
        )
        skipped, passed_over = tuple(self._skipped), tuple(self._passed_over)
        return Outcome(counters, tuple(self._failures), studies, skipped, tuple(sorted(matched)), passed_over)

    def _fail(self, stored: StoredObject, stage: FailureStage, error: PermanentError, uids: InstanceUids) -> None:
        self._failures.append(Failure(stored.name, stored.generation, stage, error.code, error.message, uids.shown))

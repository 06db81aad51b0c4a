"""Count what was decoded, batch by batch, so that progress is shown before a message is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from dicom_export.decoding.decoded import Skipped
from dicom_export.errors import PermanentError
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dicom_export.decoding.decoded import DecodedBatch, Found, Select
    from dicom_export.ports import DecodeBatches, DicomStore
    from dicom_export.rows.layout import RowLayout
    from dicom_export.stored_object import StoredObject


@dataclass
class DecodedCounts:
    """How many objects this process has decoded, by outcome. Objects of a message that is delivered again count again."""

    instances: int = 0
    failures: int = 0
    skipped: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, found: Iterable[Found]) -> None:
        """Count the objects of a batch."""
        kinds = [type(each) for each in found]
        instances = sum(issubclass(kind, InstanceUids) for kind in kinds)
        failures = sum(issubclass(kind, PermanentError) for kind in kinds)
        skipped = sum(issubclass(kind, Skipped) for kind in kinds)
        with self._lock:
            self.instances += instances
            self.failures += failures
            self.skipped += skipped


@dataclass(frozen=True, slots=True)
class CountedBatches:
    """Decodes as `decode` does, and counts the objects of each batch after its rows were taken."""

    decode: DecodeBatches
    counts: DecodedCounts

    def __call__(
        self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, select: Select | None, /
    ) -> Iterator[DecodedBatch]:
        for batch in self.decode(store, objects, layout, select):
            yield batch
            self.counts.add(batch.found)

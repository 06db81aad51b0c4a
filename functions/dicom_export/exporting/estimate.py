"""Look through a store, and measure a sample of its headers, for the estimate of an export."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, Any

from dicom_export.decoding.decoded import DecodedInstance, Skipped
from dicom_export.decoding.many import decode_in_turn
from dicom_export.operations.estimate import Estimate, Found, Sample, on_google_cloud, on_one_machine
from dicom_export.operations.planning import is_planned
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.schema import columns_of
from dicom_export.stores import WrappedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_export.decoding.budget import Limits
    from dicom_export.ports import DicomStore
    from dicom_export.rows.layout import RowLayout
    from dicom_export.stored_object import StoredObject
    from dicom_export.stores import DeclaredStore

SAMPLE = 200
LISTING_SECONDS = 20.0
SAMPLING_SECONDS = 10.0


def estimate_export(
    store: DeclaredStore,
    layout: RowLayout,
    limits: Limits,
    *,
    workers: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Estimate:
    """Return what an export of the store would take, after seconds, however large it is.

    `workers` is the number of processes on one machine; 0 for the functions on Google Cloud. Raises NotFound if the bucket or folder
    does not exist.
    """
    found, chosen = look_through(store, clock)
    sample = take_sample(store.objects, chosen, layout, limits, clock)
    return on_one_machine(found, sample, workers) if workers else on_google_cloud(found, sample)


def look_through(store: DeclaredStore, clock: Callable[[], float] = time.monotonic) -> tuple[Found, list[StoredObject]]:
    """Return what the store has, and a sample in which each object is with the same probability."""
    found = Found()
    chosen: list[StoredObject] = []
    random, deadline = Random(0), clock() + LISTING_SECONDS  # noqa: S311 - the same sample each time, not a secret
    for stored in store.objects.list():
        if clock() > deadline:
            found.is_complete = False
            break
        if not is_planned(stored, store.ignore):
            continue
        found.objects[stored.storage_class] += 1
        found.stored_bytes += stored.size
        if len(chosen) < SAMPLE:
            chosen.append(stored)
        elif (position := random.randrange(found.count)) < SAMPLE:
            chosen[position] = stored
    random.shuffle(chosen)
    return found, chosen


def take_sample(
    store: DicomStore, chosen: Sequence[StoredObject], layout: RowLayout, limits: Limits, clock: Callable[[], float]
) -> Sample:
    """Decode the objects, until that takes too long, and return what it took."""
    counted = _CountedStore(store)
    begin, cpu = clock(), time.thread_time()
    rows, objects, instances = [], 0, 0
    for decoded in decode_in_turn(counted, chosen, layout, limits=limits):
        objects += 1
        # An export counts what fails as an instance, too.
        instances += not isinstance(decoded, Skipped)
        if isinstance(decoded, DecodedInstance):
            rows.append(decoded.row)
        if clock() - begin > SAMPLING_SECONDS:
            break
    seconds, cpu_seconds = clock() - begin, time.thread_time() - cpu
    row_bytes = sum(_bytes_of(row, layout) for row in rows)
    return Sample(objects, instances, counted.reads, counted.read_bytes, row_bytes, seconds, cpu_seconds)


def _bytes_of(row: dict[str, Any], layout: RowLayout) -> int:
    return int(record_batch([row], columns_of(row, layout.kind)).nbytes)


class _CountedStore(WrappedStore):
    """Counts what is read."""

    def __init__(self, store: DicomStore) -> None:
        super().__init__(store)
        self.reads = self.read_bytes = 0

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        data = super().read(stored, start, length)
        self.reads += 1
        self.read_bytes += len(data)
        return data

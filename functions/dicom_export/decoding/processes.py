"""Decode headers on all cores: decoding is CPU-bound, and one Python process uses one core."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import cache, partial
from math import ceil
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from dicom_export.ahead import MOST_READERS, Ahead
from dicom_export.crashes import keep_values_back
from dicom_export.decoding.batches import (
    BATCH_HEADER_BYTES,
    BATCH_ROWS,
    batches_of,
    in_batches,
    size_of,
    without_excess,
)
from dicom_export.decoding.budget import DEFAULT_LIMITS, Limits, is_within
from dicom_export.decoding.decoded import DecodedInstance
from dicom_export.decoding.fast.memory import Memory
from dicom_export.decoding.isolation import Isolation
from dicom_export.decoding.many import decode_in_turn
from dicom_export.decoding.spawning import DecodingContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from dicom_export.decoding.decoded import Decoded, DecodedBatch, Select
    from dicom_export.ports import DicomStore
    from dicom_export.rows.layout import RowLayout
    from dicom_export.stored_object import StoredObject

# A chunk is sent as a whole: what the instances of a series share is sent once. It ends with the object that makes it too long. More than
# a few chunks for each process do not wait in memory, however many callers there are.
_CHUNK = 50
_CHUNKS_AHEAD = 2
_WORTH_A_PROCESS = 100
# Fewer than these in all are decoded before processes have begun, which takes each half a second of CPU time.
_WORTH_A_START = 1_000
# So many are decoded in the time that a process takes to begin.
_WHILE_IT_BEGINS = 500
# The columns of a batch take some 15 ms however few its rows are: of fewer than these that is more than another process would save.
_SMALL_BATCH = 500

# Some hundreds of rows: they hold no cycles, and after 700 objects, as by default, the collector would look through each of them again and again.
_OBJECTS_WITHOUT_CYCLES = 200_000

_OOM_SCORE = Path("/proc/self/oom_score_adj")

T = TypeVar("T")


class ParallelDecoder:
    """Decodes the objects of large messages in processes, which start as soon as there is enough to decode.

    With limits above the default ones, an object may take more memory than there is: then this process decodes none.
    The processes share the `readers`, which read the next objects if the store is slow.
    """

    def __init__(self, processes: int, limits: Limits = DEFAULT_LIMITS, readers: int = MOST_READERS) -> None:
        self._processes = processes
        self._is_bounded = is_within(limits, DEFAULT_LIMITS)
        readers_each = max(readers // max(processes, 1), 1)
        self._ahead = Ahead(readers_each)
        self._in_turn = partial(decode_in_turn, limits=limits, ahead=self._ahead)
        self._decode_chunk = partial(_decode_chunk, limits=limits, readers=readers_each)
        self._decode_batch = partial(_decode_batch, limits=limits, readers=readers_each)
        self._pool: ProcessPoolExecutor | None = None
        self._batch_rows = BATCH_ROWS
        self._seen = 0
        self._callers = 0
        self._starting = threading.Lock()
        self._isolation = Isolation(_begin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._isolation.close()
        self._ahead.__exit__(None, None, None)

    def __call__(
        self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, /, *, following: int = 0
    ) -> Iterator[Decoded]:
        if self._is_bounded and (
            not self._is_worth_it(objects, following) or (len(objects) <= _WHILE_IT_BEGINS and self._start_early())
        ):
            return self._in_turn(store, objects, layout)
        return self._chunks(store, objects, layout)

    def batches(
        self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, select: Select | None, /
    ) -> Iterable[DecodedBatch]:
        """Yield batches as `DecodeBatches` does. The processes build the batches, because columns are cheaper to send than rows."""
        if select:
            return batches_of(self)(store, objects, layout, select)
        if self._is_bounded and not self._is_worth_it(objects):
            return batches_of(self._in_turn)(store, objects, layout, None)
        return self._batches(store, objects, layout)

    def _chunks(self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout) -> Iterator[Decoded]:
        for chunk, decoded in self._in_processes(
            self._decode_chunk, store, _cut(objects, ceil(len(objects) / _CHUNK)), layout
        ):
            yield from decoded
            if len(decoded) < len(chunk):  # as in `_batches`
                yield from self._chunks(store, chunk[len(decoded) :], layout)

    def _batches(self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout) -> Iterator[DecodedBatch]:
        count = max(ceil(len(objects) / self._batch_rows), min(self._processes, len(objects) // _SMALL_BATCH))
        for chunk, batch in self._in_processes(self._decode_batch, store, _cut(objects, count), layout):
            self._batch_rows = _rows_like(batch)
            yield batch
            if len(batch.found) < len(chunk):  # its headers are longer than those before
                yield from self._batches(store, chunk[len(batch.found) :], layout)

    def _start_early(self) -> bool:
        """Start the processes, for the work that follows, and return True; False if they were started before."""
        if self._pool is not None:
            return False
        pool = self._started()
        for _ in range(self._processes):
            pool.submit(_memory)
        return True

    def _is_worth_it(self, objects: Sequence[StoredObject], following: int = 0) -> bool:
        if self._processes <= 1 or len(objects) < _WORTH_A_PROCESS:
            return False
        self._seen += len(objects)
        return self._pool is not None or self._seen + following >= _WORTH_A_START

    def _in_processes(
        self,
        decode: Callable[..., T],
        store: DicomStore,
        chunks: Iterable[Sequence[StoredObject]],
        layout: RowLayout,
    ) -> Iterator[tuple[Sequence[StoredObject], T]]:
        """Yield each chunk and its result, in order.

        If a process is killed, the objects that it worked on, or was to work on, are decoded again separately. They are not
        read ahead then, so that the object that a process reads is the one that it decodes.
        """
        remaining = iter(chunks)
        waiting: deque[tuple[Sequence[StoredObject], Future[T]]] = deque()
        with self._calling():
            while True:
                pool = self._started()
                try:
                    yield from self._done(pool, decode, store, remaining, layout, waiting)
                except BrokenProcessPool:
                    self._give_up(pool)
                    suspects = [chunk for chunk, _ in waiting]
                    waiting.clear()
                    for chunk in suspects:
                        yield from self._isolation.decode(partial(decode, readers=1), store, chunk, layout)
                else:
                    return

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Share the chunks that wait in memory with those who decode at the same time."""
        with self._starting:
            self._callers += 1
        try:
            yield
        finally:
            with self._starting:
                self._callers -= 1

    def _done(
        self,
        pool: ProcessPoolExecutor,
        decode: Callable[[DicomStore, Sequence[StoredObject], RowLayout], T],
        store: DicomStore,
        chunks: Iterator[Sequence[StoredObject]],
        layout: RowLayout,
        waiting: deque[tuple[Sequence[StoredObject], Future[T]]],
    ) -> Iterator[tuple[Sequence[StoredObject], T]]:
        """Yield the results of the chunks. Those without a result are `waiting`. Raises BrokenProcessPool."""
        for chunk in chunks:
            waiting.append((chunk, _submitted(pool, decode, store, chunk, layout)))
            if len(waiting) > self._processes * _CHUNKS_AHEAD // self._callers:
                result = waiting[0][0], waiting[0][1].result()
                waiting.popleft()
                yield result
        while waiting:
            result = waiting[0][0], waiting[0][1].result()
            waiting.popleft()
            yield result

    def _started(self) -> ProcessPoolExecutor:
        with self._starting:
            if self._pool is None:
                self._pool = _pool_of(self._processes)
            return self._pool

    def _give_up(self, pool: ProcessPoolExecutor) -> None:
        """Have the next message start a new pool."""
        with self._starting:
            if self._pool is pool:
                self._pool = None


def _submitted(
    pool: ProcessPoolExecutor,
    decode: Callable[[DicomStore, Sequence[StoredObject], RowLayout], T],
    store: DicomStore,
    chunk: Sequence[StoredObject],
    layout: RowLayout,
) -> Future[T]:
    """Return the future of the chunk, also if the pool is broken: then the future raises that."""
    try:
        return pool.submit(decode, store, chunk, layout)
    except BrokenProcessPool as error:
        future: Future[T] = Future()
        future.set_exception(error)
        return future


def _pool_of(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(processes, mp_context=DecodingContext(), initializer=_begin)


def _decode_chunk(
    store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, *, limits: Limits, readers: int = 1
) -> list[Decoded]:
    """Return the results of the first objects: of all objects, unless their headers are long."""
    chunk: list[Decoded] = []
    header_bytes = 0
    for each in decode_in_turn(store, objects, layout, _memory(), limits, ahead=_ahead(readers)):
        chunk.append(without_excess(each, layout.kind))
        header_bytes += size_of(each) if isinstance(each, DecodedInstance) else 0
        if header_bytes >= BATCH_HEADER_BYTES:
            break
    return chunk


def _decode_batch(
    store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, *, limits: Limits, readers: int = 1
) -> DecodedBatch:
    """Return the first batch of the objects: all of them, unless their headers are long."""
    return next(
        in_batches(decode_in_turn(store, objects, layout, _memory(), limits, ahead=_ahead(readers)), layout.kind)
    )


def _cut(objects: Sequence[StoredObject], count: int) -> Iterator[Sequence[StoredObject]]:
    """Yield about as many chunks of the objects, all but the last of the same size."""
    size = ceil(len(objects) / count) if count else 1
    return (objects[start : start + size] for start in range(0, len(objects), size))


def _rows_like(batch: DecodedBatch) -> int:
    """Return how many objects with headers like these make a batch."""
    mean = batch.header_bytes / len(batch.found)
    return max(1, int(min(BATCH_ROWS, BATCH_HEADER_BYTES / mean))) if mean else BATCH_ROWS


@cache
def _memory() -> Memory:
    """Return the memory of this process: the chunks of a series come to it one after the other."""
    return Memory()


@cache
def _ahead(readers: int) -> Ahead:
    """Return the readers of this process, which know from one chunk to the next whether the store is slow."""
    return Ahead(readers)


def _begin() -> None:
    """Leave Ctrl-C to the parent, end when the parent ends, show no values, and rarely collect cycles.

    Where memory runs out, Linux kills this process before its parent.
    """
    keep_values_back()
    with suppress(OSError):  # another system
        _OOM_SCORE.write_text("1000")
    gc.set_threshold(_OBJECTS_WITHOUT_CYCLES)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        wait([parent.sentinel])
        os._exit(1)

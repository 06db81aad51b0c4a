"""Headers decoded on all cores: decoding is CPU-bound, and one Python process uses one core."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Self

from dicom_export.dicom.series import SeriesMemory
from dicom_export.errors import Unavailable
from dicom_export.handlers.decoding import decode_in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from dicom_export.handlers.decoding import Decoded
    from dicom_export.ports import DicomStore, StoredObject
    from dicom_export.row_layout import RowLayout

# A chunk is sent as a whole: what the instances of a series share is sent once. More than a few chunks do not wait in memory.
_CHUNK = 50
_CHUNKS_AHEAD = 2
_WORTH_A_PROCESS = 100


class ParallelDecoder:
    """Decodes the objects of large messages in processes, which are started with the first of them."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def __call__(self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, /) -> Iterator[Decoded]:
        if self._processes <= 1 or len(objects) < _WORTH_A_PROCESS:
            yield from decode_in_turn(store, objects, layout)
            return
        pool = self._started()
        waiting: deque[Future[list[Decoded]]] = deque()
        try:
            for start in range(0, len(objects), _CHUNK):
                waiting.append(pool.submit(_decode_chunk, store, objects[start : start + _CHUNK], layout))
                if len(waiting) > self._processes * _CHUNKS_AHEAD:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            self._give_up(pool)
            raise Unavailable("A process that decodes was killed, perhaps for want of memory") from error

    def _started(self) -> ProcessPoolExecutor:
        with self._starting:
            if self._pool is None:
                # Forked children would inherit the locks that this process' threads hold.
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self._processes, mp_context=context, initializer=_follow_parent)
            return self._pool

    def _give_up(self, pool: ProcessPoolExecutor) -> None:
        """Have the next message start a new pool."""
        with self._starting:
            if self._pool is pool:
                self._pool = None


def _decode_chunk(store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout) -> list[Decoded]:
    return list(decode_in_turn(store, objects, layout, _memory()))


@cache
def _memory() -> SeriesMemory:
    """Return the memory of this process: the chunks of a series come to it one after the other."""
    return SeriesMemory()


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end with it even when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        wait([parent.sentinel])
        os._exit(1)

"""Decode objects in threads, so that the reads of many headers overlap."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING

from dicom_export.decoding.budget import DEFAULT_LIMITS, Limits
from dicom_export.decoding.fast.memory import Memory
from dicom_export.decoding.many import decode_one

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.decoding.decoded import Decoded
    from dicom_export.ports import DicomStore
    from dicom_export.rows.layout import RowLayout
    from dicom_export.stored_object import StoredObject


class DecodeAhead:
    """Decodes in threads, so that many headers are read at once."""

    def __init__(self, readers: int, limits: Limits = DEFAULT_LIMITS) -> None:
        self._readers = readers
        self._limits = limits

    def __call__(
        self,
        store: DicomStore,
        objects: Sequence[StoredObject],
        layout: RowLayout,
        /,
        *,
        following: int = 0,  # noqa: ARG002 - threads start in no time
    ) -> Iterator[Decoded]:
        """Yield the result of each object, in order. At most twice as many objects as readers are in memory."""
        memory = Memory()
        with ThreadPoolExecutor(self._readers) as pool:
            waiting: deque[Future[Decoded]] = deque()
            try:
                for stored in objects:
                    waiting.append(
                        pool.submit(copy_context().run, decode_one, store, stored, layout, memory, self._limits)
                    )
                    if len(waiting) >= 2 * self._readers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

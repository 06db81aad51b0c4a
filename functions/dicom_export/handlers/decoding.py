"""Many objects decoded, one at a time or side by side; what one of them is like costs no other its row."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from dicom_export.decoding.budget import DEFAULT_LIMITS, Limits
from dicom_export.dicom.series import SeriesMemory
from dicom_export.errors import DicomExportError, Internal, PermanentError
from dicom_export.rows.instance import DecodedInstance, Skipped, decode_instance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dicom_export.ports import DicomStore, StoredObject
    from dicom_export.row_layout import RowLayout

Decoded = DecodedInstance | Skipped | PermanentError


class Decode(Protocol):
    """Decodes many objects, in turn or side by side."""

    def __call__(
        self, store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, /, *, following: int = 0
    ) -> Iterable[Decoded]:
        """Yield what each object holds, in their order. Raises TransientError.

        `following` is how many more objects will be decoded soon: whether it pays to start what decodes them.
        """


def decode_in_turn(
    store: DicomStore,
    objects: Sequence[StoredObject],
    layout: RowLayout,
    memory: SeriesMemory | None = None,
    limits: Limits = DEFAULT_LIMITS,
    *,
    following: int = 0,  # noqa: ARG001 - there is nothing to start
) -> Iterator[Decoded]:
    """Yield what each object holds, in order: an instance, a reason to skip it, or the error that it fails with."""
    memory = memory or SeriesMemory()
    for stored in objects:
        yield _decode(store, stored, layout, memory, limits)


def _decode(
    store: DicomStore, stored: StoredObject, layout: RowLayout, memory: SeriesMemory, limits: Limits
) -> Decoded:
    try:
        return decode_instance(store, stored, layout, memory, limits)
    except PermanentError as error:
        return error
    except (DicomExportError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a defect that one instance shows must not cost the others their rows
        # Neither the exception's text nor its traceback: either may quote the value that it stumbled over.
        return Internal(f"{type(error).__name__} while decoding; please report this with the object's transfer syntax")


class DecodeAhead:
    """Decodes in threads, so that the reads of many headers are under way at once."""

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
        """Yield what each object holds, in order, and hold no more than twice as many as there are readers."""
        memory = SeriesMemory()
        with ThreadPoolExecutor(self._readers) as pool:
            waiting: deque[Future[Decoded]] = deque()
            try:
                for stored in objects:
                    waiting.append(pool.submit(_decode, store, stored, layout, memory, self._limits))
                    if len(waiting) >= 2 * self._readers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

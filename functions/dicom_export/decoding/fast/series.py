"""What is remembered of the series that were read last."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from dicom_export.decoding.fast.runs import Run
from dicom_export.dicom.object_file import LARGEST_RANGE
from dicom_export.stored_object import FIRST_RANGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.decoding.fast.kinds import Kinds
    from dicom_export.decoding.fast.runs import Whole


class Repeated(NamedTuple):
    """What the instances of a series repeat of their file meta information, and of their data set in its encoding."""

    meta: Sequence[Run | Whole]
    kinds: Kinds
    elements: Sequence[Run | Whole]

    @property
    def size(self) -> int:
        """The bytes of headers that are held."""
        parts = (*self.meta, *self.elements)
        return sum(len(part.content if isinstance(part, Run) else part[0]) for part in parts)


class SeriesMemory:
    """What the instances of a series repeat, for the series that were read last.

    Threads may share it: what it holds is replaced and never changed, and if two replace the same, either will do. It
    holds no more than 32 series, and 1 MiB of their headers' bytes; and how long the headers were in as many folders with long ones.
    """

    def __init__(self, most_series: int = 32, most_bytes: int = 1024 * 1024) -> None:
        self._most_series = most_series
        self._most_bytes = most_bytes
        self._bytes = 0
        self._series: OrderedDict[bytes, Repeated] = OrderedDict()
        self._long_headers: OrderedDict[str, int] = OrderedDict()
        self._replacing = Lock()

    def first_range(self, name: str) -> int:
        """Return how many bytes to read first of the object of this name: what the last header in its folder would have taken."""
        length = self._long_headers.get(_folder(name), 0)
        return min(max(FIRST_RANGE, length + FIRST_RANGE // 2), LARGEST_RANGE)

    def note_length(self, name: str, length: int) -> None:
        """Note how many bytes the header of the object of this name has."""
        folder = _folder(name)
        if length <= FIRST_RANGE and folder not in self._long_headers:
            return
        with self._replacing:
            self._long_headers.pop(folder, None)
            self._long_headers[folder] = length
            if len(self._long_headers) > self._most_series:
                self._long_headers.popitem(last=False)

    def recall(self, series: bytes) -> Repeated | None:
        """Return what instances of the series repeat, if any was read."""
        return self._series.get(series)

    def keep(self, series: bytes, repeated: Repeated) -> None:
        """Put what instances of the series repeat in the place of what was known."""
        with self._replacing:
            self._forget(series)
            self._series[series] = repeated
            self._bytes += repeated.size
            while self._series and (self._bytes > self._most_bytes or len(self._series) > self._most_series):
                self._forget(next(iter(self._series)))

    def _forget(self, series: bytes) -> None:
        known = self._series.pop(series, None)
        self._bytes -= known.size if known else 0


def _folder(name: str) -> str:
    return name.rpartition("/")[0]

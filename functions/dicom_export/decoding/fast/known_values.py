"""Values that were converted before, in any header: dates, names, codes and numbers, which headers have many times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_export.dicom.character_sets import ESCAPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.decoding.context import Context

LONGEST = 64
"""Bytes of the longest value that is remembered: what is longer is rarely met again."""


class KnownValues(dict[bytes, Any]):
    """What a conversion made of values, by their bytes; at most `most`, afresh when it is full.

    Only of ASCII without escape sequences, which mean the same in every character set; the conversion must depend on
    nothing else. Threads may share it: equal bytes always have the same value. Nobody may change a value in place.
    """

    def __init__(self, convert: Callable[[bytes, Context], Any], most: int = 4096) -> None:
        super().__init__()
        self._convert = convert
        self._most = most

    def convert(self, value: bytes, context: Context) -> Any:
        """Convert the value and remember the result. Raises what the conversion raises."""
        converted = self._convert(value, context)
        if len(value) <= LONGEST and value.isascii() and ESCAPE not in value:
            if len(self) >= self._most:
                self.clear()
            self[value] = converted
        return converted

"""Short sequences that were met before, in any header: mostly codes and references, which far more headers share than a series has.

A short sequence takes more time than any other element, as each of its items is a data set. Where its bytes are known,
its items are taken over from the sequence that was met before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.decoding.fast.kinds import RUN
from dicom_export.decoding.fast.runs import Run

if TYPE_CHECKING:
    from dicom_export.decoding.fast.kinds import Kinds
    from dicom_export.decoding.fast.runs import Element

LONGEST = 512
"""Bytes that a short sequence has at most, with its header."""


class ShortSequences:
    """The elements of short sequences by all that their parsing depends on: encoding, depth, and every byte of them.

    What depends on an owner of a private block outside of the sequence has to be kept out. Threads may share it: what it
    holds is replaced and never changed. It holds `most` at a time, at most 1 MiB of their bytes.
    """

    def __init__(self, most: int = 2048) -> None:
        self._most = most
        self._elements: dict[tuple[int, int, bytes], Element] = {}

    def recall(self, kinds: Kinds, depth: int, content: bytes) -> Element | None:
        """Return the element, as a run of which what becomes of it is kept; None if it was not met."""
        key = (id(kinds), depth, content)
        element = self._elements.get(key)
        if element is not None and element[0] is not RUN:  # most are met once, and never need to be a run
            element = self._elements[key] = RUN, Run(content, [element], {}, {}), len(content)
        return element

    def keep(self, kinds: Kinds, depth: int, content: bytes, element: Element) -> None:
        """Remember the element."""
        if len(self._elements) >= self._most:
            self._elements.clear()
        self._elements[id(kinds), depth, content] = element

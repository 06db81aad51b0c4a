"""Runs: elements that repeat side by side, byte for byte the same, from instance to instance or from item to item.

Where a run's bytes are met again at the start of an element, they are the same elements: nothing of them is parsed, or
converted, again. What differs from the instance before is in no run any more, so that those remain which do repeat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_export.decoding.fast.kinds import RUN, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


Element = tuple[Kind, Any, int]
"""Its kind, its value, and the bytes that it takes with its header.

The value is bytes, or a list of items; None for pixels, and for items of more than 1 MiB. Of the kind RUN, it is a run.
"""


class Run:
    """Elements side by side, their bytes, and what became of them once they were converted.

    Among elements `(RUN, run, len(run.content))` stands for it. It does not hold that itself: such cycles only the collector frees.
    `kept` has the values, by tag, that other elements depend on; `owners` the creators of private blocks that the
    elements depend on themselves and that are not among them. `made` is what a context made of the elements: set as a
    whole, and of the same context always the same.
    """

    __slots__ = ("content", "elements", "first", "headers", "kept", "last", "made", "owners")

    def __init__(
        self, content: bytes, elements: Sequence[Element], kept: Mapping[int, bytes], owners: Mapping[int, bytes | None]
    ) -> None:
        self.content = content
        self.elements = elements
        self.first = elements[0][0].tag
        self.last = elements[-1][0].tag
        self.kept = kept
        self.owners = owners
        self.headers = sum([kind.header for kind, _, _ in elements])
        self.made: tuple[object, Any] | None = None

    def is_owned(self, kept: Mapping[int, bytes]) -> bool:
        """Say whether the private blocks have the same owners after elements of which these values were kept."""
        return not self.owners or all(kept.get(tag) == owner for tag, owner in self.owners.items())


class Rest:
    """The elements of a data set, or of a run that was not met, from one of them on: what to take runs from."""

    __slots__ = ("_content", "_elements", "_index", "_offset", "_owners", "first", "last")

    def __init__(self, content: bytes, elements: Sequence[Element], owners: Mapping[int, bytes | None]) -> None:
        self._content = content
        self._elements = elements
        self._owners = owners
        self._index = 0
        self._offset = 0
        self.first = elements[0][0].tag
        self.last = elements[-1][0].tag

    def take(self, data: bytes, position: int, end: int, kept: Mapping[int, bytes]) -> Run | None:
        """Return the run of the next elements that are in the data from the position on, if any."""
        start, begin = self._index, self._offset
        own: dict[int, bytes] = {}
        owners: dict[int, bytes | None] = {}
        for kind, value, size in self._elements[start:]:
            offset = self._offset
            if position + offset - begin + size > end or not data.startswith(
                self._content[offset : offset + size], position + offset - begin
            ):
                break
            if kind.creator and kind.creator not in own:
                if kept.get(kind.creator) != self._owners.get(kind.creator):
                    break
                owners[kind.creator] = kept.get(kind.creator)
            if kind.is_kept and isinstance(value, bytes):
                own[kind.tag] = value
            self._advance()
        if self._index == start:
            return None
        return Run(self._content[begin : self._offset], self._elements[start : self._index], own, owners)

    def skip_to(self, tag: int) -> None:
        """Leave out the elements before the tag."""
        while self.first < tag:
            self._advance()

    def _advance(self) -> None:
        self._offset += self._elements[self._index][2]
        self._index += 1
        self.first = self._elements[self._index][0].tag if self._index < len(self._elements) else self.last + 1


Item = tuple[list[Element], dict[int, bytes]]
"""An item's elements, and the values among them that others depend on, by tag."""

Whole = tuple[bytes, list[Element], dict[int, bytes]]
"""A data set that is the first in its place: its bytes, its elements, the values that others depend on."""


def rest_of(run: Run | Rest) -> Rest:
    """Return what runs can be taken from where the run was not met as a whole."""
    return run if isinstance(run, Rest) else Rest(run.content, run.elements, {**run.owners, **run.kept})


def elements_of(entries: Sequence[Element]) -> list[Element]:
    """Return the elements, those of runs among them."""
    elements: list[Element] = []
    for entry in entries:
        if entry[0] is RUN:
            elements.extend(entry[1].elements)
        else:
            elements.append(entry)
    return elements

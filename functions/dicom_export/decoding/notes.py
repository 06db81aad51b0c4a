"""Note which elements did not become a column, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dicom_export.dicom.dictionary import keyword_of, tag_name


class Fate(StrEnum):
    """The fate of an element that has no value in a column of its own."""

    OTHER_ELEMENTS = "OtherElements"
    DROPPED_TAGS = "DroppedTags"
    NOT_EXTRACTED = "not extracted"
    OTHER_VR = "Metadata, with another VR"


@dataclass(frozen=True, slots=True)
class Note:
    """One element and its fate, without its value.

    `path` has the names of the sequences that it is in, with the items' numbers from 1: `ContentSequence[2]`.
    """

    path: tuple[str, ...]
    tag: int
    fate: Fate
    reason: str

    @property
    def name(self) -> str:
        """The element's keyword, or `Tag_GGGGEEEE`."""
        return name_of(self.tag)


class Notes:
    """The notes of one instance while it is decoded. Nothing is kept unless the notes are wanted."""

    def __init__(self, *, are_kept: bool = False) -> None:
        self.notes: list[Note] = []
        self._are_kept = are_kept
        self._path: list[str] = []

    def add(self, tag: int, fate: Fate, reason: str) -> None:
        """Note the fate of an element at the current path."""
        if self._are_kept:
            self.notes.append(Note(tuple(self._path), tag, fate, reason))

    def enter(self, tag: int, item: int) -> None:
        """Extend the path by an item of a sequence, counted from 1."""
        if self._are_kept:
            self._path.append(f"{name_of(tag)}[{item}]")

    def leave(self) -> None:
        """Remove the item that `enter` added from the path."""
        if self._are_kept:
            self._path.pop()


def name_of(tag: int) -> str:
    """Return the keyword of a tag, or `Tag_GGGGEEEE`."""
    return keyword_of(tag) or tag_name(tag)

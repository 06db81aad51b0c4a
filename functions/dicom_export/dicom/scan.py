"""The fast way through a data set: explicit and implicit little endian, parsed by the book and by nothing else.

What is not by the book (tags out of order, a VR that is none, an item that ends inside an element) is `Unusual`: pydicom
then reads the header, so that the two never have to agree on what to make of it.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - named as the class that it is
from typing import TYPE_CHECKING

from dicom_export.dicom.encoding import is_vr
from dicom_export.dicom.kinds import EXPLICIT, IMPLICIT, Incomplete, Kind, Kinds, Unusual, private_kind, sequence_kind
from dicom_export.dicom.runs import Expected, Rest, Run, elements_of, rest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.dicom.runs import Entry, Item, Whole

MAX_VALUE = 1024 * 1024
MAX_DEPTH = 10
"""Deeper items have rules of their own in a row, and limits."""

UNDEFINED_LENGTH = 0xFFFFFFFF
NO_TAG = 1 << 32

_LONGEST_UN = 0xFFFF
_ITEM = 0xE000FFFE
_ITEM_DELIMITER = 0xE00DFFFE
_SEQUENCE_DELIMITER = 0xE0DDFFFE
_ITEM_HEADER = Struct("<LL").unpack_from
_HEADER = 8


class DataSetScan:
    """A data set as far as it is scanned: all before `position`, each entry an element or a run.

    `kept` has the values that other elements depend on, by tag. `begun` is a sequence that goes on behind the bytes that
    were there: where it starts, its items so far, where the next of them does.
    """

    __slots__ = (
        "_below",
        "_is_first",
        "_start",
        "begun",
        "entries",
        "kept",
        "kinds",
        "last",
        "pending",
        "position",
        "repeated",
    )

    def __init__(self, position: int, kinds: Kinds, expected: Expected) -> None:
        self.position = position
        self.last = 0
        self.kinds = kinds
        self.entries: list[Entry] = []
        self.kept: dict[int, bytes] = {}
        self.begun: tuple[int, list[Item], int] | None = None
        self.pending = expected.pending(kinds)
        self.repeated: list[Run] = []
        self._below = expected.below
        self._is_first = expected.parts is None or expected.kinds is not kinds
        self._start = position

    def below(self, tag: int) -> Expected:
        """Return what the items of a sequence may repeat."""
        below = self._below.get(tag)
        if below is None:
            below = self._below[tag] = Expected()
        return below

    def repeat(self, tag: int, data: bytes, position: int, end: int) -> Run | None:
        """Return the run of elements that are at the position, of which the first has the tag, as they were before."""
        pending = self.pending
        while pending and pending[-1].first <= tag:
            if pending[-1].last < tag:
                self._miss(pending.pop())
                continue
            rest = pending[-1] = rest_of(pending[-1])
            rest.skip_to(tag)
            run = rest.take(data, position, end, self.kept)
            if rest.first > rest.last:
                pending.pop()
            if run:
                self.repeated.append(run)
            return run
        return None

    def repeats(self, data: bytes, *, is_mended: bool = False) -> Sequence[Run | Whole] | None:
        """Return what the next data set in this one's place may repeat: the runs that this one did, or all of the first.

        All of it as well if it is mended and shows that by now most elements are in no run.
        """
        if not self._is_first:
            while self.pending:
                self._miss(self.pending.pop())
            if not is_mended or 2 * (len(self.entries) - len(self.repeated)) <= len(elements_of(self.entries)):
                return self.repeated
        return [(data[self._start : self.position], elements_of(self.entries), self.kept)] if self.entries else None

    def _miss(self, run: Run | Rest) -> None:
        """Keep a run of which nothing was met: what one instance lacks the next may have."""
        if isinstance(run, Run):
            self.repeated.append(run)


class Scanner:
    """Scans data sets in the first bytes of an object."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def scan(self, found: DataSetScan, end: int, *, depth: int = 0, stop_at: int = NO_TAG) -> Kind | None:
        """Scan up to the end, to what is no element, or to the first tag not below `stop_at`; return that one's kind.

        Raises Unusual, or Incomplete if more of the object has to be read; the scan can be taken up again then.
        """
        data, kinds, entries, pending = self.data, found.kinds, found.entries, found.pending
        key, position, last = kinds.key, found.position, found.last
        try:
            while position < end:
                run = pending[-1] if pending else None
                if isinstance(run, Run) and data.startswith(run.content, position):
                    after = position + len(run.content)
                    if after <= end and run.first > last and run.is_owned(found.kept):
                        pending.pop()
                        found.repeated.append(run)
                        found.kept.update(run.kept)
                        entries.append(run)
                        position, last = after, run.last
                        continue
                kind = kinds[data[position : position + key]]
                tag = kind.tag
                if tag >= stop_at or kind.is_end:
                    return kind
                if tag <= last:
                    raise Unusual
                if run is not None and tag >= run.first:
                    run = found.repeat(tag, data, position, end)
                    if run is not None:
                        found.kept.update(run.kept)
                        entries.append(run)
                        position, last = position + len(run.content), run.last
                        continue
                (length,) = kind.unpack_length(data, position + kind.length_at)
                start = position + kind.header
                stop = start + length
                if kind.is_plain and stop <= end and length <= MAX_VALUE:
                    entries.append((kind, data[start:stop], stop - position))
                else:
                    found.position, found.last = position, last
                    stop = self._special(found, kind, start, length, end, depth)
                position, last = stop, tag
        except StructError:
            raise Incomplete from None
        finally:
            found.position, found.last = position, last
        return None

    def _special(self, found: DataSetScan, kind: Kind, start: int, length: int, end: int, depth: int) -> int:
        """Add an element with items, or with a value that is more than its bytes; return where it ends."""
        if kind.is_kept and (kind.is_sequence or length == UNDEFINED_LENGTH):
            raise Unusual
        if length == UNDEFINED_LENGTH:
            kind = self._undefined(kind, start)
            items, stop = self._items(found, kind.tag, start, end, depth, is_delimited=True)
            is_too_large = not depth and stop - start > MAX_VALUE
            found.entries.append((kind, None if is_too_large else items, stop - start + kind.header))
            return stop
        stop = start + length
        if kind.creator:
            kind = private_kind(kind, found.kept.get(kind.creator))
        if length > MAX_VALUE or (kind.is_un and kind.header != _HEADER and kind.vr != "UN" and length >= _LONGEST_UN):
            raise Unusual
        if stop > end:
            raise self._cut(end)
        value: bytes | list[Item]
        if kind.is_sequence:
            value, _ = self._items(found, kind.tag, start, stop, depth, is_delimited=False)
        else:
            value = self.data[start:stop]
            if kind.is_kept:
                found.kept[kind.tag] = value
        found.entries.append((kind, value, stop - start + kind.header))
        return stop

    def _undefined(self, kind: Kind, start: int) -> Kind:
        """Return the kind of an element of undefined length: a sequence, as UN (PS3.5 §6.2.2) and what has items are too."""
        if kind.is_sequence:
            return kind
        if not kind.is_un:
            raise Unusual
        if kind.header == _HEADER and _ITEM_HEADER(self.data, start)[0] != _ITEM:
            raise Unusual
        return sequence_kind(kind)

    def _items(
        self, found: DataSetScan, tag: int, position: int, end: int, depth: int, *, is_delimited: bool
    ) -> tuple[list[Item], int]:
        """Return the items of a sequence (PS3.5 §7.5), and where it ends."""
        if depth >= MAX_DEPTH:
            raise Unusual
        start = position
        items: list[Item] = []
        if found.begun and found.begun[0] == start:
            _, items, position = found.begun
        below = found.below(tag)
        try:
            while position < end:
                item, length = _ITEM_HEADER(self.data, position)
                if item == _SEQUENCE_DELIMITER and is_delimited and not length:
                    return items, position + _HEADER
                if item != _ITEM:
                    raise Unusual
                position = self._item(items, found.kinds, below, position + _HEADER, length, end, depth)
        except (Incomplete, StructError):
            found.begun = start, items, position
            raise
        if is_delimited:
            raise self._cut(end)
        return items, position

    def _item(
        self, items: list[Item], kinds: Kinds, expected: Expected, position: int, length: int, end: int, depth: int
    ) -> int:
        """Add the item whose elements start at the position; return where it ends.

        In a data set of explicit VR an item may have implicit VR: those of VR UN do, by PS3.5 §6.2.2, and others as well.
        """
        stop = end if length == UNDEFINED_LENGTH else position + length
        if stop > end:
            raise self._cut(end)
        if position + _HEADER > len(self.data) and position < stop:
            raise Incomplete
        if kinds is EXPLICIT and not is_vr(self.data[position + 4 : position + 6]):
            kinds = IMPLICIT
        item = DataSetScan(position, kinds, expected)
        delimiter = self.scan(item, stop, depth=depth + 1)
        if (delimiter is None) is (length == UNDEFINED_LENGTH):
            raise Unusual if delimiter else self._cut(end)
        expected.kinds, expected.parts = kinds, item.repeats(self.data)
        items.append((item.entries, item.kept))
        if delimiter is None:
            return item.position
        if _ITEM_HEADER(self.data, item.position) != (_ITEM_DELIMITER, 0):
            raise Unusual
        return item.position + _HEADER

    def _cut(self, end: int) -> Exception:
        """Return what it means that a value goes on behind the end."""
        return Incomplete() if end == len(self.data) else Unusual()

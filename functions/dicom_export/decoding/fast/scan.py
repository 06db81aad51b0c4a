"""The fast way through a data set: explicit and implicit little endian, parsed by the book and by nothing else.

What is not by the book (tags out of order, a VR that is none, an item that ends inside an element) is `Unusual`: pydicom
then reads the header, so that the two never have to agree on what to make of it.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - named as the class that it is
from typing import TYPE_CHECKING

from dicom_export.decoding.fast.kinds import (
    EXPLICIT,
    IMPLICIT,
    RUN,
    Incomplete,
    Kind,
    Kinds,
    Unusual,
    decimal_kind,
    private_kind,
    sequence_kind,
)
from dicom_export.decoding.fast.runs import Rest, Run, elements_of, rest_of
from dicom_export.decoding.fast.short_sequences import LONGEST, ShortSequences
from dicom_export.decoding.reference.data_set import is_decimal_text, owner_in
from dicom_export.decoding.reference.parser import MAX_VALUE, ONCE_WRITTEN_SHORT
from dicom_export.dicom.encoding import is_vr
from dicom_export.dicom.tags import ELEMENT_HEADER, UNDEFINED_LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.decoding.fast.runs import Element, Item, Whole

MAX_DEPTH = 10
"""Deeper items have rules of their own in a row, and limits."""

NO_TAG = 1 << 32

_NUMBERS = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "US or SS", "UV"})

SHORT_SEQUENCES = ShortSequences()

_FEW_ITEMS = 4  # to look for what so few repeat costs more than it saves
_ITEM = 0xE000FFFE
_ITEM_DELIMITER = 0xE00DFFFE
_SEQUENCE_DELIMITER = 0xE0DDFFFE
_ITEM_HEADER = Struct("<LL").unpack_from


class DataSetScan:
    """A data set as far as it is scanned: all before `position`, each entry an element or a run.

    `kept` has the values that other elements depend on, by tag. `begun` is a sequence that continues after the bytes that
    were there: where it starts, its items so far, where the next of them does.
    """

    last = 0
    begun: tuple[int, list[Item], int] | None = None
    pending: list[Run | Rest] | None = None

    def __init__(self, position: int, kinds: Kinds) -> None:
        self.start = self.position = position
        self.kinds = kinds
        self.entries: list[Element] = []
        self.kept: dict[int, bytes] = {}
        self.longer_headers = 0
        self.repeated: list[Run] = []

    @property
    def value_bytes(self) -> int:
        """The encoded bytes of all values."""
        return self.position - self.start - ELEMENT_HEADER * len(self.entries) - self.longer_headers

    def expect(self, kinds: Kinds | None, parts: Sequence[Run | Whole]) -> None:
        """Look for what was there before, in the encoding."""
        if kinds is self.kinds:
            self.pending = [part if isinstance(part, Run) else Rest(*part) for part in reversed(parts)]

    def next_run(self, pending: list[Run | Rest], data: bytes, position: int, tag: int, end: int) -> Run | None:
        """Add and return the pending run that is at the position, where the tag is, and ends before the end; None if none is there."""
        run = pending[-1]
        if (
            run.first == tag
            and isinstance(run, Run)
            and data.startswith(run.content, position)
            and position + len(run.content) <= end
            and (not run.owners or run.is_owned(self.kept))
        ):
            pending.pop()
            self._add(run)
            return run
        return self._part(pending, tag, data, position, end)

    def _part(self, pending: list[Run | Rest], tag: int, data: bytes, position: int, end: int) -> Run | None:
        """Add and return the run of the elements, the first with the tag, that are there of a run or of all that was."""
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
                self._add(run)
            return run
        return None

    def repeats(self, data: bytes, *, is_mended: bool = False) -> Sequence[Run | Whole]:
        """Return what the next data set in this one's place may repeat: the runs that this one did, or all of the first.

        All of it as well if it is mended and shows that by now most elements are in no run.
        """
        if self.pending is not None:
            while self.pending:
                self._miss(self.pending.pop())
            alone = len(self.entries) - len(self.repeated)
            if not is_mended or alone <= sum([len(run.elements) for run in self.repeated]):
                return self.repeated
        if not self.entries:
            return []
        return [(data[self.start : self.position], elements_of(self.entries), self.kept.copy())]

    def _add(self, run: Run) -> None:
        self.entries.append((RUN, run, len(run.content)))
        self.repeated.append(run)
        self.longer_headers += run.headers - ELEMENT_HEADER
        if run.kept:
            self.kept.update(run.kept)

    def _miss(self, run: Run | Rest) -> None:
        """Keep a run of which nothing was met: what one instance lacks the next may have."""
        if isinstance(run, Run):
            self.repeated.append(run)


class Scanner:
    """Scans data sets in the first bytes of an object. `holds_large`: also the items of sequences of more than 1 MiB at the top."""

    def __init__(self, data: bytes, *, holds_large: bool = False) -> None:
        self.data = data
        self.holds_large = holds_large

    def scan(self, found: DataSetScan, end: int, *, depth: int = 0, stop_at: int = NO_TAG) -> Kind | None:
        """Scan up to the end, to bytes that are not an element, or to the first tag not below `stop_at`; return its kind.

        Raises Unusual, or Incomplete if more of the object has to be read; the scan can be taken up again then.
        """
        data, kinds, entries, pending = self.data, found.kinds, found.entries, found.pending
        expected = pending[-1].first if pending else NO_TAG  # what comes before it is in no run
        head, position, last = kinds.head, found.position, found.last
        try:
            while position < end:
                first, length = head(data, position)
                kind, tag, is_plain = kinds[first]
                if pending and last < tag >= expected:
                    run = found.next_run(pending, data, position, tag, end)
                    expected = pending[-1].first if pending else NO_TAG
                    if run is not None:
                        position, last = position + len(run.content), run.last
                        continue
                if not last < tag < stop_at:
                    if tag >= stop_at:
                        return kind
                    raise Unusual
                stop = position + 8 + length
                if is_plain and stop <= end and length <= MAX_VALUE:
                    entries.append((kind, data[position + 8 : stop], stop - position))
                elif kind.is_kept and kind.header == ELEMENT_HEADER and stop <= end and length <= MAX_VALUE:
                    value = found.kept[tag] = data[position + 8 : stop]
                    entries.append((kind, value, stop - position))
                elif kind.is_end:
                    return kind
                else:
                    stop = self._special(found, kind, position, end, depth)
                position, last = stop, tag
        except StructError:
            raise Incomplete from None
        finally:
            found.position, found.last = position, last
        return None

    def _special(self, found: DataSetScan, kind: Kind, position: int, end: int, depth: int) -> int:
        """Add an element with a longer header, with items, or with a value that others depend on; return where it ends."""
        length = self._length(found.kinds, kind, position)
        start = position + kind.header
        if kind.is_kept and (kind.is_sequence or length == UNDEFINED_LENGTH):
            raise Unusual
        if length == UNDEFINED_LENGTH:
            kind = self._undefined(kind, start)
            items, stop = self._items(found, start, end, depth, is_delimited=True)
            is_too_large = not depth and not self.holds_large and stop - start > MAX_VALUE
            found.entries.append((kind, None if is_too_large else items, stop - start + kind.header))
            found.longer_headers += kind.header - ELEMENT_HEADER
            return stop
        stop = start + length
        if kind.creator:
            kind = private_kind(kind, owner_in(found.kept.get(kind.creator)))
        if length > MAX_VALUE and not (kind.is_sequence and self.holds_large):
            raise Unusual
        if stop > end:
            raise self._cut(end)
        value: bytes | list[Item]
        if kind.is_sequence:
            if stop - position <= LONGEST and not kind.creator:
                self._add_short_sequence(found, kind, position, stop, depth)
                return stop
            value, _ = self._items(found, start, stop, depth, is_delimited=False)
        else:
            value = self.data[start:stop]
            if kind.creator and kind.vr in _NUMBERS and is_decimal_text(value):
                kind = decimal_kind(kind)
            if kind.is_kept:
                found.kept[kind.tag] = value
        found.entries.append((kind, value, stop - start + kind.header))
        found.longer_headers += kind.header - ELEMENT_HEADER
        return stop

    def _length(self, kinds: Kinds, kind: Kind, position: int) -> int:
        """Return an element's length. Raises Unusual if a short length may be written where the VR has a long one."""
        if (
            kind.vr in ONCE_WRITTEN_SHORT
            and kind.header != ELEMENT_HEADER
            and any(self.data[position + 6 : position + 8])
        ):
            raise Unusual
        return kinds.length(self.data, position, kind)

    def _add_short_sequence(self, found: DataSetScan, kind: Kind, position: int, stop: int, depth: int) -> None:
        content = self.data[position:stop]
        element = SHORT_SEQUENCES.recall(found.kinds, depth, content)
        if element is None:
            items, _ = self._items(found, position + kind.header, stop, depth, is_delimited=False)
            element = kind, items, len(content)
            SHORT_SEQUENCES.keep(found.kinds, depth, content, element)
        found.entries.append(element)
        found.longer_headers += kind.header - ELEMENT_HEADER

    def _undefined(self, kind: Kind, start: int) -> Kind:
        """Return the kind of an element of undefined length: a sequence, as UN (PS3.5 §6.2.2) and what has items are too."""
        if kind.is_sequence:
            return kind
        if not kind.is_un:
            raise Unusual
        if kind.header == ELEMENT_HEADER and _ITEM_HEADER(self.data, start)[0] != _ITEM:
            raise Unusual
        return sequence_kind(kind)

    def _items(
        self, found: DataSetScan, position: int, end: int, depth: int, *, is_delimited: bool
    ) -> tuple[list[Item], int]:
        """Return the items of a sequence (PS3.5 §7.5), and where it ends."""
        if depth >= MAX_DEPTH:
            raise Unusual
        start = position
        items: list[Item] = []
        if found.begun and found.begun[0] == start:
            _, items, position = found.begun
        last: DataSetScan | None = None
        try:
            while position < end:
                delimiter, length = _ITEM_HEADER(self.data, position)
                if delimiter == _SEQUENCE_DELIMITER and is_delimited and not length:
                    return items, position + ELEMENT_HEADER
                if delimiter != _ITEM:
                    raise Unusual
                item = DataSetScan(
                    position + ELEMENT_HEADER, self._kinds_of_item(found.kinds, position + ELEMENT_HEADER)
                )
                if last is not None and len(items) >= _FEW_ITEMS:
                    item.expect(last.kinds, last.repeats(self.data))
                position = self._item(item, length, end, depth)
                items.append((item.entries, item.kept))
                last = item
        except (Incomplete, StructError):
            found.begun = start, items, position
            raise
        if is_delimited:
            raise self._cut(end)
        return items, position

    def _kinds_of_item(self, kinds: Kinds, position: int) -> Kinds:
        """Return the encoding of an item: in a data set of explicit VR it may have implicit VR.

        Those of VR UN do, by PS3.5 §6.2.2, and others as well.
        """
        return EXPLICIT if kinds is EXPLICIT and is_vr(self.data[position + 4 : position + 6]) else IMPLICIT

    def _item(self, item: DataSetScan, length: int, end: int, depth: int) -> int:
        """Scan the item, and return where it ends."""
        if length == UNDEFINED_LENGTH:
            if item.position + ELEMENT_HEADER > len(self.data):
                raise Incomplete
            if self.scan(item, end, depth=depth + 1) is None:
                raise self._cut(end)
            if _ITEM_HEADER(self.data, item.position) != (_ITEM_DELIMITER, 0):
                raise Unusual
            return item.position + ELEMENT_HEADER
        stop = item.position + length
        if stop > end:
            raise self._cut(end)
        if self.scan(item, stop, depth=depth + 1):
            raise Unusual
        return stop

    def _cut(self, end: int) -> Exception:
        """Return the exception for a value that extends past the end."""
        return Incomplete() if end == len(self.data) else Unusual()

"""Parse the data elements of a file one after another, in any encoding, also where writers violate PS3.5 §7.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

from dicom_export.dicom.dictionary import display_in_error, is_private, may_be_text, standard_vr
from dicom_export.dicom.encoding import STRUCTS, Encoding, is_vr
from dicom_export.dicom.tags import (
    ELEMENT_HEADER,
    GROUPS_OUTSIDE_DATA_SETS,
    ITEM,
    ITEM_DELIMITER,
    LONG_HEADER,
    PIXEL_DATA,
    PRIVATE_CREATORS,
    SEQUENCE_DELIMITER,
    UIDS,
    UNDEFINED_LENGTH,
)
from dicom_export.errors import InstanceError, TruncatedInstance

if TYPE_CHECKING:
    from dicom_export.decoding.budget import Budget
    from dicom_export.dicom.object_file import HeaderFile

MAX_VALUE = 1024 * 1024
"""Bytes of the longest value that is read, but for the sequences of the JSON schema: a row leaves out what is longer."""


ONCE_WRITTEN_SHORT = frozenset({"SV", "UV"})
"""VRs with a long length that writers who do not know them give a short one."""

_DELIMITERS = frozenset({ITEM_DELIMITER, SEQUENCE_DELIMITER})
_AFTER_OTHER_ELEMENTS = (*UIDS[:2], 0x00280010, PIXEL_DATA)

_SHORT_VRS = frozenset(str(vr) for vr in STANDARD_VR) - frozenset(str(vr) for vr in EXPLICIT_VR_LENGTH_32)
_LONG_VRS = frozenset(str(vr) for vr in EXPLICIT_VR_LENGTH_32)


@dataclass(frozen=True, slots=True)
class DataElement:
    """One element.

    `vr` is the one that the file states, None where it states none. `value` is the bytes, or the items of a sequence of undefined
    length; None for what was not read: pixels, and what has more than 1 MiB. `length` counts the bytes of the encoded value.
    """

    tag: int
    vr: str | None
    value: bytes | list[Elements] | None
    length: int
    is_implicit: bool = False
    is_little_endian: bool = True


Elements = dict[int, DataElement]
"""The elements of one data set, at the top or an item, by tag."""


class Head(NamedTuple):
    """The bytes before an element's value: the start of the element, the start of the value, and the stated length."""

    tag: int
    vr: str | None
    position: int
    start: int
    length: int


def is_outside_data_sets(tag: int) -> bool:
    """Return whether elements of this group cannot be in a data set: commands, and file meta information (PS3.5 §7.1)."""
    return tag >> 16 in GROUPS_OUTSIDE_DATA_SETS


class Parser:
    """Reads elements of one encoding from a file. `end` is where the data set must end, None if only the file's end limits it."""

    def __init__(self, file: HeaderFile, encoding: Encoding, budget: Budget) -> None:
        self.encoding = encoding
        self._file = file
        self._budget = budget
        self._tag, self._short, self._long = STRUCTS[encoding.order]

    def head(self, position: int, end: int | None, last: int) -> Head | None:
        """Return the head of the element at the position, None if the data set ends there.

        `last` is the tag before. Raises TruncatedInstance if the file ends first, InstanceError if this cannot be an element.
        """
        data = self._file.rest(position, LONG_HEADER)
        left = len(data) if end is None else min(len(data), end - position)
        if left < ELEMENT_HEADER:
            if not left or (self.encoding.is_little_endian and not any(data[:left])):
                return None  # padding; in big endian, zeros may be what is left of an element
            raise self._fragment(data[:left], position, last, is_limited=end is not None)
        group, number = self._tag.unpack_from(data)
        return self._head(group << 16 | number, data[:left], position, end)

    def stray_head(self, position: int) -> Head | None:
        """Return the head of an element that cannot be in a data set. Each of these may have its own encoding."""
        data = self._file.rest(position, LONG_HEADER)
        if len(data) < ELEMENT_HEADER:
            return None
        group, number = self._tag.unpack_from(data)
        tag = group << 16 | number
        if not is_outside_data_sets(tag):
            return None
        encoding = Encoding(not is_vr(data[4:6]), self.encoding.is_little_endian)
        return Parser(self._file, encoding, self._budget).head(position, None, tag)

    def element(self, head: Head, end: int | None, last: int, depth: int = 0) -> DataElement:
        """Read the element's value, if the budget has it be held. The file is then at its end."""
        self._budget.spend_elements(1)
        if head.length == UNDEFINED_LENGTH:
            return self._undefined(head, end, depth)
        stop = head.start + head.length
        if end is not None and stop > end:
            raise self._overrun(head, end, last)
        value = None
        if self._takes(head, stop, depth):
            value = self._file.rest(head.start, head.length)
            is_there = len(value) == head.length
        else:
            is_there = self._file.skips_to(stop)
        if not is_there:
            raise self._overrun(head, end, last)
        self._file.seek(stop)
        return self._data_element(head, value, head.length)

    def items(self, position: int, end: int | None, depth: int, *, is_delimited: bool) -> list[Elements]:
        """Read the items of a sequence (PS3.5 §7.5), which are held if the budget says so; the file is then at the sequence's end."""
        found: list[Elements] = []
        while is_delimited or end is None or position < end:
            data = self._file.rest(position, ELEMENT_HEADER)
            if len(data) < ELEMENT_HEADER or (end is not None and position + ELEMENT_HEADER > end):
                raise self._cut_or_malformed(position, end, "a sequence goes on")
            group, number = self._tag.unpack_from(data)
            tag, length = group << 16 | number, self._long.unpack_from(data, 4)[0]
            position += ELEMENT_HEADER
            if tag == SEQUENCE_DELIMITER:
                break
            if tag != ITEM:
                raise malformed(
                    position - ELEMENT_HEADER, f"{display_in_error(tag)} where an item of a sequence is expected"
                )
            self._budget.spend_elements(1)
            item, position = self._item(position, length, end, depth)
            if self._budget.is_holding:
                found.append(item)
            else:
                found.clear()
        self._file.seek(position)
        return found

    def _head(self, tag: int, data: bytes, position: int, end: int | None) -> Head:
        implicit = Head(tag, None, position, position + ELEMENT_HEADER, self._long.unpack_from(data, 4)[0])
        if self.encoding.is_implicit or tag in _DELIMITERS or tag == ITEM:
            return implicit
        stated = data[4:6]
        short = Head(tag, None, position, position + ELEMENT_HEADER, self._short.unpack_from(data, 6)[0])
        if not is_vr(stated):
            # An element without VR (pydicom#1067); or one whose VR is not letters, with the short length that most VRs have.
            is_short = self._is_printable(stated) and not self._fits(implicit, end) and self._fits(short, end)
            return short if is_short else implicit
        vr = stated.decode()
        short = short._replace(vr=vr)
        if vr in _SHORT_VRS:
            return short
        if len(data) < LONG_HEADER:
            raise self._cut_or_malformed(position, end, f"the header of {display_in_error(tag)} goes on")
        long = Head(tag, vr, position, position + LONG_HEADER, self._long.unpack_from(data, ELEMENT_HEADER)[0])
        if vr in _LONG_VRS - ONCE_WRITTEN_SHORT:
            return long
        # Other VRs have a long length too (PS3.5 §7.1.2); but writers that do not know them wrote a short one.
        is_long = not any(data[6:8]) and (self._fits(long, end) or long.length == UNDEFINED_LENGTH)
        return long if is_long or not self._fits(short, end) else short

    @staticmethod
    def _is_printable(vr: bytes) -> bool:
        return all(b" "[0] <= byte < b"A"[0] for byte in vr)

    def _fits(self, head: Head, end: int | None) -> bool:
        stop = head.start + head.length
        return stop <= end if end is not None else self._file.reaches(stop)

    def _data_element(self, head: Head, value: bytes | list[Elements] | None, length: int) -> DataElement:
        encoding = self.encoding
        return DataElement(head.tag, head.vr, value, length, encoding.is_implicit, encoding.is_little_endian)

    def _takes(self, head: Head, stop: int, depth: int) -> bool:
        """Say whether the value is held, and take it from the budget then."""
        if depth:
            self._budget.reach(stop)
        if head.length > MAX_VALUE and not (
            self._budget.holds_large and self._may_be_items(head) and (depth or self._budget.has_room_for(head.length))
        ):
            return False
        if self._budget.is_holding:
            self._budget.spend_bytes(head.length)
        if head.length > MAX_VALUE and not depth:
            self._budget.reach(stop)
        return self._budget.is_holding

    def _may_be_items(self, head: Head) -> bool:
        """Say whether a value with a length is that of a sequence, as far as can be told without its private creator."""
        return standard_vr(head.tag) == "SQ" if head.vr == "UN" else self._is_sequence(head)

    def _undefined(self, head: Head, end: int | None, depth: int) -> DataElement:
        if not self._is_sequence(head):
            self._skip_fragments(head, end)
            return self._data_element(head, None, self._file.tell() - head.start)
        self._budget.check_depth(depth, display_in_error(head.tag))
        items = self.items(head.start, end, depth, is_delimited=True)
        stop = self._file.tell()
        self._budget.reach(stop)
        return self._data_element(head._replace(vr="SQ"), items if self._budget.is_holding else None, stop - head.start)

    def _is_sequence(self, head: Head) -> bool:
        """Say whether a value of undefined length is items: also that of VR UN (PS3.5 §6.2.2), and what begins with one."""
        if head.vr in {"SQ", "UN"}:
            return True
        if head.vr is not None:
            return False
        if standard_vr(head.tag) == "SQ":
            return True
        first = self._file.rest(head.start, ELEMENT_HEADER)
        return len(first) == ELEMENT_HEADER and self._tag.unpack_from(first) == (ITEM >> 16, ITEM & 0xFFFF)

    def _skip_fragments(self, head: Head, end: int | None) -> None:
        """Pass over a value that is encapsulated (PS3.5 §A.4), or that a delimiter ends."""
        position = head.start
        while True:
            data = self._file.rest(position, ELEMENT_HEADER)
            if len(data) < ELEMENT_HEADER or (end is not None and position + ELEMENT_HEADER > end):
                raise self._cut_or_malformed(position, end, f"the value of {display_in_error(head.tag)} goes on")
            group, number = self._tag.unpack_from(data)
            tag, length = group << 16 | number, self._long.unpack_from(data, 4)[0]
            position += ELEMENT_HEADER
            if tag == SEQUENCE_DELIMITER:
                break
            if tag != ITEM:
                position = self._delimiter_after(head)
                break
            position += length
            self._budget.spend_elements(1)
        self._file.seek(position)

    def _delimiter_after(self, head: Head) -> int:
        """Return the end of the delimiter of a value without fragments."""
        delimiter = self._tag.pack(SEQUENCE_DELIMITER >> 16, SEQUENCE_DELIMITER & 0xFFFF) + bytes(4)
        found = self._file.rest(head.start, MAX_VALUE).find(delimiter) if self._file.can_look_back else -1
        if found < 0:
            raise malformed(head.position, f"the value of {display_in_error(head.tag)} has no end")
        return head.start + found + ELEMENT_HEADER

    def _item(self, position: int, length: int, end: int | None, depth: int) -> tuple[Elements, int]:
        """Read the elements of an item, and return them with where the item ends."""
        if length == UNDEFINED_LENGTH:
            return self._nested(position, end).data_set(position, end, depth + 1, is_delimited=True)
        stop = position + length
        if end is not None and stop > end:
            raise malformed(position - ELEMENT_HEADER, f"an item of {length} bytes, which ends after its sequence")
        is_cut = not self._file.reaches(stop)
        elements, _ = self._nested(position, stop).data_set(
            position, None if is_cut else stop, depth + 1, is_delimited=False
        )
        if is_cut:
            raise TruncatedInstance("Cut short: the object ends inside an item of a sequence")
        return elements, stop

    def _nested(self, position: int, end: int | None) -> Parser:
        """Return the parser of an item.

        In a data set of explicit VR an item may have implicit VR: those of VR UN do, by PS3.5 §6.2.2, and others as well. Items of
        explicit VR in a data set of implicit VR are against the standard, and old ones of Philips are such (fo-dicom#565).
        """
        first = self._file.rest(position, ELEMENT_HEADER)
        if len(first) < ELEMENT_HEADER:
            return self
        stated = first[4:6]
        is_implicit = not is_vr(stated)
        if self.encoding.is_implicit and not is_implicit:
            head = Head(0, None, position, position + ELEMENT_HEADER, self._long.unpack_from(first, 4)[0])
            is_implicit = self._fits(head, end) or stated.decode() not in STANDARD_VR
        if is_implicit == self.encoding.is_implicit:
            return self
        return Parser(self._file, Encoding(is_implicit, self.encoding.is_little_endian), self._budget)

    def data_set(self, position: int, end: int | None, depth: int, *, is_delimited: bool) -> tuple[Elements, int]:
        """Read the elements of an item up to its end or its delimiter; return them with where they end."""
        elements: Elements = {}
        last = 0
        while is_delimited or end is None or position < end:
            head = self.head(position, end, last)
            if head is None:
                if is_delimited or end is None:
                    raise self._cut_or_malformed(position, end, "an item of a sequence goes on")
                break
            if head.tag in _DELIMITERS:
                position = self._after_delimiter(head, is_delimited=is_delimited)
                if is_delimited:
                    break
                continue
            element = self.element(head, end, last, depth)
            position, last = self._file.tell(), head.tag
            if self._budget.is_holding and not is_outside_data_sets(head.tag):
                elements[head.tag] = element
        return elements, position

    def _after_delimiter(self, head: Head, *, is_delimited: bool) -> int:
        """Return where to continue after a delimiter.

        Where the delimiter of the sequence ends its last item too (fo-dicom#763), that of the sequence is still to be read; unless
        another one follows, or another item: then it stood for the item's (fo-dicom#1157).
        """
        if head.tag == ITEM_DELIMITER or not is_delimited:
            return head.start
        data = self._file.rest(head.position, 2 * ELEMENT_HEADER)
        if len(data) == 2 * ELEMENT_HEADER:
            group, number = self._tag.unpack_from(data, ELEMENT_HEADER)
            if group << 16 | number in {SEQUENCE_DELIMITER, ITEM}:
                return head.start
        return head.position

    def _fragment(self, data: bytes, position: int, last: int, *, is_limited: bool) -> InstanceError:
        """Return the error for fewer bytes than an element has at least."""
        if not is_limited and (len(data) < self._tag.size or self._may_follow(data, last)):
            return TruncatedInstance(f"Cut short: the object ends inside the element at byte {position}")
        return malformed(position, f"{len(data)} bytes, which are not an element")

    def _may_follow(self, data: bytes, last: int) -> bool:
        group, number = self._tag.unpack_from(data)
        tag = group << 16 | number
        is_item = tag == ITEM or tag in _DELIMITERS
        return is_item or (tag > last and (is_private(tag) or standard_vr(tag) is not None))

    def _overrun(self, head: Head, end: int | None, last: int) -> InstanceError:
        """Return the error for a value that extends past the end of its container: damaged, unless the file itself ends."""
        if end is None and self._is_plausible(head, last) and not self._has_elements_after(head):
            return TruncatedInstance(f"Cut short: the object ends inside the value of {display_in_error(head.tag)}")
        if may_be_text(head.tag):  # so may its length
            return malformed(head.position, "text where an element is expected")
        return malformed(head.position, f"{head.length:,} bytes as the length of {display_in_error(head.tag)}")

    def _is_plausible(self, head: Head, last: int) -> bool:
        """Return whether the head looks like that of a real element, and not like other bytes."""
        if head.tag <= last or (head.vr is None) != self.encoding.is_implicit:
            return False
        if is_private(head.tag):
            follows_its_creator = head.tag >> 16 == last >> 16 or head.tag & 0xFFFF in PRIVATE_CREATORS
            return head.vr in STANDARD_VR if head.vr else follows_its_creator
        known = standard_vr(head.tag)
        return known is not None and (head.vr in {None, "UN"} or head.vr in known.split(" or "))

    def _has_elements_after(self, head: Head) -> bool:
        """Say whether a header of an element that files have after this one is in the bytes that its value would cover."""
        if not self._file.can_look_back:
            return False
        rest = self._file.rest(head.start, MAX_VALUE)
        return any(
            tag > head.tag and self._tag.pack(tag >> 16, tag & 0xFFFF) + self._vr_of(tag) in rest
            for tag in _AFTER_OTHER_ELEMENTS
        )

    def _vr_of(self, tag: int) -> bytes:
        vr = standard_vr(tag) or ""
        return b"" if self.encoding.is_implicit else b"O" if vr == "OB or OW" else vr.encode()

    def _cut_or_malformed(self, position: int, end: int | None, what: str) -> InstanceError:
        if end is None:
            return TruncatedInstance(f"Cut short: the object ends at byte {position}, where {what}")
        return malformed(position, f"the value of the sequence ends where {what}")


def malformed(position: int, what: str) -> InstanceError:
    """Return the error for malformed bytes."""
    return InstanceError(f"Malformed at byte {position}: {what}")

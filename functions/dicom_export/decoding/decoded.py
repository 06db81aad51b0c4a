"""What is known of an object after its header was decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_export.errors import PermanentError
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.decoding.notes import Note
    from dicom_export.rows.arrow import Batch, TooLarge
    from dicom_export.rows.schema import Schema


Row = dict[str, Any]
"""Column to value: nested dicts and lists, None for a column that is present and NULL."""


class DecodedInstance(NamedTuple):
    """An instance's complete row, which instance it is, and how large its values are in the file: a bound of the row's size."""

    row: Row
    uids: InstanceUids
    header_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that is not an instance, or that the filter does not name: `kind` says what it is instead."""

    kind: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """An instance's row, and what became of the elements that have no value in a column of their own."""

    row: Row
    uids: InstanceUids
    header_bytes: int
    notes: tuple[Note, ...]


Decoded = DecodedInstance | Skipped | PermanentError
"""What decoding an object gives: an instance, a reason to skip it, or the error that it fails with."""

Select = Callable[[Decoded], Decoded]
"""Returns what was decoded, or that it is skipped."""


Found = InstanceUids | Skipped | PermanentError
"""The UIDs of an instance that is a row, the reason why an object is none, or the error that it fails with."""


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """What was found in each of some objects, in their order, and the rows of the instances among them, in the same order.

    `schema` has the columns that the rows have among them; each part of `rows` fits one request, or is a row that does not, or one that
    needs more columns than an instance may add, which the schema is without.
    """

    found: Sequence[Found]
    schema: Schema
    rows: Sequence[Batch | TooLarge | Wide]
    header_bytes: int


@dataclass(frozen=True, slots=True)
class Wide:
    """A row with more columns than one instance may add to a table: its index, and the row."""

    index: int
    row: Row

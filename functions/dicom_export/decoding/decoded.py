"""Define the results of decoding an object's header."""

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
    """An instance's complete row, its UIDs, and the size of its values in the file, which limits the size of the row."""

    row: Row
    uids: InstanceUids
    header_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that is not an instance, or that the filter does not name. `kind` says which."""

    kind: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """An instance's row, and notes on the elements that have no value in a column of their own."""

    row: Row
    uids: InstanceUids
    header_bytes: int
    notes: tuple[Note, ...]


Decoded = DecodedInstance | Skipped | PermanentError
"""The result of decoding an object: an instance, a reason to skip it, or an error."""

Select = Callable[[Decoded], Decoded]
"""Returns the decoded object, or that it is skipped."""


Found = InstanceUids | Skipped | PermanentError
"""The UIDs of an instance that has a row, the reason to skip an object, or its error."""


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """The results of some objects, in their order, and the rows of the instances among them, in the same order.

    `schema` has all columns of the rows. Each part of `rows` fits one request, or is one row that does not, or one row that needs more
    columns than an instance may add; the schema lacks these.
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

"""The planner takes the columns of a sample whose rows it does not hold all at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from dicom_export.decoding.batches import BATCH_HEADER_BYTES
from dicom_export.decoding.budget import DEFAULT_COLUMN_LIMITS
from dicom_export.decoding.decoded import DecodedInstance, Skipped
from dicom_export.handlers.plan_export import _columns
from dicom_export.uids import InstanceUids
from support.factories import make_operation

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 100


class Row(dict[str, Any]):
    """A row that counts how many of them there are."""

    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self, number: int) -> None:
        super().__init__({"SOPInstanceUID": f"1.{number}", "PatientID" if number % 2 else "PatientComments": "x"})
        self.counts["now"] += 1
        self.counts["most"] = max(self.counts["most"], self.counts["now"])

    def __del__(self) -> None:
        self.counts["now"] -= 1


def decode(*_: object, **__: object) -> Iterator[DecodedInstance | Skipped]:
    """Give instances with headers of 4 MiB."""
    for number in range(ROWS):
        yield DecodedInstance(Row(number), InstanceUids(instance=f"1.{number}"), BATCH_HEADER_BYTES // 3)
        yield Skipped("for a test")


def test_a_sample_of_long_headers_is_looked_at_a_few_at_a_time() -> None:
    columns = _columns(make_operation(), None, [], decode, (), DEFAULT_COLUMN_LIMITS, planned=ROWS)  # type: ignore[arg-type]
    assert {"SOPInstanceUID", "PatientID", "PatientComments"} <= {column.name for column in columns}
    assert Row.counts["most"] <= 6

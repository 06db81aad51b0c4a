"""The operations of all datasets, newest first, and the tables of the latest exports: the ones that people most likely mean."""

from __future__ import annotations

from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from dicom_export.operations.request import ExportRequest, RepairRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_export.exporting.service import OperationsService
    from dicom_export.names import DatasetName, TableName
    from dicom_export.operations.operation import Operation

_LOOKED_AT = 200


def newest_first(
    service: OperationsService, parents: Iterable[DatasetName], after: str = "", *, most: int | None = None
) -> Iterator[tuple[str, Operation]]:
    """Yield the operations of all these datasets with their positions, from the position `after`; at most `most` of each dataset."""
    lists = [islice(service.journal.operations.newest_first(parent, after), most) for parent in parents]
    # A position begins with the age of its operation.
    return merge(*lists, key=lambda found: found[0])


def latest_tables(service: OperationsService, parents: list[DatasetName]) -> Iterator[TableName]:
    """Yield the tables of the latest exports and repairs, the newest first."""
    for _, operation in newest_first(service, parents, most=_LOOKED_AT):
        if isinstance(operation.requested, ExportRequest | RepairRequest):
            yield operation.requested.table

"""The tables of the latest exports: the ones that people most likely mean."""

from __future__ import annotations

from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from dicom_export.operations.request import ExportRequest, RepairRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.exporting.service import OperationsService
    from dicom_export.names import DatasetName, TableName

_LOOKED_AT = 200


def latest_tables(service: OperationsService, parents: list[DatasetName]) -> Iterator[TableName]:
    """Yield the tables of the latest exports and repairs, the newest first."""
    lists = [islice(service.journal.operations.newest_first(parent), _LOOKED_AT) for parent in parents]
    # A position begins with the age of its operation.
    for _, operation in merge(*lists, key=lambda found: found[0]):
        if isinstance(operation.requested, ExportRequest | RepairRequest):
            yield operation.requested.table

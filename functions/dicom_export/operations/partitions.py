"""Exports to tables that are partitioned by LastUpdated: which objects these tables do not keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.errors import FailedPrecondition
from dicom_export.operations.request import ExportRequest, RepairRequest
from dicom_export.rows.partitioning import Untimely

if TYPE_CHECKING:
    from dicom_export.ports import TableInfo
    from dicom_export.rows.partitioning import Partitioning

_MS_PER_DAY = 86_400_000


def partitioning_for(request: ExportRequest | RepairRequest, table: TableInfo | None) -> Partitioning | None:
    """Return the partitions of the table, or those that it gets if it does not exist."""
    if table is not None:
        return table.partitioning
    return request.partitioning if isinstance(request, ExportRequest) else None


def refuse_untimely(
    request: ExportRequest | RepairRequest, untimely: Untimely, partitioning: Partitioning | None
) -> None:
    """Raise FailedPrecondition, with the numbers, if there are objects whose rows the table does not keep."""
    if not untimely or partitioning is None:
        return
    days = (partitioning.expiration_ms or 0) / _MS_PER_DAY
    found = (
        (
            untimely.expired,
            f"older than the expiration of {days:,g} days, so that BigQuery would drop their rows at once",
        ),
        (untimely.old, "older than ten years, which BigQuery refuses"),
        (untimely.future, "from more than a year in the future, which BigQuery refuses"),
    )
    objects = ", ".join(f"{count:,} {reason}" for count, reason in found if count)
    without = "expirationMs" if untimely == Untimely(untimely.expired) else "partitions"
    since = (
        ' set "_since" in the request to a time that leaves these objects out, or'
        if isinstance(request, ExportRequest) and not untimely.future
        else ""
    )
    raise FailedPrecondition(
        f"Table {request.table} is partitioned by LastUpdated, the time when each object was written. It does not keep the rows"
        f" of all listed objects: {objects}. None of them was read. To go on,{since} export to a new table without {without}"
    )

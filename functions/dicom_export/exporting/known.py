"""The objects of a page that have a row already, told from those that have to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dicom_export.operations.planning import bundled
from dicom_export.operations.request import VerifyRequest
from dicom_export.verifying.known_objects import split_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.operations.operation import Operation
    from dicom_export.operations.planning import PlanLimits, Task
    from dicom_export.ports import Comparisons, DicomStore
    from dicom_export.stored_object import StoredObject


class Divided(NamedTuple):
    """The tasks with the objects to read, and those with the objects that have a row.

    `unchanged` counts objects that have a row and are in no task, because nothing is to be done.
    """

    unknown: Sequence[Task]
    known: Sequence[Task] = ()
    unchanged: int = 0


def divided(
    tasks: Sequence[Task], operation: Operation, store: DicomStore, tables: Comparisons, limits: PlanLimits
) -> Divided:
    """Return the tasks of a page, divided if the operation compares its objects with the rows of a table.

    The rows are those that the table had when the first page was planned: no object is taken for
    known because of a row that this operation wrote. One copy of the rows serves all pages, because
    BigQuery would charge for the whole table at each of them.
    """
    if not operation.compares_objects:
        return Divided(tasks)
    known, _ = _split([stored for task in tasks for stored in task], operation, store, tables)
    if not known:
        return Divided(tasks)
    request = operation.request
    names = {stored.name for stored in known}
    unknown = (tuple(stored for stored in task if stored.name not in names) for task in tasks)
    remaining = bundled(unknown, limits.bundle)
    if not isinstance(request, VerifyRequest):
        return Divided(remaining, unchanged=len(known))
    return Divided(remaining, bundled(((stored,) for stored in known), limits.split))


def without_row(
    objects: Sequence[StoredObject], operation: Operation, store: DicomStore, tables: Comparisons
) -> Sequence[StoredObject]:
    """Return the objects that the operation has to read: all, unless it compares them with the rows of a table."""
    return _split(objects, operation, store, tables)[1] if operation.compares_objects and objects else objects


def _split(
    objects: Sequence[StoredObject], operation: Operation, store: DicomStore, tables: Comparisons
) -> tuple[list[StoredObject], list[StoredObject]]:
    request = operation.request
    table = request.compared if isinstance(request, VerifyRequest) else operation.table
    tables.keep_objects(table, operation.objects, job=f"{operation.name.operation}-objects")
    return split_known(objects, store.uri, tables, operation.objects)

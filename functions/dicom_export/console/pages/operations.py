"""The list of operations, the newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from dicom_export.console import numbers
from dicom_export.console.latest import newest_first
from dicom_export.console.shell import page
from dicom_export.console.views.operation import OperationView, view_of
from dicom_export.console.views.status import FILTERS, status_of

if TYPE_CHECKING:
    from dicom_export.console.exchange import Page, PageRequest
    from dicom_export.console.installation import Installation
    from dicom_export.operations.operation import Operation

_PER_PAGE = 50
_LOOKED_AT = 2_000
_REFRESH = 1_000


@dataclass(frozen=True, slots=True)
class OperationsFilter:
    """What the list is filtered by, as the address has it."""

    status: str = ""
    text: str = ""
    store: str = ""
    after: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether all operations are listed."""
        return not (self.status or self.text or self.store)

    def address(self, **changes: str) -> str:
        """Return the address of the list with another value of some fields, from its first page."""
        changed = replace(self, **{"after": "", **changes})
        names = {"status": changed.status, "q": changed.text, "store": changed.store, "after": changed.after}
        values = {name: value for name, value in names.items() if value}
        return f"operations?{urlencode(values)}" if values else "operations"

    def takes(self, operation: Operation) -> bool:
        """Say whether the operation is listed."""
        request = operation.requested
        if self.store and not (request and str(request.store) == self.store):
            return False
        if self.status and status_of(operation) not in FILTERS[self.status]:
            return False
        view = view_of(operation)
        return not self.text or any(
            self.text.lower() in part.lower() for part in (view.id, view.store, view.table_text)
        )


def show(request: PageRequest, installation: Installation) -> Page:
    """Show a page of the list."""
    query = request.query
    status = query.get("status", "")
    wanted = OperationsFilter(
        status if status in FILTERS else "", query.get("q", "").strip(), query.get("store", ""), query.get("after", "")
    )
    service = installation.service
    found, last = _found(installation, wanted)
    views = [
        view_of(each if each.is_done else service.get_operation(each.name), is_local=installation.is_local)
        for each in found
    ]
    days = [(day, list(group)) for day, group in groupby(views, key=_day)]
    return page(
        request,
        installation,
        "operations.html",
        days=days,
        filter=wanted,
        filters=tuple(FILTERS),
        stores=[each for parent in service.datasets() for each in service.list_stores(parent)],
        older=wanted.address(after=last) if last else "",
        live=_REFRESH if any(not view.is_done for view in views) else 0,
    )


def _day(view: OperationView) -> str:
    return numbers.day(view.operation.create_time, view.now)


def _found(installation: Installation, wanted: OperationsFilter) -> tuple[list[Operation], str]:
    """Return a page of the operations of all datasets, and the position where the next page begins, if there may be one.

    A page looks at a limited number of operations, however few of them match.
    """
    newest = newest_first(installation.service, installation.service.datasets(), wanted.after)
    found: list[Operation] = []
    last = ""
    for number, (at, each) in enumerate(newest):
        if len(found) == _PER_PAGE or number == _LOOKED_AT:
            return found, last
        last = at
        if wanted.takes(each):
            found.append(each)
    return found, ""

"""The stores: what they hold, where new uploads go, the last export of each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from dicom_export.console.exchange import Page, see_other
from dicom_export.console.shell import page
from dicom_export.console.views.operation import OperationView, table_address, view_of
from dicom_export.errors import DicomExportError
from dicom_export.names import StoreName
from dicom_export.stores import declared

if TYPE_CHECKING:
    from dicom_export.console.counts import Count
    from dicom_export.console.exchange import PageRequest
    from dicom_export.console.installation import Installation

_LOOKED_AT = 200
_REFRESH = 2_000


@dataclass(frozen=True, slots=True)
class StoreRow:
    """A store as the list shows it. `problem` says why it cannot be read."""

    name: StoreName
    address: str
    count: Count | None
    streams: tuple[tuple[str, str], ...]
    last: OperationView | None
    problem: str
    export_href: str


def show(request: PageRequest, installation: Installation) -> Page:
    """Show the stores."""
    service = installation.service
    last = _last_exports(installation)
    wanted = {name: request.query[name] for name in ("filter_uri",) if request.query.get(name)}
    rows = [
        _row(name, installation, last.get(name), wanted)
        for parent in service.datasets()
        for name in service.list_stores(parent)
    ]
    is_running = any(row.last and not row.last.is_done for row in rows)
    values: dict[str, Any] = {
        "rows": rows,
        "several": len({row.name.parent for row in rows}) > 1,
        "filter_uri": wanted.get("filter_uri", ""),
        "problem": request.query.get("problem", ""),
    }
    return page(request, installation, "stores.html", live=_REFRESH if is_running else 0, **values)


def count(request: PageRequest, installation: Installation) -> Page:
    """Count the objects of one store, or of all."""
    service = installation.service
    name = request.form.get("store", "")
    wanted = (
        [StoreName.parse(name)]
        if name
        else [each for parent in service.datasets() for each in service.list_stores(parent)]
    )
    for each in wanted:
        store = declared(service.stores, each)
        try:
            installation.counts.count(each, store.objects)
        except DicomExportError as error:
            installation.counts.refuse(each, error.message)
    return see_other("./")


def _row(name: StoreName, installation: Installation, last: OperationView | None, wanted: dict[str, str]) -> StoreRow:
    store = declared(installation.service.stores, name)
    values = {"store": str(name), **({"take": "filter", **wanted} if wanted else {})}
    streams = tuple(
        (
            f"{each.table.project}.{each.table.dataset}.{each.table.table}",
            table_address(each.table, is_local=installation.is_local),
        )
        for each in store.streams
    )
    return StoreRow(
        name,
        store.objects.uri("").removeprefix("file://") if installation.is_local else store.objects.uri(""),
        installation.counts.latest(name),
        streams,
        last,
        installation.counts.problem(name),
        f"export?{urlencode(values)}",
    )


def _last_exports(installation: Installation) -> dict[StoreName, OperationView]:
    """Return the latest operation of each store, among the latest operations of its dataset."""
    service = installation.service
    found: dict[StoreName, OperationView] = {}
    for parent in service.datasets():
        missing = set(service.list_stores(parent))
        for _, operation in islice(service.journal.operations.newest_first(parent), _LOOKED_AT):
            if operation.requested and operation.requested.store in missing:
                missing.discard(operation.requested.store)
                counted = operation if operation.is_done else service.get_operation(operation.name)
                found[operation.requested.store] = view_of(counted, is_local=installation.is_local)
            if not missing:
                break
    return found

"""An operation: how far it is, what failed and why, and what can be done about it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from dicom_export.console import security
from dicom_export.console.exchange import Page, see_other
from dicom_export.console.shell import page
from dicom_export.console.texts import t
from dicom_export.console.views.failures import MOST_GROUPED, csv_lines, grouped, matches
from dicom_export.console.views.operation import view_of
from dicom_export.console.views.outcome import nothing_exported, repair_of
from dicom_export.console.views.passed_over import MOST_COUNTED, passed_over
from dicom_export.console.views.strip import film_strip
from dicom_export.errors import FailedPrecondition, InvalidArgument
from dicom_export.names import OperationName
from dicom_export.operations.request import ExportRequest, VerifyRequest
from dicom_export.protocol.operations_json import logs_url
from dicom_export.verifying.compare import repair_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.console.exchange import PageRequest
    from dicom_export.console.installation import Installation
    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation

_PER_PAGE = 50
_REFRESH = 1_000
_LOG_LINES = 200
_SERIOUS = ("WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class FailuresFilter:
    """What the failed objects are filtered by, as the address has it."""

    name: str
    reason: str = ""
    text: str = ""
    after: str = ""

    def address(self, page: str = "operation", **changes: str) -> str:
        """Return the address of the list with another value of some fields, from its first page."""
        changed = replace(self, **{"after": "", **changes})
        names = {"name": changed.name, "reason": changed.reason, "object": changed.text, "after": changed.after}
        return f"{page}?{urlencode({name: value for name, value in names.items() if value})}"


def show(request: PageRequest, installation: Installation) -> Page:
    """Show an operation."""
    service = installation.service
    wanted = _filter(request)
    name = OperationName.parse(wanted.name)
    operation = service.get_operation(name)
    view = view_of(operation, is_local=installation.is_local)
    failures = list(islice(_failures(wanted, installation), _PER_PAGE + 1)) if view.counters.failure else []
    reasons = grouped(_first(installation, name)) if view.counters.failure else []
    ask = request.query.get("ask", "")
    repair = (
        service.journal.operations.find(repair_name(name)) if isinstance(operation.requested, VerifyRequest) else None
    )
    nothing = nothing_exported(operation)
    skipped = view.counters.skipped if view.is_done else 0
    return page(
        request,
        installation,
        "operation.html",
        view=view,
        strip=film_strip(service.journal.progress.pages(name)),
        failures=[failure for _, failure in failures[:_PER_PAGE]],
        older=wanted.address(after=failures[_PER_PAGE - 1][0]) if len(failures) > _PER_PAGE else "",
        reasons=reasons,
        filter=wanted,
        is_all_grouped=view.counters.failure <= MOST_GROUPED,
        log=_log(request, installation, operation),
        only_serious=request.query.get("log") == "serious",
        logs_url=logs_url(operation),
        can_repair=view.is_done
        and isinstance(operation.requested, ExportRequest)
        and not operation.requested.is_filtered
        and (nothing is None or view.counters.unchanged > 0),
        nothing=nothing,
        outcome=nothing or repair_of(operation, service.get_operation(repair.name) if repair else None),
        passed=passed_over(service.passed_over(name), skipped) if skipped else None,
        most_passed=MOST_COUNTED,
        has_letters=view.is_done and next(service.dead_letters(name.parent, name), None) is not None,
        ask=ask if ask in ("cancel", "repair") else "",
        live=_REFRESH if not view.is_done or (repair and not repair.is_done) else 0,
    )


def change(request: PageRequest, installation: Installation) -> Page:
    """Cancel an operation, or start another one that repairs its table or replays its dead letters."""
    service = installation.service
    name = OperationName.parse(request.form.get("name", ""))
    match request.form.get("intent", ""):
        case "cancel":
            service.cancel_operation(name)
            shown = name
        case "repair":
            shown = _repair(service.get_operation(name), installation)
        case "replay":
            shown = service.replay(name).name
        case other:
            raise InvalidArgument(str(t("error.intent", intent=other)))
    return see_other(f"operation?{urlencode({'name': str(shown)})}")


def failures_csv(request: PageRequest, installation: Installation) -> Page:
    """Return all failed objects of an operation that match the filter."""
    wanted = _filter(request)
    found = (failure for _, failure in _failures(wanted, installation))
    name = f"{OperationName.parse(wanted.name).operation}-failures.csv"
    headers = {**security.HEADERS, **security.NOT_STORED, "Content-Disposition": f'attachment; filename="{name}"'}
    return Page(200, csv_lines(found), "text/csv; charset=utf-8", headers)


def _repair(operation: Operation, installation: Installation) -> OperationName:
    request = operation.requested
    if not operation.is_done or not isinstance(request, ExportRequest):
        raise FailedPrecondition(str(t("error.repair")))
    report = replace(request.table, table=f"dicom_export_report_{secrets.token_hex(8)}")
    verification = VerifyRequest(request.store, report, request.table, repair=True)
    return installation.service.create_export(verification).name


def _filter(request: PageRequest) -> FailuresFilter:
    query = request.query
    return FailuresFilter(
        query.get("name", ""), query.get("reason", ""), query.get("object", "").strip(), query.get("after", "")
    )


def _failures(wanted: FailuresFilter, installation: Installation) -> Iterator[tuple[str, Failure]]:
    name = OperationName.parse(wanted.name)
    found = installation.service.failures_after(name, start_after=wanted.after)
    return ((at, failure) for at, failure in found if matches(failure, wanted.reason, wanted.text))


def _first(installation: Installation, name: OperationName) -> Iterator[Failure]:
    return (failure for _, failure in islice(installation.service.failures_after(name), MOST_GROUPED))


def _short(message: str, operation: Operation) -> str:
    """Return a line without what this page is about: the full name of the store, and that of the operation."""
    store = operation.requested.store if operation.requested else None
    if store:
        message = message.replace(f"{store}/dicomWeb", "").replace(str(store), store.store)
    return message.replace(str(operation.name), operation.name.operation)


def _log(request: PageRequest, installation: Installation, operation: Operation) -> list[dict[str, object]]:
    """Return the log lines of the operation, the newest first. There are none on Google Cloud: Cloud Logging has them."""
    if installation.log is None:
        return []
    only_serious = request.query.get("log") == "serious"
    found = [line for line in installation.log.of(str(operation.name)) if not only_serious or line.severity in _SERIOUS]
    return [
        {
            "clock": f"{line.time.astimezone():%H:%M:%S}.{line.time.microsecond // 1000:03d}",
            "time": line.time,
            "severity": line.severity.title(),
            "is_error": line.severity in ("ERROR", "CRITICAL"),
            "is_warning": line.severity == "WARNING",
            "message": _short(line.message, operation),
        }
        for line in reversed(found[-_LOG_LINES:])
    ]

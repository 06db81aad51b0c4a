"""What came of an operation besides its numbers: that there was nothing to export, or how far a repair is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.console import numbers
from dicom_export.console.texts import t
from dicom_export.console.views.operation import view_of
from dicom_export.operations.counters import Counters
from dicom_export.operations.request import ExportRequest, FilesRequest, VerifyRequest

if TYPE_CHECKING:
    from markupsafe import Markup

    from dicom_export.operations.operation import Operation


@dataclass(frozen=True, slots=True)
class OutcomeView:
    """A message: its colour, its words, and the page that it leads to, if there is one."""

    tone: str
    title: Markup
    text: Markup | str = ""
    href: str = ""
    link: Markup | str = ""

    @property
    def icon(self) -> str:
        """The shape that goes with the tone."""
        return self.tone


def nothing_exported(operation: Operation) -> OutcomeView | None:
    """Return why an export found nothing to do, or None if it did something or failed."""
    request, found = operation.requested, operation.counters or Counters()
    if not isinstance(request, ExportRequest | FilesRequest) or not operation.is_done or operation.error:
        return None
    if found.found or found.unlisted:
        return None
    if found.unchanged:
        return OutcomeView(
            "info", t("outcome.unchanged", n=numbers.count(found.unchanged)), t("outcome.unchanged_text")
        )
    if request.since:
        text = t("outcome.since_text", moment=numbers.moment(request.since))
        return OutcomeView("info", t("outcome.since"), text)
    if request.is_filtered:
        return OutcomeView("info", t("outcome.filter"), t("outcome.filter_text"))
    return OutcomeView("info", t("outcome.empty"), t("outcome.empty_text"))


def repair_of(verification: Operation, repair: Operation | None) -> OutcomeView | None:
    """Return how far the repair of a verification is, or None if none was requested, or the comparison goes on."""
    request = verification.requested
    if not isinstance(request, VerifyRequest) or not request.repair:
        return None
    return _nothing_to_repair(verification) if repair is None else _progress(repair)


def _nothing_to_repair(verification: Operation) -> OutcomeView | None:
    found = verification.differences
    if found is None or found.repairable:
        return None
    if found.total:
        return OutcomeView("info", t("repair.not_possible"), t("repair.not_possible_text"))
    return OutcomeView("ok", t("repair.nothing"), t("repair.nothing_text"))


def _progress(repair: Operation) -> OutcomeView:
    view = view_of(repair)
    link = t("repair.open")
    if not repair.is_done:
        return OutcomeView("info", t("repair.runs"), view.progress, view.href, link)
    title = t("repair.done", n=numbers.count(view.counters.success))
    if view.status.tone != "ok":
        return OutcomeView(
            "warn", title, t("repair.left", status=view.status.word, progress=view.progress), view.href, link
        )
    return OutcomeView("ok", title, t("repair.done_text"), view.href, link)

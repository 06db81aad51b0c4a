"""What all pages have in common: the frame, the session, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dicom_export.console import security
from dicom_export.console.exchange import Page
from dicom_export.console.templating import render
from dicom_export.console.texts import t

if TYPE_CHECKING:
    from dicom_export.console.exchange import PageRequest
    from dicom_export.console.installation import Installation
    from dicom_export.errors import DicomExportError

_LATEST = 20
_ERROR = "refused.html"


def page(
    request: PageRequest,
    installation: Installation,
    template: str,
    *,
    status: int = 200,
    **values: Any,  # noqa: ANN401 - what the template names
) -> Page:
    """Return a rendered page. A browser without a session gets one, because forms need it."""
    session = security.session_of(request)
    headers = {**security.HEADERS, **security.NOT_STORED}
    if not session:
        session = security.new_session()
        is_secure = request.host_url.startswith("https:")
        headers["Set-Cookie"] = security.cookie_of(session, is_secure=is_secure)
    frame = {
        "installation": installation,
        "host": urlsplit(request.host_url).netloc,
        "token": security.token_of(session, installation.key),
        "running": 0 if template == _ERROR else _running(installation),
        "message": None,
        "live": 0,
    }
    return Page(status, render(template, frame | values), headers=headers)


def refused(request: PageRequest, installation: Installation | None, error: DicomExportError) -> Page:
    """Return the page of an error."""
    status = error.code.http_status
    if installation is None:
        body = render("broken.html", {"text": error.message})
        return Page(status, body, headers={**security.HEADERS, **security.NOT_STORED})
    title = t(f"refused.{status}") if status in (403, 404, 405, 503) else t("refused.other")
    return page(request, installation, _ERROR, status=status, title=title, text=error.message)


def _running(installation: Installation) -> int:
    """Return how many of the latest operations run. Only where their state is at hand: other pages do not wait for it."""
    if not installation.is_local:
        return 0
    operations = installation.service.journal.operations
    return sum(
        not operation.is_done
        for parent in installation.service.datasets()
        for _, operation in _first(operations.newest_first(parent))
    )


def _first(found: Any) -> list[Any]:  # noqa: ANN401 - an iterator of operations
    return [each for _, each in zip(range(_LATEST), found, strict=False)]

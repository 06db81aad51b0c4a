"""From a request to its page, and from whatever happens there to an answer."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from dicom_export.console import paths, security
from dicom_export.console.exchange import Page
from dicom_export.console.pages import data, export, operation, operations, stores, uploads
from dicom_export.console.shell import refused
from dicom_export.console.templating import static_file
from dicom_export.console.texts import t
from dicom_export.errors import DicomExportError, FailedPrecondition, Internal, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.console.exchange import PageRequest
    from dicom_export.console.installation import Installation

    Handler = Callable[[PageRequest, Installation], Page]

_log = logging.getLogger(__name__)

_GET: dict[str, Handler] = {
    "/": stores.show,
    "/export": export.show,
    "/operations": operations.show,
    "/operation": operation.show,
    "/failures.csv": operation.failures_csv,
    "/data": data.show,
    "/uploads": uploads.show,
}
_POST: dict[str, Handler] = {
    "/": stores.count,
    "/export": export.send,
    "/operation": operation.change,
    "/data": data.run,
    "/result": data.download,
    "/uploads": uploads.replay,
}
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def answer(request: PageRequest, open_installation: Callable[[], Installation]) -> Page:
    """Return the answer. Raises nothing: what goes wrong is a page. An error not of this system is logged, and not shown."""
    installation = None
    try:
        if request.path.startswith(paths.STATIC):
            return _static(request)
        installation = open_installation()
        return _answer(request, installation)
    except DicomExportError as error:
        return refused(request, installation, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the reader gets a page
        _log.exception("A page could not be shown")
        return refused(request, installation, Internal(f"{t('refused.internal')} ({type(error).__name__})"))


def _answer(request: PageRequest, installation: Installation) -> Page:
    handlers = _POST if request.method == "POST" else _GET
    if request.method not in ("GET", "HEAD", "POST") or request.path not in handlers:
        allowed = [verb for verb, known in (("GET, HEAD", _GET), ("POST", _POST)) if request.path in known]
        found = refused(request, installation, FailedPrecondition(t("refused.method", verb=request.method)))
        return Page(405, found.body, headers={**found.headers, "Allow": ", ".join(allowed)})
    if request.method == "POST":
        security.check_form(request, installation.key)
    return handlers[request.path](request, installation)


def _static(request: PageRequest) -> Page:
    name = request.path.removeprefix(paths.STATIC)
    content = static_file(name)
    if content is None:
        raise NotFound(t("refused.file"))
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {**security.HEADERS, "Cache-Control": "no-cache", "ETag": tag}
    kind = _TYPES[name.rpartition(".")[2]]
    if request.headers.get("if-none-match") == tag:
        return Page(304, b"", kind, headers)
    return Page(200, content, kind, headers)

"""Requests of browsers for pages of the console: what they send in a form, decoded."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from werkzeug.formparser import FormDataParser

from dicom_export.api.web_pages import FORM, media_type
from dicom_export.console.exchange import PageRequest
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from werkzeug import Request

_PARTS = "multipart/form-data"
_MOST_FIELDS = 200


def page_request(request: Request, body: bytes) -> PageRequest:
    """Return the request for a page. Raises InvalidArgument for a body that is not a form."""
    return PageRequest(
        request.method,
        request.path,
        request.args,
        _form(request, body) if body else {},
        request.cookies,
        {name.lower(): value for name, value in request.headers.items()},
        request.host_url,
    )


def _form(request: Request, body: bytes) -> dict[str, str]:
    kind = media_type(request.headers.get("Content-Type", ""))
    try:
        if kind == FORM:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        if kind == _PARTS:
            return _parts(request, body)
    except ValueError as error:
        raise InvalidArgument("The form is malformed: expected what a page of the console sends.") from error
    raise InvalidArgument(f"A page takes a form: expected {FORM} or {_PARTS}.")


def _parts(request: Request, body: bytes) -> dict[str, str]:
    """Return the fields, and the text of the files that were chosen. A file is read as UTF-8, with any other byte kept."""
    parser = FormDataParser(silent=False, max_form_memory_size=None, max_form_parts=_MOST_FIELDS)
    _, fields, files = parser.parse(BytesIO(body), _PARTS, len(body), request.mimetype_params)
    found = dict(fields.items())
    for name, file in files.items():
        found[name] = file.stream.read().decode("utf-8-sig", "surrogateescape")
    return found

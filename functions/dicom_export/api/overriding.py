"""Support `X-HTTP-Method-Override`: a read call whose parameters are too long for a URL is sent as a form.

Google's Python client does this for URLs of more than 2,048 characters. Source: googleapiclient/http.py, `HttpRequest.execute`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from dicom_export.api.web_pages import FORM, media_type
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from dicom_export.api.exchange import HttpRequest

_HEADER = "x-http-method-override"
_MAX_PARAMETERS = 100


def overridden(request: HttpRequest) -> HttpRequest:
    """Return the request in place of which a form was sent. Only a POST can stand for another method, and only for GET.

    Raises InvalidArgument for any other override, and for parameters that are not a form.
    """
    meant = request.headers.get(_HEADER, "").strip().upper() or request.method
    if meant == request.method:
        return request
    if (request.method, meant) != ("POST", "GET"):
        raise InvalidArgument(
            f"X-HTTP-Method-Override {meant[:100]!r} on {request.method} is not supported: expected GET on POST."
        )
    return replace(request, method=meant, query={**request.query, **_form(request)}, body=b"")


def _form(request: HttpRequest) -> dict[str, str]:
    content_type = request.headers.get("content-type", "")
    if not request.body:
        return {}
    if media_type(content_type) != FORM:
        raise InvalidArgument(
            f"Invalid Content-Type {content_type[:100]!r} with X-HTTP-Method-Override: expected {FORM}."
        )
    try:
        text = request.body.decode()
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS))
    except ValueError as error:
        raise InvalidArgument(f"The body is not a form in UTF-8 with at most {_MAX_PARAMETERS} parameters.") from error

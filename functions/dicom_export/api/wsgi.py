"""Connect the API to WSGI servers: that of the deployed function, and that on one machine."""

from __future__ import annotations

import re
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from werkzeug import Response

from dicom_export import logs
from dicom_export.api.bodies import read_body
from dicom_export.api.exchange import HttpRequest, HttpResponse, error_response
from dicom_export.api.server import answer, refuse
from dicom_export.api.web_pages import check_origin
from dicom_export.console.paths import is_console
from dicom_export.diagnosing.check_message import CHECK_ATTRIBUTE, Check
from dicom_export.errors import Code, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug import Request

    from dicom_export.console.installation import Installation
    from dicom_export.ports import Exports

_TOKENS = ("Authorization", "X-Serverless-Authorization")
_LENGTH = re.compile(r"[0-9]{0,19}")
CONTENT_TYPE = "application/json; charset=UTF-8"
HEADERS = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
"""Headers that keep pages of other servers from reading an answer as anything but JSON."""


def respond(
    request: Request, open_service: Callable[[], Exports], open_console: Callable[[], Installation] | None = None
) -> Response:
    """Return the response to the request: of the API, or of the console. Raises nothing: errors become responses."""
    with logs.traced(request.headers.get("X-Cloud-Trace-Context", "")):
        if open_console and is_console(request.path):
            return _page(request, open_console)
        response = _answered(request, open_service)
    return encoded(response)


def respond_to_check(request: Request, take: Callable[[Check], None]) -> Response:
    """Return the response to a check. `take` answers it in the state. Raises nothing: errors become responses."""
    with logs.traced(request.headers.get("X-Cloud-Trace-Context", "")):
        return encoded(_checked(request, take))


def _checked(request: Request, take: Callable[[Check], None]) -> HttpResponse:
    if request.method != "POST":
        return error_response(Code.UNIMPLEMENTED, "Expected POST", headers={"Allow": "POST"}, status=405)
    try:
        # Without this header, which a page of another server may not send, there is no id and so no check.
        take(Check.decode(request.headers.get(CHECK_ATTRIBUTE, ""), _body(request)))
    except Exception as error:  # noqa: BLE001 - the client must get the error in JSON
        return refuse(error)
    return HttpResponse(200, {"headers": _arrived(request)})


def _arrived(request: Request) -> dict[str, str]:
    """Return which headers of the deployment arrived. Tokens are not shown."""
    host = "run.app" if request.host.endswith(".run.app") else "another"
    secret = {name: "present" if name in request.headers else "absent" for name in _TOKENS}
    return {"X-Forwarded-Proto": request.headers.get("X-Forwarded-Proto", "absent"), "Host": host, **secret}


def encoded(response: HttpResponse) -> Response:
    """Return the response as a WSGI application."""
    return Response(response.encode(), response.status, {**HEADERS, **response.headers}, content_type=CONTENT_TYPE)


def _answered(request: Request, open_service: Callable[[], Exports]) -> HttpResponse:
    try:
        decoded = _decoded(request)
        service = open_service()
    except Exception as error:  # noqa: BLE001 - an installation that cannot be opened is an error like any other
        return refuse(error)
    return answer(decoded, service)


def _page(request: Request, open_console: Callable[[], Installation]) -> Response:
    # The API is answered without Jinja2.
    from dicom_export.api.forms import page_request  # noqa: PLC0415
    from dicom_export.console.router import answer as answer_page  # noqa: PLC0415

    try:
        check_origin(request.headers.get("Origin", ""), request.headers.get("Host", ""))
        asked = page_request(request, _body(request))
    except Exception as error:  # noqa: BLE001 - as in `_answered`
        return encoded(refuse(error))
    page = answer_page(asked, open_console)
    return Response(page.body, page.status, page.headers, content_type=page.content_type)


def _body(request: Request) -> bytes:
    length = request.headers.get("Content-Length", "0")
    if not _LENGTH.fullmatch(length):
        raise InvalidArgument("Content-Length is malformed: expected the number of bytes of the body.")
    return read_body(partial(_read, request), request.headers.get("Content-Encoding", ""))


def _read(request: Request, length: int) -> bytes:
    """Return the next bytes of the body. Raises OSError if it is incomplete or malformed."""
    try:
        return request.stream.read(length)
    except Exception as error:
        # After the response the framework reads the body to its end, which must not fail again.
        request.stream = BytesIO()
        raise OSError from error


def _decoded(request: Request) -> HttpRequest:
    return HttpRequest(
        request.method,
        request.path,
        request.args,
        _body(request),
        request.host_url,
        {name.lower(): value for name, value in request.headers.items()},
    )

"""From a request to the method that it calls, and from whatever happens there to a response."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_export.api import methods
from dicom_export.api.exchange import HttpResponse, error_response
from dicom_export.api.overriding import overridden
from dicom_export.api.parameters import method_parameters, system_parameter
from dicom_export.api.partial import parse_fields, select_fields
from dicom_export.api.web_pages import check_content_type, check_origin
from dicom_export.errors import Code, DicomExportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.api.exchange import HttpRequest
    from dicom_export.api.exports import Exports

    Method = Callable[[methods.Call, Exports], dict[str, Any]]

_log = logging.getLogger(__name__)

_VERSION = r"/(?P<version>v1|v1beta1)/"
_DATASET = r"projects/[^/]+/locations/[^/]+/datasets/[^/]+"
_STORE = rf"{_DATASET}/dicomStores/[^/:]+"
_OPERATION = rf"{_DATASET}/operations/[^/:]+"


@dataclass(frozen=True, slots=True)
class _Route:
    verb: str
    path: str
    method: Method
    parameters: tuple[str, ...] = ()


# No two of them have a path in common.
_ROUTES = (
    _Route("POST", rf"{_VERSION}(?P<name>{_STORE}):export", methods.export_store),
    _Route("GET", rf"{_VERSION}(?P<name>{_STORE})", methods.get_store),
    _Route("GET", rf"{_VERSION}(?P<name>{_DATASET})/dicomStores", methods.list_stores, ("pageSize", "pageToken")),
    _Route("POST", rf"{_VERSION}(?P<name>{_OPERATION}):cancel", methods.cancel_operation),
    _Route("GET", rf"{_VERSION}(?P<name>{_OPERATION})", methods.get_operation),
    _Route(
        "GET",
        rf"{_VERSION}(?P<name>{_DATASET})/operations",
        methods.list_operations,
        ("filter", "pageSize", "pageToken"),
    ),
    _Route("GET", rf"{_VERSION}(?P<name>{_OPERATION})/failures", methods.list_failures, ("pageSize", "pageToken")),
    _Route("GET", r"/healthz", methods.get_health),
    _Route("GET", r"/\$discovery/rest", methods.get_discovery, ("version",)),
)


def answer(request: HttpRequest, service: Exports) -> HttpResponse:
    """Return the response to the request. Raises nothing: what goes wrong is the response."""
    try:
        check_origin(request.headers.get("origin", ""), request.headers.get("host", ""))
        return _answer(overridden(request), service)
    except Exception as error:  # noqa: BLE001 - refuse() logs it, and the client must hear of it in JSON
        return refuse(error)


def refuse(error: Exception) -> HttpResponse:
    """Return the response to a request that failed this way. An error not of this system is logged, and not told."""
    if isinstance(error, DicomExportError):
        return error_response(error.code, error.message)
    _log.error("A request failed", exc_info=error)
    return error_response(Code.INTERNAL, "Internal error encountered; the logs tell more.")


def _answer(request: HttpRequest, service: Exports) -> HttpResponse:
    for route in _ROUTES:
        if match := re.fullmatch(route.path, request.path):
            if request.method != route.verb and (request.method, route.verb) != ("HEAD", "GET"):
                return _refuse_verb(request, route.verb)
            return _call(route, match.groupdict(), request, service)
    return error_response(Code.NOT_FOUND, f"{request.path!r} is not served; /$discovery/rest lists what is.")


def _call(route: _Route, parts: dict[str, str], request: HttpRequest, service: Exports) -> HttpResponse:
    if request.body:
        check_content_type(request.headers.get("content-type", ""))
    query = method_parameters(request.query, route.parameters)
    mask = parse_fields(system_parameter(request.query, "fields"))
    is_indented = system_parameter(request.query, "prettyPrint") not in ("false", "0")
    call = methods.Call(parts.get("version", ""), parts.get("name", ""), query, request.body, request.host_url)
    return HttpResponse(200, select_fields(route.method(call, service), mask), is_indented=is_indented)


def _refuse_verb(request: HttpRequest, verb: str) -> HttpResponse:
    headers = {"Allow": "GET, HEAD, OPTIONS" if verb == "GET" else f"{verb}, OPTIONS"}
    if request.method == "OPTIONS":
        return HttpResponse(200, {}, headers)
    # Google knows a method by verb and path together: what has no such method is not found.
    message = f"{request.method} {request.path!r} is not served; {verb} is."
    return error_response(Code.NOT_FOUND, message, headers=headers)

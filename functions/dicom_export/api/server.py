"""Find the method of a request, call it, and make a response of its result or error."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_export.api import methods
from dicom_export.api.exchange import HttpResponse, error_response
from dicom_export.api.overriding import overridden
from dicom_export.api.parameters import method_parameters, system_parameter
from dicom_export.api.partial import check_fields, parse_fields, select_fields
from dicom_export.api.web_pages import check_content_type, check_origin
from dicom_export.errors import Code, DicomExportError, InvalidArgument
from dicom_export.protocol.discovery_schemas import schemas

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.api.exchange import HttpRequest
    from dicom_export.ports import Exports

    Method = Callable[[methods.Call, Exports], dict[str, Any]]

_log = logging.getLogger(__name__)

_MAX_SHOWN_LENGTH = 500

_VERSION = r"/(?P<version>v1|v1beta1|v1alpha2)/"
_ALIASES = {"v1alpha2": "v1beta1"}
"""Second names of versions, which `gcloud alpha` uses."""

_PROJECT = r"projects/[^/:]+(?::[^/:]+)?"
_LOCATION = rf"{_PROJECT}/locations/[^/:]+"
_DATASET = r"projects/[^/]+/locations/[^/]+/datasets/[^/]+"
_STORE = rf"{_DATASET}/dicomStores/[^/:]+"
_OPERATION = rf"{_DATASET}/operations/[^/:]+"
_PAGE = ("pageSize", "pageToken")


@dataclass(frozen=True, slots=True)
class _Route:
    """A method: its verb, its path, the schema of its response in the discovery document, and its query parameters."""

    verb: str
    path: str
    method: Method
    response: str = ""
    parameters: tuple[str, ...] = ()


def _list(path: str, method: Method, response: str, *parameters: str) -> _Route:
    return _Route("GET", rf"{_VERSION}{path}", method, response, (*parameters, *_PAGE))


def _get(path: str, method: Method, response: str) -> _Route:
    return _Route("GET", rf"{_VERSION}{path}", method, response)


# A path matches at most one of these patterns.
_ROUTES = (
    _Route("POST", rf"{_VERSION}(?P<name>{_STORE}):export", methods.export_store, "Operation"),
    _Route("GET", rf"{_VERSION}(?P<name>{_STORE}):estimateExport", methods.estimate_export, parameters=("schema",)),
    _get(rf"(?P<name>{_STORE})", methods.get_store, "DicomStore"),
    _list(rf"(?P<name>{_DATASET})/dicomStores", methods.list_stores, "ListDicomStoresResponse", "filter"),
    _Route("POST", rf"{_VERSION}(?P<name>{_OPERATION}):cancel", methods.cancel_operation, "Empty"),
    _get(rf"(?P<name>{_OPERATION})", methods.get_operation, "Operation"),
    _list(
        rf"(?P<name>{_DATASET})/operations",
        methods.list_operations,
        "ListOperationsResponse",
        *("filter", "returnPartialSuccess"),
    ),
    _list(rf"(?P<name>{_OPERATION})/failures", methods.list_failures, "ListFailuresResponse"),
    _get(rf"(?P<name>{_LOCATION}/datasets/[^/:]+)", methods.get_dataset, "Dataset"),
    _list(rf"(?P<name>{_LOCATION})/datasets", methods.list_datasets, "ListDatasetsResponse"),
    _get(rf"(?P<name>{_LOCATION})", methods.get_location, "Location"),
    _list(
        rf"(?P<name>{_PROJECT})/locations",
        methods.list_locations,
        "ListLocationsResponse",
        *("filter", "extraLocationTypes"),
    ),
    # Cloud Run reserves /healthz and other paths that end in z: https://cloud.google.com/run/docs/known-issues
    _Route("GET", r"/healthz?", methods.get_health),
    _Route("GET", r"/\$discovery/rest", methods.get_discovery, parameters=("version",)),
)


def answer(request: HttpRequest, service: Exports) -> HttpResponse:
    """Return the response to the request. Raises nothing: errors become responses."""
    try:
        check_origin(request.headers.get("origin", ""), request.headers.get("host", ""))
        return _answer(overridden(request), service)
    except Exception as error:  # noqa: BLE001 - refuse() logs it, and the client must hear of it in JSON
        return refuse(error)


def refuse(error: Exception) -> HttpResponse:
    """Return the response for an error. An error of another library is logged, and not quoted in the response."""
    if isinstance(error, DicomExportError):
        violations = error.violations if isinstance(error, InvalidArgument) else ()
        return error_response(error.code, error.message, violations=violations)
    _log.error("A request failed", exc_info=error)
    return error_response(Code.INTERNAL, "Internal error encountered; see the logs for details.")


def _answer(request: HttpRequest, service: Exports) -> HttpResponse:
    for route in _ROUTES:
        if match := re.fullmatch(route.path, request.path):
            if request.method != route.verb and (request.method, route.verb) != ("HEAD", "GET"):
                return _refuse_verb(request, route.verb)
            return _call(route, match.groupdict(), request, service)
    return _refuse_path(request)


def _call(route: _Route, parts: dict[str, str], request: HttpRequest, service: Exports) -> HttpResponse:
    if request.body:
        check_content_type(request.headers.get("content-type", ""))
    query = method_parameters(request.query, route.parameters)
    mask = parse_fields(system_parameter(request.query, "fields"))
    version = _ALIASES.get(parts.get("version", ""), parts.get("version", ""))
    if mask and route.response:
        check_fields(mask, route.response, schemas(version))
    is_indented = system_parameter(request.query, "prettyPrint") not in ("false", "0")
    call = methods.Call(version, parts.get("name", ""), query, request.body, request.host_url)
    return HttpResponse(200, select_fields(route.method(call, service), mask), is_indented=is_indented)


def _refuse_path(request: HttpRequest) -> HttpResponse:
    return _not_served(request, "/$discovery/rest lists what is.", {})


def _refuse_verb(request: HttpRequest, verb: str) -> HttpResponse:
    headers = {"Allow": "GET, HEAD, OPTIONS" if verb == "GET" else f"{verb}, OPTIONS"}
    if request.method == "OPTIONS":
        return HttpResponse(200, {}, headers)
    return _not_served(request, f"{verb} is.", headers)


def _not_served(request: HttpRequest, what_is: str, headers: dict[str, str]) -> HttpResponse:
    """Return the response to a method of the Healthcare API that is not served, or to any other request.

    For NOT_FOUND, gcloud suggests another login. After UNIMPLEMENTED it retries five times, and reports a network problem.
    """
    asked = f"{request.method[:_MAX_SHOWN_LENGTH]} {request.path[:_MAX_SHOWN_LENGTH]!r}"
    is_of_healthcare = re.match(_VERSION, request.path)
    code = Code.FAILED_PRECONDITION if is_of_healthcare else Code.NOT_FOUND
    return error_response(
        code, f"{asked} is not served: this server exports DICOM metadata. {what_is}", headers=headers
    )

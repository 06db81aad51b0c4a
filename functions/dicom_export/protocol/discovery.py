"""The discovery document of the served API, from which Google's client libraries are made.

API explorers read it too. Format: https://developers.google.com/discovery/v1/reference/apis
"""

from __future__ import annotations

from typing import Any

from dicom_export.protocol.discovery_schemas import schemas

VERSIONS = ("v1", "v1beta1")

_SCOPES = {
    "https://www.googleapis.com/auth/cloud-healthcare": {"description": "Read, write and manage healthcare data"},
    "https://www.googleapis.com/auth/cloud-platform": {"description": "See and manage Google Cloud data"},
}
_PROJECT = "projects/[^/]+"
_LOCATION = f"{_PROJECT}/locations/[^/]+"
_DATASET = f"{_LOCATION}/datasets/[^/]+"

Json = dict[str, Any]


def discovery_document(version: str, root_url: str) -> Json:
    """Return the document of API version `v1` or `v1beta1`.

    `root_url` is the address at which it is served, and ends with a slash.
    """
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": f"healthcare:{version}",
        "name": "healthcare",
        "canonicalName": "Cloud Healthcare",
        "version": version,
        "version_module": True,
        "title": "Cloud Healthcare API",
        "description": "Exports of DICOM metadata, as the Cloud Healthcare API has them.",
        "documentationLink": "https://cloud.google.com/healthcare-api/docs",
        "protocol": "rest",
        "rootUrl": root_url,
        "servicePath": "",
        "baseUrl": root_url,
        "basePath": "",
        "fullyEncodeReservedExpansion": True,
        "auth": {"oauth2": {"scopes": _SCOPES}},
        "parameters": _system_parameters(),
        "schemas": schemas(version),
        "resources": {"projects": {"resources": {"locations": _locations(version)}}},
    }


def _locations(version: str) -> Json:
    listed = {
        "name": _path_parameter(_PROJECT, "The project."),
        **_paging(),
        **_filter("displayName=us-central1"),
        **_EXTRA,
    }
    return {
        "methods": {
            "get": _method(version, "locations.get", "{+name}", _named(_LOCATION, "The location."), "Location"),
            "list": _method(version, "locations.list", "{+name}/locations", listed, "ListLocationsResponse"),
        },
        "resources": {"datasets": _datasets(version)},
    }


def _datasets(version: str) -> Json:
    listed = {"parent": _path_parameter(_LOCATION, "The location; - for all."), **_paging()}
    return {
        "methods": {
            "get": _method(version, "locations.datasets.get", "{+name}", _named(_DATASET, "The dataset."), "Dataset"),
            "list": _method(version, "locations.datasets.list", "{+parent}/datasets", listed, "ListDatasetsResponse"),
        },
        "resources": {"dicomStores": _dicom_stores(version), "operations": _operations(version)},
    }


def _dicom_stores(version: str) -> Json:
    at, name = "locations.datasets.dicomStores", _named(f"{_DATASET}/dicomStores/[^/]+", "The DICOM store.")
    listed = {"parent": _path_parameter(_DATASET, "The dataset."), **_paging(), **_filter("labels.KEY=VALUE")}
    return {
        "methods": {
            "export": _method(version, f"{at}.export", "{+name}:export", name, "Operation", "ExportDicomDataRequest"),
            "get": _method(version, f"{at}.get", "{+name}", name, "DicomStore"),
            "list": _method(version, f"{at}.list", "{+parent}/dicomStores", listed, "ListDicomStoresResponse"),
        }
    }


def _operations(version: str) -> Json:
    at, one = "locations.datasets.operations", f"{_DATASET}/operations/[^/]+"
    name = _named(one, "The operation.")
    failed = {"parent": _path_parameter(one, "The operation."), **_paging()}
    failures = _method(version, f"{at}.failures.list", "{+parent}/failures", failed, "ListFailuresResponse")
    listed = {"name": _path_parameter(_DATASET, "The dataset."), **_paging(), **_filter(_OF_OPERATIONS), **_PARTIAL}
    return {
        "methods": {
            "cancel": _method(version, f"{at}.cancel", "{+name}:cancel", name, "Empty", "CancelOperationRequest"),
            "get": _method(version, f"{at}.get", "{+name}", name, "Operation"),
            "list": _method(version, f"{at}.list", "{+name}/operations", listed, "ListOperationsResponse"),
        },
        "resources": {"failures": {"methods": {"list": failures}}},
    }


def _method(version: str, name: str, path: str, parameters: Json, response: str, request: str = "") -> Json:
    first = next(iter(parameters))
    return {
        "id": f"healthcare.projects.{name}",
        "path": f"{version}/{path}",
        "flatPath": f"{version}/{path}".replace(f"{{+{first}}}", _flat(parameters[first]["pattern"])),
        "httpMethod": "POST" if request else "GET",
        "parameters": parameters,
        "parameterOrder": [first],
        "response": {"$ref": response},
        **({"request": {"$ref": request}} if request else {}),
        "scopes": list(_SCOPES),
    }


def _named(pattern: str, description: str) -> Json:
    return {"name": _path_parameter(pattern, description)}


def _flat(pattern: str) -> str:
    """Return the pattern with one variable per segment: `projects/{projectsId}/…`."""
    collections = pattern.strip("^$").split("/[^/]+")[:-1]
    return "/".join(f"{each.strip('/')}/{{{each.strip('/')}Id}}" for each in collections)


def _path_parameter(pattern: str, description: str) -> Json:
    return {
        "type": "string",
        "location": "path",
        "required": True,
        "pattern": f"^{pattern}$",
        "description": f"Required. {description}",
    }


def _paging() -> Json:
    return {
        "pageSize": {
            "type": "integer",
            "format": "int32",
            "location": "query",
            "description": "How many entries to return, 1 to 1000; 50 if not given.",
        },
        "pageToken": {
            "type": "string",
            "location": "query",
            "description": "The nextPageToken of the page before.",
        },
    }


def _filter(terms: str) -> Json:
    return {"filter": {"type": "string", "location": "query", "description": f"{terms}, joined by AND."}}


_OF_OPERATIONS = "done=true|false, name:TEXT, metadata.createTime or metadata.endTime with =, <, <=, > or >= and a time"
_PARTIAL = {
    "returnPartialSuccess": {
        "type": "boolean",
        "location": "query",
        "description": "Without effect: all operations of a dataset are in one place.",
    }
}
_EXTRA = {
    "extraLocationTypes": {
        "type": "string",
        "location": "query",
        "repeated": True,
        "description": "Without effect: a location has one type.",
    }
}


def _system_parameters() -> Json:
    described = {
        "access_token": "OAuth access token.",
        "callback": "JSONP",
        "fields": "Selector specifying which fields to include in a partial response.",
        "key": "API key.",
        "oauth_token": "OAuth 2.0 token for the current user.",
        "quotaUser": "Available to use for quota purposes.",
        "uploadType": "Legacy upload protocol for media.",
        "upload_protocol": "Upload protocol for media.",
    }
    plain = {name: {"type": "string", "location": "query", "description": text} for name, text in described.items()}
    return {
        "$.xgafv": {"type": "string", "location": "query", "enum": ["1", "2"], "description": "V1 error format."},
        "alt": {
            "type": "string",
            "location": "query",
            "enum": ["json"],
            "default": "json",
            "description": "Data format.",
        },
        "prettyPrint": {"type": "boolean", "location": "query", "default": "true", "description": "Indent the answer."},
        **plain,
    }

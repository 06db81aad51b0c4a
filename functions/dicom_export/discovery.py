"""The discovery document of what is served, from which Google's client libraries and API explorers are made.

Format: https://developers.google.com/discovery/v1/reference/apis
"""

from __future__ import annotations

from typing import Any

_SCOPES = {
    "https://www.googleapis.com/auth/cloud-healthcare": {"description": "Read, write and manage healthcare data"},
    "https://www.googleapis.com/auth/cloud-platform": {"description": "See and manage Google Cloud data"},
}
_DATASET = "projects/[^/]+/locations/[^/]+/datasets/[^/]+"
_ID = "healthcare.projects.locations.datasets"

Json = dict[str, Any]


def discovery_document(version: str, root_url: str) -> Json:
    """Return the document of API version `v1` or `v1beta1`, served at `root_url`, which ends with a slash."""
    datasets = {"resources": {"dicomStores": _dicom_stores(version), "operations": _operations(version)}}
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
        "batchPath": "batch",
        "fullyEncodeReservedExpansion": True,
        "auth": {"oauth2": {"scopes": _SCOPES}},
        "parameters": _system_parameters(),
        "schemas": _schemas(version),
        "resources": {"projects": {"resources": {"locations": {"resources": {"datasets": datasets}}}}},
    }


def _dicom_stores(version: str) -> Json:
    one, parent = f"{_DATASET}/dicomStores/[^/]+", {"parent": _path_parameter(_DATASET, "The dataset.")}
    name = {"name": _path_parameter(one, "The DICOM store.")}
    return {
        "methods": {
            "export": _method(
                version, "dicomStores.export", "{+name}:export", name, "Operation", "ExportDicomDataRequest"
            ),
            "get": _method(version, "dicomStores.get", "{+name}", name, "DicomStore"),
            "list": _method(
                version, "dicomStores.list", "{+parent}/dicomStores", parent | _paging(), "ListDicomStoresResponse"
            ),
        }
    }


def _operations(version: str) -> Json:
    one = f"{_DATASET}/operations/[^/]+"
    name = {"name": _path_parameter(one, "The operation.")}
    failed = {"parent": _path_parameter(one, "The operation."), **_paging()}
    failures = _method(version, "operations.failures.list", "{+parent}/failures", failed, "ListFailuresResponse")
    listed = {"name": _path_parameter(_DATASET, "The dataset."), **_paging(), "filter": _filter_parameter()}
    return {
        "methods": {
            "cancel": _method(version, "operations.cancel", "{+name}:cancel", name, "Empty", "CancelOperationRequest"),
            "get": _method(version, "operations.get", "{+name}", name, "Operation"),
            "list": _method(version, "operations.list", "{+name}/operations", listed, "ListOperationsResponse"),
        },
        "resources": {"failures": {"methods": {"list": failures}}},
    }


def _method(version: str, name: str, path: str, parameters: Json, response: str, request: str = "") -> Json:
    first = next(iter(parameters))
    return {
        "id": f"{_ID}.{name}",
        "path": f"{version}/{path}",
        "flatPath": f"{version}/{path}".replace(f"{{+{first}}}", _flat(parameters[first]["pattern"])),
        "httpMethod": "POST" if request else "GET",
        "parameters": parameters,
        "parameterOrder": [first],
        "response": {"$ref": response},
        **({"request": {"$ref": request}} if request else {}),
        "scopes": list(_SCOPES),
    }


def _flat(pattern: str) -> str:
    """Return the pattern of a resource name with a variable a segment: `projects/{projectsId}/…`."""
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


def _filter_parameter() -> Json:
    return {
        "type": "string",
        "location": "query",
        "description": "done:true|false, name:TEXT, metadata.createTime or metadata.endTime with =, <, <=, > or >= and a"
        " time, joined by AND.",
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


def _schemas(version: str) -> Json:
    prefix = f"GoogleCloudHealthcare{version.replace('v', 'V')}Dicom"
    stream = f"{prefix}StreamConfig"
    destination = {
        "tableUri": _text("bq://PROJECT.DATASET.TABLE, up to 2000 characters."),
        "writeDisposition": _text("What happens to a table that exists.") | {"enum": _WRITE_DISPOSITIONS},
        "force": _flag("As WRITE_TRUNCATE. Ignored if writeDisposition is given."),
        "includeSourceStore": _flag("Whether the table has a column with the name of the source store."),
        "schemaFlattened": {"$ref": "SchemaFlattened"},
        "schemaJson": {"$ref": "SchemaJSON"},
        "changeDataCaptureConfig": {"$ref": "ChangeDataCaptureConfig"},
    }
    return {
        "DicomStore": _object(
            "DicomStore",
            {
                "name": _text("Resource name of the DICOM store."),
                "streamConfigs": {"type": "array", "items": {"$ref": stream}, "description": "Where new instances go."},
            },
        ),
        stream: _object(stream, {"bigqueryDestination": {"$ref": f"{prefix}BigQueryDestination"}}),
        "ListDicomStoresResponse": _object("ListDicomStoresResponse", _page_of("dicomStores", "DicomStore")),
        "ExportDicomDataRequest": _object(
            "ExportDicomDataRequest",
            {
                "bigqueryDestination": {"$ref": f"{prefix}BigQueryDestination"},
                "filterConfig": {"$ref": "DicomFilterConfig"},
            },
        ),
        f"{prefix}BigQueryDestination": _object(f"{prefix}BigQueryDestination", destination),
        "DicomFilterConfig": _object("DicomFilterConfig", {"resourcePathsGcsUri": _text("gs://BUCKET/PATH")}),
        **{empty: _object(empty, {}) for empty in _EMPTY},
        **_operation_schemas(),
    }


def _operation_schemas() -> Json:
    counts = ("pending", "success", "failure", "secondarySuccess")
    return {
        "ListOperationsResponse": _object("ListOperationsResponse", _page_of("operations", "Operation")),
        "ListFailuresResponse": _object("ListFailuresResponse", _page_of("failures", "Failure")),
        "Failure": _object(
            "Failure",
            {
                "object": _text("The object's name below the store."),
                "generation": _text("The object's generation.") | {"format": "int64"},
                "studyInstanceUid": _text("As far as it is known."),
                "seriesInstanceUid": _text("As far as it is known."),
                "sopInstanceUid": _text("As far as it is known."),
                "stage": _text("READ, WRITE, COMMIT or DELIVERY."),
                "error": {"$ref": "Status"},
            },
        ),
        "Operation": _object(
            "Operation",
            {
                "name": _text("Resource name of the operation."),
                "metadata": _any("An OperationMetadata."),
                "done": _flag("Whether the operation has ended."),
                "error": {"$ref": "Status"},
                "response": _any("An ExportDicomDataResponse."),
            },
        ),
        "OperationMetadata": _object(
            "OperationMetadata",
            {
                "apiMethodName": _text("The method that started the operation."),
                "createTime": _text("When it was started.") | {"format": "google-datetime"},
                "endTime": _text("When it ended.") | {"format": "google-datetime"},
                "logsUrl": _text("Where its log entries are."),
                "cancelRequested": _flag("Whether a client asked for its end."),
                "counter": {"$ref": "ProgressCounter"},
            },
        ),
        "ProgressCounter": _object("ProgressCounter", {name: _text(name) | {"format": "int64"} for name in counts}),
        "Status": _object(
            "Status",
            {
                "code": {"type": "integer", "format": "int32", "description": "A google.rpc.Code."},
                "message": _text("What went wrong."),
                "details": {"type": "array", "items": _any("A google.rpc.Help."), "description": "More about it."},
            },
        ),
    }


_EMPTY = ("SchemaFlattened", "SchemaJSON", "ChangeDataCaptureConfig", "CancelOperationRequest", "Empty")
_WRITE_DISPOSITIONS = ["WRITE_DISPOSITION_UNSPECIFIED", "WRITE_EMPTY", "WRITE_TRUNCATE", "WRITE_APPEND"]


def _object(name: str, properties: Json) -> Json:
    return {"id": name, "type": "object", "properties": properties}


def _page_of(name: str, kind: str) -> Json:
    token = _text("What continues the list; there is no more if it is absent.")
    return {name: {"type": "array", "items": {"$ref": kind}}, "nextPageToken": token}


def _text(description: str) -> Json:
    return {"type": "string", "description": description}


def _flag(description: str) -> Json:
    return {"type": "boolean", "description": description}


def _any(description: str) -> Json:
    return {"type": "object", "additionalProperties": {"type": "any"}, "description": description}

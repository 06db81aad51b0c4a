"""The schemas of the discovery document: requests and answers of an API version."""

from __future__ import annotations

from functools import cache
from typing import Any

from dicom_export.protocol.partition_config import PARTITION_CONFIG, PARTITION_TYPES

Json = dict[str, Any]

_WRITE_DISPOSITIONS = ["WRITE_DISPOSITION_UNSPECIFIED", "WRITE_EMPTY", "WRITE_TRUNCATE", "WRITE_APPEND"]


@cache
def schemas(version: str) -> Json:
    """Return the schemas of API version `v1` or `v1beta1`, by name."""
    prefix = f"GoogleCloudHealthcare{version.replace('v', 'V')}Dicom"
    found = [
        *_resources(prefix),
        *_export_request(prefix, version),
        *_operations(),
        *_lists(),
        _object("CancelOperationRequest", {}),
        _object("Empty", {}),
    ]
    return {schema["id"]: schema for schema in found}


def _resources(prefix: str) -> list[Json]:
    stream = f"{prefix}StreamConfig"
    return [
        _object(
            "Location",
            {
                "name": _text("Resource name of the location."),
                "locationId": _text("The location's id."),
                "displayName": _text("The location's id, again."),
            },
        ),
        _object("Dataset", {"name": _text("Resource name of the dataset.")}),
        _object(
            "DicomStore",
            {
                "name": _text("Resource name of the DICOM store."),
                "streamConfigs": _list_of(stream, "Destinations of the rows of new instances."),
            },
        ),
        _object(stream, {"bigqueryDestination": {"$ref": f"{prefix}BigQueryDestination"}}),
    ]


def _export_request(prefix: str, version: str) -> list[Json]:
    destination = {
        "tableUri": _text("bq://PROJECT.DATASET.TABLE, up to 2000 characters."),
        "writeDisposition": _text("What the export does if the table has rows.") | {"enum": _WRITE_DISPOSITIONS},
        "force": _flag("Same as WRITE_TRUNCATE. Ignored if writeDisposition is set."),
        "includeSourceStore": _flag("Whether rows have the column SourceDicomStore."),
        "includeSourceObject": _flag("Whether rows have the columns SourceObject and SourceGeneration."),
        PARTITION_CONFIG: {
            "$ref": "TimePartitioning",
            "description": "Partitions by LastUpdated, if the table does not exist yet.",
        },
        "schemaFlattened": {"$ref": "SchemaFlattened"},
        "schemaJson": {"$ref": "SchemaJSON"},
    }
    partitioning = {
        "type": _text("Length of a partition: DAY, MONTH or YEAR. HOUR is refused.") | {"enum": list(PARTITION_TYPES)},
        "expirationMs": _text("Milliseconds for which BigQuery keeps a partition and its rows. Without it, forever.")
        | {"format": "int64"},
    }
    found = [
        _object("SchemaFlattened", {}),
        _object("SchemaJSON", {}),
        _object("TimePartitioning", partitioning),
    ]
    if version == "v1beta1":
        capture = f"{prefix}ChangeDataCaptureConfig"
        destination["changeDataCaptureConfig"] = {"$ref": capture}
        found.append(_object(capture, {}))
    return [
        *found,
        _object(f"{prefix}BigQueryDestination", destination),
        _object(
            f"{prefix}GcsDestination",
            {
                "uriPrefix": _text("gs://BUCKET/FOLDER: files become FOLDER/STUDY_UID/SERIES_UID/INSTANCE_UID.dcm."),
                "mimeType": _text("application/dicom, or absent: files are copied as they are stored."),
            },
        ),
        _object("DicomFilterConfig", {"resourcePathsGcsUri": _text("The filter file: gs://BUCKET/PATH.")}),
        _object(
            "ExportDicomDataRequest",
            {
                "bigqueryDestination": {"$ref": f"{prefix}BigQueryDestination"},
                "gcsDestination": {"$ref": f"{prefix}GcsDestination"},
                "filterConfig": {"$ref": "DicomFilterConfig"},
                "_since": _text("Export only objects that were written after this time.")
                | {"format": "google-datetime"},
                "_allowColdReads": _flag("Whether objects in cold storage classes may be read, which costs more."),
            },
        ),
    ]


def _operations() -> list[Json]:
    return [
        _object(
            "Operation",
            {
                "name": _text("Resource name of the operation."),
                "metadata": _any("An OperationMetadata."),
                "done": _flag("Whether the operation has ended."),
                "error": {"$ref": "Status"},
                "response": _any("An Empty."),
            },
        ),
        _object(
            "OperationMetadata",
            {
                "apiMethodName": _text("Method that started the operation."),
                "createTime": _text("Time at which the operation started.") | {"format": "google-datetime"},
                "endTime": _text("Time at which the operation ended.") | {"format": "google-datetime"},
                "logsUrl": _text("Address of the log entries of the operation."),
                "cancelRequested": _flag("Whether a client has cancelled the operation."),
                "counter": {"$ref": "ProgressCounter"},
                "differences": {"$ref": "Differences"},
                "unchangedObjects": _text("Number of objects that had a row already.") | {"format": "int64"},
            },
        ),
        _counts(
            "ProgressCounter",
            pending="Instances that have no outcome yet.",
            success="Instances that were exported.",
            failure="Instances that could not be exported.",
            secondarySuccess="Studies of which at least one instance was exported.",
        ),
        _counts(
            "Differences",
            missing="Instances without a row.",
            stale="Instances whose newest row is older than the object, or has another size.",
            orphaned="Rows whose instance is not in the store.",
            outranked="Missing or stale instances that a repair cannot export, because their row is newer than the object.",
        ),
        _object(
            "Status",
            {
                "code": {"type": "integer", "format": "int32", "description": "A google.rpc.Code."},
                "message": _text("What went wrong."),
                "details": {
                    "type": "array",
                    "items": _any("A google.rpc.Help."),
                    "description": "Links to more about the error.",
                },
            },
        ),
        _object(
            "Failure",
            {
                "object": _text("The object's name below the store."),
                "generation": _text("The object's generation.") | {"format": "int64"},
                "studyInstanceUid": _text("The UID, if it is known."),
                "seriesInstanceUid": _text("The UID, if it is known."),
                "sopInstanceUid": _text("The UID, if it is known."),
                "stage": _text("The step that failed: READ, WRITE, COMMIT, COPY or DELIVERY."),
                "error": {"$ref": "Status"},
            },
        ),
    ]


def _lists() -> list[Json]:
    kinds = {
        "locations": "Location",
        "datasets": "Dataset",
        "dicomStores": "DicomStore",
        "operations": "Operation",
        "failures": "Failure",
    }
    token = _text("The token of the next page; absent on the last page.")
    return [
        _object(
            f"List{name[0].upper()}{name[1:]}Response",
            {name: _list_of(kind, "The entries of this page."), "nextPageToken": token},
        )
        for name, kind in kinds.items()
    ]


def _object(name: str, properties: Json) -> Json:
    return {"id": name, "type": "object", "properties": properties}


def _counts(name: str, **counts: str) -> Json:
    return _object(name, {count: _text(meaning) | {"format": "int64"} for count, meaning in counts.items()})


def _list_of(kind: str, description: str) -> Json:
    return {"type": "array", "items": {"$ref": kind}, "description": description}


def _text(description: str) -> Json:
    return {"type": "string", "description": description}


def _flag(description: str) -> Json:
    return {"type": "boolean", "description": description}


def _any(description: str) -> Json:
    return {"type": "object", "additionalProperties": {"type": "any"}, "description": description}

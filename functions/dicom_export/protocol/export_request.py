"""The body of `dicomStores.export`, read and written: table or folder, and part of the store.

Source:
https://cloud.google.com/healthcare-api/docs/reference/rest/v1beta1/projects.locations.datasets.dicomStores/export
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dicom_export.errors import Unimplemented
from dicom_export.names import GcsUri, TableName
from dicom_export.operations.request import ExportRequest, FilesRequest, WriteDisposition
from dicom_export.operations.reserved_names import check_table
from dicom_export.protocol import gcs_destination
from dicom_export.protocol.instants import parse_instant
from dicom_export.protocol.partition_config import PARTITION_CONFIG, parse_partitioning
from dicom_export.protocol.transcoding import JsonMessage
from dicom_export.rows.layout import SchemaKind

if TYPE_CHECKING:
    from dicom_export.names import StoreName

_DESTINATIONS = ("bigqueryDestination", "gcsDestination")
# Google's how-to page of 2023 had `writeDisposition` here, and not in the destination.
# `_since` is the field of the FHIR export of the same API.
_REQUEST = ("name", *_DESTINATIONS, "filterConfig", "writeDisposition", "_since")
ALLOW_COLD_READS = "_allowColdReads"
"""Our own field, which the managed service does not have."""
_SCHEMAS = ("schemaFlattened", "schemaJson")
_CAPTURE = "changeDataCaptureConfig"
_DESTINATION = (
    "tableUri",
    "writeDisposition",
    "force",
    "includeSourceStore",
    "includeSourceObject",
    *_SCHEMAS,
    _CAPTURE,
    PARTITION_CONFIG,
)
_MAX_SHOWN_LENGTH = 200
_WRITE_DISPOSITIONS = ("WRITE_DISPOSITION_UNSPECIFIED", "WRITE_EMPTY", "WRITE_TRUNCATE", "WRITE_APPEND")


def parse_export_request(store: StoreName, body: object, *, api_version: str) -> ExportRequest | FilesRequest:
    """Return the request in the JSON value `body`, for this store.

    Raises InvalidArgument if the body is malformed or contradicts itself, Unimplemented for a
    feature of the managed service that this system does not have.
    """
    request = JsonMessage.root(body, (*_REQUEST, ALLOW_COLD_READS))
    package = f"google.cloud.healthcare.{api_version}.dicom"
    _check_name(request, store)
    destination, files = _destinations(request, package)
    filter_uri = _filter_uri(request, package)
    allow_cold_reads = bool(request.boolean(ALLOW_COLD_READS))
    since = request.optional("_since", parse_instant)
    if destination is None:
        files_request = _files_request(store, request, files, filter_uri)
        return replace(files_request, allow_cold_reads=allow_cold_reads, since=since)
    table = parse_table(destination)
    write_disposition = _write_disposition(request, destination, package)
    schema = _schema(destination, package, api_version)
    include_source_store = bool(destination.boolean("includeSourceStore"))
    include_source_object = bool(destination.boolean("includeSourceObject"))
    partitioning = parse_partitioning(destination)
    return ExportRequest(
        store=store,
        table=request.right(table),
        write_disposition=write_disposition,
        schema=_without_changes(schema),
        include_source_store=include_source_store,
        filter_uri=filter_uri,
        allow_cold_reads=allow_cold_reads,
        include_source_object=include_source_object,
        since=since,
        partitioning=partitioning,
    )


def export_request_to_json(request: ExportRequest | FilesRequest) -> dict[str, Any]:
    """Return the body that `parse_export_request` reads.

    A body cannot say `views` and `repeats_rows`: the service decides.
    """
    body: dict[str, Any] = {}
    if isinstance(request, FilesRequest):
        body["gcsDestination"] = {"uriPrefix": str(request.folder)}
    else:
        body["bigqueryDestination"] = _destination_to_json(request)
    if request.filter_uri:
        body["filterConfig"] = {"resourcePathsGcsUri": str(request.filter_uri)}
    if request.since:
        body["_since"] = request.since.isoformat()
    if request.allow_cold_reads:
        body[ALLOW_COLD_READS] = True
    return body


def _destination_to_json(request: ExportRequest) -> dict[str, Any]:
    is_new = request.write_disposition is WriteDisposition.CREATE_NEW
    destination: dict[str, Any] = {
        "tableUri": str(request.table),
        **({"force": False} if is_new else {"writeDisposition": request.write_disposition.value}),
        _SCHEMAS[request.schema is SchemaKind.JSON]: {},
    }
    if request.include_source_store:
        destination["includeSourceStore"] = True
    if request.include_source_object:
        destination["includeSourceObject"] = True
    if request.partitioning:
        destination[PARTITION_CONFIG] = request.partitioning.to_json()
    return destination


def _check_name(request: JsonMessage, store: StoreName) -> None:
    name = request.text("name")
    if name is not None and name != str(store):
        request.refuse(
            "name", f"The name in the request is {name[:_MAX_SHOWN_LENGTH]!r}; expected {str(store)!r}, as in the path."
        )


def _destinations(request: JsonMessage, package: str) -> tuple[JsonMessage | None, JsonMessage | None]:
    """Return the destination of rows and that of files; None for each that is absent or malformed."""
    which = request.only_one_of("destination", _DESTINATIONS)
    if which is None:
        request.refuse_absence(
            "bigqueryDestination",
            'A destination is required: {"bigqueryDestination": {"tableUri": "bq://PROJECT.DATASET.TABLE"}} for metadata, or'
            ' {"gcsDestination": {"uriPrefix": "gs://BUCKET/FOLDER"}} for files.',
        )
    files = request.message("gcsDestination", gcs_destination.FIELDS, f"{package}.GcsDestination")
    return request.message("bigqueryDestination", _DESTINATION, f"{package}.BigQueryDestination"), files


def _files_request(
    store: StoreName, request: JsonMessage, files: JsonMessage | None, filter_uri: GcsUri | None
) -> FilesRequest:
    folder = gcs_destination.parse_folder(files) if files else None
    is_as_stored = files is None or gcs_destination.parse_is_as_stored(files)
    if request.text("writeDisposition"):
        request.refuse("writeDisposition", "writeDisposition is for bigqueryDestination; leave it out.")
    request.check()
    if not is_as_stored:
        raise gcs_destination.refuse_transcoding()
    return FilesRequest(store, request.right(folder), filter_uri)


def parse_table(destination: JsonMessage) -> TableName | None:
    """Return the table that a BigQueryDestination names.

    Return None, and record a violation, if it names no table that may be written.
    """
    return destination.required("tableUri", lambda uri: check_table(TableName.parse(uri)), "bq://PROJECT.DATASET.TABLE")


def _write_disposition(request: JsonMessage, destination: JsonMessage, package: str) -> WriteDisposition:
    enum = f"{package}.BigQueryDestination.WriteDisposition"
    unspecified = _WRITE_DISPOSITIONS[0]
    given = destination.enum("writeDisposition", _WRITE_DISPOSITIONS, enum) or unspecified
    beside = request.enum("writeDisposition", _WRITE_DISPOSITIONS, enum) or unspecified
    force = destination.boolean("force")
    if unspecified not in (given, beside) and given != beside:
        request.refuse(
            "writeDisposition",
            f"writeDisposition is {given} in bigqueryDestination and {beside} next to it; give it once.",
        )
    for disposition in (given, beside):
        if disposition != unspecified:
            return WriteDisposition(disposition)
    if force is None:
        return WriteDisposition.WRITE_EMPTY
    return WriteDisposition.WRITE_TRUNCATE if force else WriteDisposition.CREATE_NEW


def parse_schema(destination: JsonMessage, package: str) -> tuple[SchemaKind, bool]:
    """Return the schema of a BigQueryDestination, and whether it has change data capture.

    Change data capture with a schema other than the one with one row per instance is a violation.
    """
    which = destination.only_one_of("schema", _SCHEMAS)
    destination.message("schemaFlattened", (), f"{package}.SchemaFlattened")
    destination.message("schemaJson", (), f"{package}.SchemaJSON")
    capture = destination.message(_CAPTURE, (), f"{package}.ChangeDataCaptureConfig")
    schema = SchemaKind.JSON if which == "schemaJson" else SchemaKind.FLATTENED
    if capture is not None and schema is not SchemaKind.JSON:
        destination.refuse(
            _CAPTURE, f'{_CAPTURE} needs "schemaJson": {{}}, which is the schema with one row per instance.'
        )
    return schema, capture is not None


def _schema(destination: JsonMessage, package: str, api_version: str) -> tuple[SchemaKind, bool]:
    schema, captures_changes = parse_schema(destination, package)
    if captures_changes and api_version != "v1beta1":
        destination.refuse(_CAPTURE, f"{_CAPTURE} is a field of v1beta1; this is a request to {api_version}.")
    return schema, captures_changes


def _without_changes(schema: tuple[SchemaKind, bool]) -> SchemaKind:
    kind, captures_changes = schema
    if captures_changes:
        raise Unimplemented(
            f"{_CAPTURE} is not implemented for exports: an export writes every row once, so there is no older version to"
            " replace. Leave it out."
        )
    return kind


def _filter_uri(request: JsonMessage, package: str) -> GcsUri | None:
    config = request.message("filterConfig", ("resourcePathsGcsUri",), f"{package}.FilterConfig")
    return config.required("resourcePathsGcsUri", GcsUri.parse, "gs://BUCKET/PATH") if config else None

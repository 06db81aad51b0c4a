"""The body of `dicomStores.export`, decoded: which table, how to write it, and which part of the store.

Source: https://cloud.google.com/healthcare-api/docs/reference/rest/v1beta1/projects.locations.datasets.dicomStores/export
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument, Unimplemented
from dicom_export.names import GcsUri, TableName
from dicom_export.operations import ExportRequest, WriteDisposition
from dicom_export.reserved import check_table
from dicom_export.row_layout import SchemaKind
from dicom_export.transcoding import JsonMessage

if TYPE_CHECKING:
    from dicom_export.names import StoreName

_DESTINATIONS = ("bigqueryDestination", "gcsDestination")
# `writeDisposition` stood here, and not in the destination, in the how-to page of 2023.
_REQUEST = ("name", *_DESTINATIONS, "filterConfig", "writeDisposition")
_SCHEMAS = ("schemaFlattened", "schemaJson")
_DESTINATION = (
    *("tableUri", "writeDisposition", "force", "includeSourceStore", *_SCHEMAS),
    "changeDataCaptureConfig",
)
_WRITE_DISPOSITIONS = ("WRITE_DISPOSITION_UNSPECIFIED", "WRITE_EMPTY", "WRITE_TRUNCATE", "WRITE_APPEND")


def parse_export_request(store: StoreName, body: object, *, api_version: str) -> ExportRequest:
    """Return the request that the JSON value `body` is, for this store.

    Raises InvalidArgument for what is malformed or contradicts itself, Unimplemented for what the managed service can
    do and this system cannot.
    """
    request = JsonMessage.root(body, _REQUEST)
    _require_name(request, store)
    package = f"google.cloud.healthcare.{api_version}.dicom"
    destination = _destination(request, package)
    return ExportRequest(
        store=store,
        table=parse_table(destination),
        write_disposition=_write_disposition(request, destination, package),
        schema=_schema(destination, package, api_version),
        include_source_store=bool(destination.boolean("includeSourceStore")),
        filter_uri=_filter_uri(request, package),
    )


def _require_name(request: JsonMessage, store: StoreName) -> None:
    name = request.text("name")
    if name is not None and name != str(store):
        raise InvalidArgument(f"The request's name is {name!r}, but it was sent to {str(store)!r}.")


def _destination(request: JsonMessage, package: str) -> JsonMessage:
    which = request.require_one_of("destination", _DESTINATIONS)
    if which == "gcsDestination":
        request.message(which, ("uriPrefix", "mimeType"), f"{package}.GcsDestination")
        raise Unimplemented(
            "gcsDestination: exporting DICOM files to Cloud Storage is not implemented; bigqueryDestination exports"
            " their metadata."
        )
    destination = request.message("bigqueryDestination", _DESTINATION, f"{package}.BigQueryDestination")
    if destination is None:
        raise InvalidArgument(
            'A destination is required: {"bigqueryDestination": {"tableUri": "bq://PROJECT.DATASET.TABLE"}}.'
        )
    return destination


def parse_table(destination: JsonMessage) -> TableName:
    """Return the table that a BigQueryDestination names. Raises InvalidArgument."""
    uri = destination.text("tableUri")
    if not uri:
        raise InvalidArgument("bigqueryDestination.tableUri is required; it would be bq://PROJECT.DATASET.TABLE.")
    return check_table(TableName.parse(uri))


def _write_disposition(request: JsonMessage, destination: JsonMessage, package: str) -> WriteDisposition:
    enum = f"{package}.BigQueryDestination.WriteDisposition"
    unspecified = _WRITE_DISPOSITIONS[0]
    given = destination.enum("writeDisposition", _WRITE_DISPOSITIONS, enum) or unspecified
    beside = request.enum("writeDisposition", _WRITE_DISPOSITIONS, enum) or unspecified
    force = destination.boolean("force")
    if unspecified not in (given, beside) and given != beside:
        raise InvalidArgument(
            f"writeDisposition is {given} in bigqueryDestination and {beside} beside it; give it once."
        )
    for disposition in (given, beside):
        if disposition != unspecified:
            return WriteDisposition(disposition)
    if force is None:
        return WriteDisposition.WRITE_EMPTY
    return WriteDisposition.WRITE_TRUNCATE if force else WriteDisposition.CREATE_NEW


def parse_schema(destination: JsonMessage, package: str) -> tuple[SchemaKind, bool]:
    """Return the schema that a BigQueryDestination asks for, and whether for change data capture. Raises InvalidArgument."""
    which = destination.require_one_of("schema", _SCHEMAS)
    destination.message("schemaFlattened", (), f"{package}.SchemaFlattened")
    destination.message("schemaJson", (), f"{package}.SchemaJSON")
    capture = destination.message("changeDataCaptureConfig", (), f"{package}.ChangeDataCaptureConfig")
    return SchemaKind.JSON if which == "schemaJson" else SchemaKind.FLATTENED, capture is not None


def _schema(destination: JsonMessage, package: str, api_version: str) -> SchemaKind:
    schema, captures_changes = parse_schema(destination, package)
    if captures_changes:
        _refuse_change_data_capture(schema, api_version)
    return schema


def _refuse_change_data_capture(schema: SchemaKind, api_version: str) -> None:
    if api_version != "v1beta1":
        raise InvalidArgument(f"changeDataCaptureConfig is a field of v1beta1; this is a request to {api_version}.")
    if schema is not SchemaKind.JSON:
        raise InvalidArgument(
            'changeDataCaptureConfig needs "schemaJson": {}, which is the schema with one row an instance.'
        )
    raise Unimplemented(
        "changeDataCaptureConfig is not implemented for exports: an export writes every row once, so there is no older"
        " version to replace; leave it out."
    )


def _filter_uri(request: JsonMessage, package: str) -> GcsUri | None:
    config = request.message("filterConfig", ("resourcePathsGcsUri",), f"{package}.FilterConfig")
    if config is None:
        return None
    uri = config.text("resourcePathsGcsUri")
    if not uri:
        raise InvalidArgument(
            "filterConfig.resourcePathsGcsUri is required in a filterConfig; it would be gs://BUCKET/PATH."
        )
    return GcsUri.parse(uri)

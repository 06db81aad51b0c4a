"""Read the tables for rows of new uploads and deletions: `DicomStore.streamConfigs` of the API, declared in the settings.

Source: https://cloud.google.com/healthcare-api/docs/reference/rest/v1beta1/projects.locations.datasets.dicomStores#StreamConfig
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_export.errors import InvalidArgument
from dicom_export.protocol.export_request import parse_schema, parse_table
from dicom_export.protocol.partition_config import PARTITION_CONFIG, parse_partitioning
from dicom_export.protocol.transcoding import JsonMessage
from dicom_export.rows.layout import SchemaKind

if TYPE_CHECKING:
    from dicom_export.names import TableName
    from dicom_export.rows.partitioning import Partitioning

MAX_STREAMS = 5

_PACKAGE = "google.cloud.healthcare.v1beta1.dicom"
_DESTINATION = (
    "tableUri",
    "schemaFlattened",
    "schemaJson",
    "includeSourceStore",
    "includeSourceObject",
    "changeDataCaptureConfig",
    PARTITION_CONFIG,
)


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """A table that gets the rows. With `tracks_changes` it keeps the latest row per instance instead of one row per event.

    A table that does not exist gets the `partitioning`.
    """

    table: TableName
    schema: SchemaKind = SchemaKind.FLATTENED
    include_source_store: bool = False
    tracks_changes: bool = False
    views: bool = True
    include_source_object: bool = False
    partitioning: Partitioning | None = None

    def to_json(self, api_version: str = "v1beta1") -> dict[str, Any]:
        """Return the StreamConfig of a version of the API: v1 has no change data capture."""
        destination: dict[str, Any] = {
            "tableUri": str(self.table),
            "schemaJson" if self.schema is SchemaKind.JSON else "schemaFlattened": {},
        }
        if self.include_source_store:
            destination["includeSourceStore"] = True
        if self.include_source_object:
            destination["includeSourceObject"] = True
        if self.tracks_changes and api_version == "v1beta1":
            destination["changeDataCaptureConfig"] = {}
        if self.partitioning:
            destination[PARTITION_CONFIG] = self.partitioning.to_json()
        return {"bigqueryDestination": destination}


def parse_stream_configs(value: object) -> tuple[StreamConfig, ...]:
    """Return the configurations in a list of JSON. Raises InvalidArgument if they are malformed or contradict each other."""
    if not isinstance(value, list):
        raise InvalidArgument('streamConfigs is not a list; expected [{"bigqueryDestination": {"tableUri": …}}]')
    configs = tuple(map(_stream_config, value))
    if len(configs) > MAX_STREAMS:
        raise InvalidArgument(f"streamConfigs has {len(configs)} entries; a store has at most {MAX_STREAMS}")
    tables = [config.table for config in configs]
    twice = next((table for table in tables if tables.count(table) > 1), None)
    if twice:
        raise InvalidArgument(f"streamConfigs names {twice} twice; name each table once")
    return configs


def _stream_config(value: object) -> StreamConfig:
    config = JsonMessage.root(value, ("bigqueryDestination",))
    destination = config.message("bigqueryDestination", _DESTINATION, f"{_PACKAGE}.BigQueryDestination")
    if destination is None:
        config.check()
        raise InvalidArgument(
            'A stream config has no bigqueryDestination; expected {"tableUri": "bq://PROJECT.DATASET.TABLE"}'
        )
    table = parse_table(destination)
    schema, captures_changes = parse_schema(destination, _PACKAGE)
    include_source_store = bool(destination.boolean("includeSourceStore"))
    include_source_object = bool(destination.boolean("includeSourceObject"))
    partitioning = parse_partitioning(destination)
    return StreamConfig(
        config.right(table),
        schema,
        include_source_store,
        captures_changes,
        include_source_object=include_source_object,
        partitioning=partitioning,
    )

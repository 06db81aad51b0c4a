"""What a client asks for: which part of which store, into which table, and how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dicom_export.names import GcsUri, StoreName, TableName
from dicom_export.rows.layout import RowLayout, SchemaKind

if TYPE_CHECKING:
    from collections.abc import Mapping


class WriteDisposition(StrEnum):
    """What happens to a table that exists: BigQuery's write dispositions, and the API's explicit `force: false`."""

    WRITE_EMPTY = "WRITE_EMPTY"
    WRITE_TRUNCATE = "WRITE_TRUNCATE"
    WRITE_APPEND = "WRITE_APPEND"
    CREATE_NEW = "CREATE_NEW"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table that a store is compared with, and whether what it lacks is exported to it afterwards."""

    table: TableName
    repair: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"table": str(self.table), "repair": self.repair}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        return cls(TableName.parse(data["table"]), data["repair"])


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A valid request: which store, into which table, how, and which part of the store.

    With a `comparison` it is one for a verification: what is exported is an inventory, and `table` becomes the report of what the store
    and the compared table differ in. With `repairs` it exports the instances that a report says are to be exported.
    """

    store: StoreName
    table: TableName
    write_disposition: WriteDisposition = WriteDisposition.WRITE_EMPTY
    schema: SchemaKind = SchemaKind.FLATTENED
    include_source_store: bool = False
    filter_uri: GcsUri | None = None
    comparison: Comparison | None = None
    repairs: TableName | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether it is about a part of the store only."""
        return self.filter_uri is not None or self.repairs is not None

    @property
    def row_layout(self) -> RowLayout:
        """What the rows are like."""
        return RowLayout(self.schema, str(self.store) if self.include_source_store else None)

    def to_json(self) -> dict[str, Any]:
        return {
            "store": str(self.store),
            "table": str(self.table),
            "writeDisposition": self.write_disposition.value,
            "schema": self.schema.value,
            "includeSourceStore": self.include_source_store,
            "filterUri": str(self.filter_uri) if self.filter_uri else None,
            "comparison": self.comparison.to_json() if self.comparison else None,
            "repairs": str(self.repairs) if self.repairs else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ExportRequest:
        return cls(
            StoreName.parse(data["store"]),
            TableName.parse(data["table"]),
            WriteDisposition(data["writeDisposition"]),
            SchemaKind(data["schema"]),
            data["includeSourceStore"],
            GcsUri.parse(data["filterUri"]) if data["filterUri"] else None,
            # Operations of earlier versions have neither.
            Comparison.from_json(data["comparison"]) if data.get("comparison") else None,
            TableName.parse(data["repairs"]) if data.get("repairs") else None,
        )

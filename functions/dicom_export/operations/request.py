"""The requests of clients: an export of rows or files, a verification or a repair."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dicom_export.names import GcsFolder, GcsUri, StoreName, TableName
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.rows.partitioning import Partitioning, partitioning_from_json

if TYPE_CHECKING:
    from collections.abc import Mapping


class WriteDisposition(StrEnum):
    """How an export treats an existing table.

    These are BigQuery's write dispositions, and the API's explicit `force: false`.
    """

    WRITE_EMPTY = "WRITE_EMPTY"
    WRITE_TRUNCATE = "WRITE_TRUNCATE"
    WRITE_APPEND = "WRITE_APPEND"
    CREATE_NEW = "CREATE_NEW"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Write one row to a table for each instance of a store, or of the part that a filter names.

    `views` says whether the table gets views. Only objects that were written after `since` count. An export that adds to a table leaves out
    objects that have a row there, if the table tells, unless it `repeats_rows`. A table
    that does not exist gets the `partitioning`.
    """

    store: StoreName
    table: TableName
    write_disposition: WriteDisposition = WriteDisposition.WRITE_EMPTY
    schema: SchemaKind = SchemaKind.FLATTENED
    include_source_store: bool = False
    filter_uri: GcsUri | None = None
    views: bool = True
    allow_cold_reads: bool = False
    include_source_object: bool = False
    since: datetime | None = None
    repeats_rows: bool = False
    partitioning: Partitioning | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether the request selects a part of the store."""
        return self.filter_uri is not None

    @property
    def row_layout(self) -> RowLayout:
        """The layout of the rows."""
        return _layout(self)

    def to_json(self) -> dict[str, Any]:
        return _to_json(
            self,
            filterUri=str(self.filter_uri) if self.filter_uri else None,
            **({} if self.views else {"views": False}),
            **({"since": self.since.isoformat()} if self.since else {}),
            **({"repeatsRows": True} if self.repeats_rows else {}),
            **({"partitioning": self.partitioning.to_json()} if self.partitioning else {}),
        )


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Compare a store with the table `compared`, and write the differences to the report `table`.

    The rows of the operation are an inventory of the store. With `repair`, another operation then
    exports the instances that the table lacks.
    """

    store: StoreName
    table: TableName
    compared: TableName
    repair: bool = False
    allow_cold_reads: bool = False

    write_disposition = WriteDisposition.WRITE_TRUNCATE
    schema = SchemaKind.INVENTORY
    include_source_store = False
    include_source_object = False
    filter_uri = None
    since = None
    is_filtered = False
    views = False

    @property
    def row_layout(self) -> RowLayout:
        """The layout of the inventory's rows."""
        return RowLayout(self.schema)

    def to_json(self) -> dict[str, Any]:
        return _to_json(self, comparison={"table": str(self.compared), "repair": self.repair})


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """Append the rows of the missing and stale instances in a verification's `report`."""

    store: StoreName
    table: TableName
    report: TableName
    schema: SchemaKind = SchemaKind.FLATTENED
    include_source_store: bool = False
    allow_cold_reads: bool = False
    include_source_object: bool = False

    write_disposition = WriteDisposition.WRITE_APPEND
    filter_uri = None
    since = None
    is_filtered = True
    views = False

    @property
    def row_layout(self) -> RowLayout:
        """The layout of the rows: the same as in the table."""
        return _layout(self)

    def to_json(self) -> dict[str, Any]:
        return _to_json(self, repairs=str(self.report))


@dataclass(frozen=True, slots=True)
class FilesRequest:
    """Copy the files of a store's instances to a folder, or of the part that a filter names."""

    store: StoreName
    folder: GcsFolder
    filter_uri: GcsUri | None = None
    allow_cold_reads: bool = False
    since: datetime | None = None

    # An inventory has the UIDs of each instance, and no other element.
    row_layout = RowLayout(SchemaKind.INVENTORY)
    write_disposition = WriteDisposition.WRITE_APPEND

    @property
    def is_filtered(self) -> bool:
        """Whether the request selects a part of the store."""
        return self.filter_uri is not None

    def to_json(self) -> dict[str, Any]:
        return {
            "store": str(self.store),
            "folder": str(self.folder),
            "filterUri": str(self.filter_uri) if self.filter_uri else None,
            **({"allowColdReads": True} if self.allow_cold_reads else {}),
            **({"since": self.since.isoformat()} if self.since else {}),
        }


TableRequest = ExportRequest | VerifyRequest | RepairRequest
"""A request that writes rows to a table."""

Request = TableRequest | FilesRequest


def _layout(request: ExportRequest | RepairRequest) -> RowLayout:
    source_store = str(request.store) if request.include_source_store else None
    return RowLayout(request.schema, source_store, request.include_source_object)


def _to_json(request: TableRequest, **own: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the request as the state holds it.

    All kinds with a table use one object, with null for the fields that a kind does not have. Fields
    that earlier versions do not know are left out where they say nothing new.
    """
    return {
        "store": str(request.store),
        "table": str(request.table),
        "writeDisposition": request.write_disposition.value,
        "schema": request.schema.value,
        "includeSourceStore": request.include_source_store,
        **({"includeSourceObject": True} if request.include_source_object else {}),
        **dict.fromkeys(("filterUri", "comparison", "repairs")),
        **own,
        **({"allowColdReads": True} if request.allow_cold_reads else {}),
    }


def request_from_json(data: Mapping[str, Any]) -> Request:
    """Return the request from the data that `to_json` returned.

    An earlier version may have written it.
    """
    if folder := data.get("folder"):
        filter_uri = GcsUri.parse(data["filterUri"]) if data["filterUri"] else None
        allows = data.get("allowColdReads", False)
        return FilesRequest(
            StoreName.parse(data["store"]), GcsFolder.parse(folder), filter_uri, allows, _instant(data.get("since"))
        )
    store, table = StoreName.parse(data["store"]), TableName.parse(data["table"])
    schema, include_source_store = SchemaKind(data["schema"]), data["includeSourceStore"]
    # Operations of earlier versions have none of these.
    allows = data.get("allowColdReads", False)
    include_source_object = data.get("includeSourceObject", False)
    if comparison := data.get("comparison"):
        return VerifyRequest(store, table, TableName.parse(comparison["table"]), comparison["repair"], allows)
    if repairs := data.get("repairs"):
        return RepairRequest(
            store, table, TableName.parse(repairs), schema, include_source_store, allows, include_source_object
        )
    filter_uri = GcsUri.parse(data["filterUri"]) if data["filterUri"] else None
    disposition = WriteDisposition(data["writeDisposition"])
    return ExportRequest(
        store,
        table,
        disposition,
        schema,
        include_source_store,
        filter_uri,
        views=data.get("views", True),
        allow_cold_reads=allows,
        include_source_object=include_source_object,
        since=_instant(data.get("since")),
        repeats_rows=data.get("repeatsRows", False),
        partitioning=partitioning_from_json(data.get("partitioning")),
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

"""Define the inventory of a store, the SQL that compares it with a table, and the differences."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_export.errors import FailedPrecondition
from dicom_export.operations.counters import DifferenceCounts
from dicom_export.operations.filters import names_instance
from dicom_export.rows.layout import OBJECT_COLUMNS, SchemaKind, names_objects
from dicom_export.rows.schema import INVENTORY, SOURCE_OBJECT, UID_COLUMNS, Field, FieldType, Schema
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from dicom_export.names import TableName

REPORT: Schema = (
    Field("Difference", FieldType.STRING),
    *(field for field in INVENTORY if field.name not in {"BlobStorageSize", "SourceObject"}),
    Field("RowLastUpdated", FieldType.TIMESTAMP),
)
"""The columns of a report: a table with a row for each instance in which a store and a table differ."""

OBJECTS: Schema = (*SOURCE_OBJECT, Field("BlobStorageSize", FieldType.INTEGER))
"""The columns of a table with the object versions that have a row in another table."""

_NEEDED = ("LastUpdated", "BlobStorageSize")

# SQL for both BigQuery and DuckDB. The latest row of an instance is that of queries/latest-instances.sql.
_COMPARISON = """
WITH objects AS (
    SELECT * FROM ({inventory}) WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY COALESCE(SOPInstanceUID, SourceObject) ORDER BY LastUpdated DESC, Object
    ) = 1
), latest AS (
    SELECT * FROM (SELECT {columns} FROM {table} WHERE {is_of_store}) WHERE SOPInstanceUID IS NOT NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY SOPInstanceUID ORDER BY LastUpdated DESC NULLS LAST) = 1
)
SELECT
    CASE
        WHEN o.Object IS NULL THEN 'ORPHANED'
        WHEN r.SOPInstanceUID IS NULL OR NOT r.IsThere THEN 'MISSING'
        ELSE 'STALE'
    END AS Difference,
    o.Object AS Object,
    o.Generation AS Generation,
    COALESCE(o.StudyInstanceUID, r.StudyInstanceUID) AS StudyInstanceUID,
    COALESCE(o.SeriesInstanceUID, r.SeriesInstanceUID) AS SeriesInstanceUID,
    COALESCE(o.SOPInstanceUID, r.SOPInstanceUID) AS SOPInstanceUID,
    o.LastUpdated AS LastUpdated,
    r.LastUpdated AS RowLastUpdated
FROM objects AS o FULL JOIN latest AS r ON o.SOPInstanceUID = r.SOPInstanceUID
WHERE (r.LastUpdated IS NULL OR r.LastUpdated < ?) AND CASE
    WHEN o.Object IS NULL THEN r.IsThere
    WHEN r.SOPInstanceUID IS NULL OR NOT r.IsThere THEN TRUE
    ELSE r.LastUpdated IS NULL OR r.LastUpdated < o.LastUpdated OR r.BlobStorageSize IS DISTINCT FROM o.BlobStorageSize
END
"""

_LISTED = "Object, Generation, LastUpdated, BlobStorageSize"
# An object that was not read has the UIDs of the row for this version of it. If that row was deleted meanwhile, the object is
# missing.
_OBJECTS = """
    SELECT {listed}, {known_uids}, i.SourceObject AS SourceObject
    FROM {inventory} AS i LEFT JOIN (
        SELECT {versions}, {uids} FROM {table} WHERE {is_there} AND SourceObject IS NOT NULL
        QUALIFY ROW_NUMBER() OVER (PARTITION BY {versions} ORDER BY LastUpdated DESC NULLS LAST) = 1
    ) AS k
    ON i.SourceObject = k.SourceObject AND i.Generation = k.SourceGeneration AND i.BlobStorageSize = k.BlobStorageSize
"""

COUNTS = """
SELECT Difference, COUNT(*) AS Instances, SUM(CASE WHEN RowLastUpdated >= LastUpdated THEN 1 ELSE 0 END) AS Outranked
FROM {report} GROUP BY Difference
"""
DIFFERENCES = "SELECT * FROM {report} ORDER BY Difference, Object, SOPInstanceUID"


class DifferenceKind(StrEnum):
    """How an instance of the store and its latest row differ."""

    MISSING = "MISSING"
    """It has no row, or the latest one is that of a deletion."""
    STALE = "STALE"
    """Its row is older than the object, or of another size."""
    ORPHANED = "ORPHANED"
    """The row's instance is in no object."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An instance whose latest row differs from the store.

    `object`, `generation` and `updated` are None without an object, `row_updated` without a row. `outranks_object` says whether the
    row's time is not before the object's, so that a row of this object would not be the latest one.
    """

    kind: DifferenceKind
    uids: InstanceUids
    object: str | None = None
    generation: int | None = None
    updated: datetime | None = None
    row_updated: datetime | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Difference:
        """Return the difference of a row of the report."""
        return cls(
            DifferenceKind(row["Difference"]),
            InstanceUids(*(row[uid] for uid in UID_COLUMNS)),
            row["Object"],
            row["Generation"],
            row["LastUpdated"],
            row["RowLastUpdated"],
        )

    @property
    def outranks_object(self) -> bool:
        return bool(self.updated and self.row_updated and self.row_updated >= self.updated)

    @property
    def obstacle(self) -> str:
        """The reason why an export of the instance cannot correct its latest row; empty if it can."""
        if self.kind is DifferenceKind.ORPHANED:
            return "nothing in the store holds this instance, and an export removes no rows"
        if self.outranks_object:
            return "the object is not newer than its row, and a row of it would not be the latest one"
        if self.uids.instance is None:
            return "the row of the object was deleted during the verification; verify again"
        return "" if names_instance(self.uids) else "one of its UIDs is missing, so that no filter can name it"

    @property
    def is_repairable(self) -> bool:
        """Whether an export of the instance corrects its latest row."""
        return not self.obstacle


def difference_counts(rows: Iterable[tuple[str, int, int]]) -> DifferenceCounts:
    """Return the counts in the rows of COUNTS."""
    found = {kind: (instances, outranked) for kind, instances, outranked in rows}
    instances = {kind.lower(): found.get(kind, (0, 0))[0] for kind in DifferenceKind}
    return DifferenceCounts(**instances, outranked=sum(outranked for _, outranked in found.values()))


def has_source_store(columns: Collection[str]) -> bool:
    """Return whether the rows of a table with these columns name their store."""
    return "SourceDicomStore" in columns


def versions(table: TableName, columns: Collection[str], table_sql: str) -> str:
    """Return the statement whose rows are the OBJECTS of a table. A condition may follow it.

    Raises FailedPrecondition if its rows do not name their objects.
    """
    if not names_objects(columns):
        raise FailedPrecondition(f"{table} has no columns SourceObject and SourceGeneration")
    return f"SELECT DISTINCT {', '.join(OBJECT_COLUMNS)} FROM {table_sql} WHERE {_is_there(columns)} AND SourceObject IS NOT NULL"  # noqa: S608 - texts of ours


def _is_there(columns: Collection[str]) -> str:
    return "Type IS NOT DISTINCT FROM 'CREATE'" if "Type" in columns else "TRUE"


def comparison(
    table: TableName, columns: Collection[str], table_sql: str, inventory_columns: Collection[str], inventory_sql: str
) -> str:
    """Return the statement whose rows are the REPORT, in no order.

    Its parameters are the store's name, if the table `has_source_store`, and the time from which on rows are not compared. A table
    without instances has no UIDs yet. Raises FailedPrecondition if the columns are not those of an export.
    """
    if lacking := [name for name in _NEEDED if name not in columns]:
        raise FailedPrecondition(f"{table} has no column {lacking[0]}: it is not a table of an export")
    uids = [name if name in columns else f"CAST(NULL AS STRING) AS {name}" for name in UID_COLUMNS]
    # The inventory of an operation that an earlier version began may lack SourceObject.
    knows_objects = names_objects(columns) and "SourceObject" in inventory_columns
    return _COMPARISON.format(
        inventory=_objects(uids, columns, table_sql, inventory_sql) if knows_objects else _read_objects(inventory_sql),
        columns=", ".join((*uids, *_NEEDED, f"{_is_there(columns)} AS IsThere")),
        table=table_sql,
        is_of_store="SourceDicomStore = ?" if has_source_store(columns) else "TRUE",
    )


def _read_objects(inventory_sql: str) -> str:
    """Return the statement for an inventory of objects whose headers were all read."""
    return f"SELECT {_LISTED}, {', '.join(UID_COLUMNS)}, CAST(NULL AS STRING) AS SourceObject FROM {inventory_sql}"  # noqa: S608 - texts of ours


def _objects(uids: Sequence[str], columns: Collection[str], table_sql: str, inventory_sql: str) -> str:
    return _OBJECTS.format(
        listed=", ".join(f"i.{name} AS {name}" for name in _LISTED.split(", ")),
        known_uids=", ".join(f"COALESCE(i.{name}, k.{name}) AS {name}" for name in UID_COLUMNS),
        inventory=inventory_sql,
        versions=", ".join(OBJECT_COLUMNS),
        uids=", ".join(uids),
        table=table_sql,
        is_there=_is_there(columns),
    )


class Likeness(NamedTuple):
    """The schema of the rows of a table, and which optional columns they have."""

    schema: SchemaKind
    has_source_store: bool
    has_source_object: bool


def layout_like(schema: Schema) -> Likeness:
    """Return what the rows of a table with these columns are like."""
    columns = {field.name: field.type for field in schema}
    kind = SchemaKind.JSON if columns.get("Metadata") is FieldType.JSON else SchemaKind.FLATTENED
    return Likeness(kind, has_source_store(columns), names_objects(columns))

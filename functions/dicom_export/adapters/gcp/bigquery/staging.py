"""Describe the staging table of an overwrite: the columns of its destination, and no policies.

BigQuery would ask for a right to set policy tags, and for another one to read what they protect.
So the staging table has neither tags nor policies, and only the functions may read its dataset.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dicom_export.adapters.gcp.bigquery.preparation import fields_of
from dicom_export.adapters.gcp.bigquery.table_schema import grown, without_annotations
from dicom_export.errors import FailedPrecondition
from dicom_export.rows.schema import Mode

if TYPE_CHECKING:
    from dicom_export.adapters.gcp.bigquery.table_catalog import Resource
    from dicom_export.names import TableName
    from dicom_export.rows.schema import Schema

STAGING_EXPIRATION = timedelta(days=3)


def expiration_time() -> str:
    """Return when a table expires that is created now for one operation, as the REST API has it."""
    return str(int((datetime.now(UTC) + STAGING_EXPIRATION).timestamp() * 1000))


def staging_table(destination: TableName, found: Resource | None, schema: Schema) -> Resource:
    """Return a table that expires, for rows that will replace those of the destination.

    It has the columns of the destination in their order, then those of the schema. It is encrypted
    like the destination, but not partitioned: a partition may expire, or refuse old rows. Raises
    FailedPrecondition if the destination has a column that the rows cannot fill.
    """
    resource: Resource = {"expirationTime": expiration_time()}
    if found is None:
        return resource
    if "defaultCollation" in found:
        resource["defaultCollation"] = found["defaultCollation"]
    if "encryptionConfiguration" in found:
        resource["encryptionConfiguration"] = {"kmsKeyName": key_of(found)}
    return {**resource, "schema": {"fields": without_annotations(_columns(destination, found, schema))}}


def key_of(found: Resource) -> str:
    """Return the table's key without its version, which a new table or a job may not name."""
    name: str = found["encryptionConfiguration"]["kmsKeyName"]
    return name.partition("/cryptoKeyVersions/")[0]


def _columns(destination: TableName, found: Resource, schema: Schema) -> list[Resource]:
    existing = fields_of(found)
    filled = {field.name.lower() for field in schema}
    unfilled = [
        each["name"] for each in existing if each.get("mode") == Mode.REQUIRED and each["name"].lower() not in filled
    ]
    advice = f"an overwrite keeps the columns of {destination}: export to another table, or delete this one first"
    if unfilled:
        raise FailedPrecondition(
            f"Column {unfilled[0]} is REQUIRED in the table and the export has no values for it; {advice}"
        )
    try:
        return grown(existing, schema)
    except FailedPrecondition as error:
        raise FailedPrecondition(f"{error.message}; {advice}") from error

"""The field `lastUpdatedPartitionConfig` of a BigQueryDestination: ours, named as in the FHIR export of the same API.

Source: https://cloud.google.com/healthcare-api/docs/reference/rest/v1/TimePartitioning
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.rows.partitioning import Partitioning, PartitionType

if TYPE_CHECKING:
    from dicom_export.protocol.transcoding import JsonMessage

PARTITION_CONFIG = "lastUpdatedPartitionConfig"
PARTITION_TYPES = ("PARTITION_TYPE_UNSPECIFIED", "HOUR", "DAY", "MONTH", "YEAR")
_FIELDS = ("type", "expirationMs")


def parse_partitioning(destination: JsonMessage) -> Partitioning | None:
    """Return the partitions that a new table is to have.

    Return None, and record a violation, for a length of partitions other than DAY, MONTH and YEAR, an expiration that is
    not positive, and for a table with change data capture.
    """
    config = destination.message(PARTITION_CONFIG, _FIELDS, "google.cloud.healthcare.TimePartitioning")
    if config is None:
        return None
    if destination.has("changeDataCaptureConfig"):
        destination.refuse(
            PARTITION_CONFIG,
            f"{PARTITION_CONFIG} is not for a table with changeDataCaptureConfig: a new version of an instance would be in"
            " another partition than the old one. Leave one of the two out.",
        )
    kind = config.enum("type", PARTITION_TYPES, "google.cloud.healthcare.TimePartitioning.PartitionType")
    expiration = config.int64("expirationMs")
    if expiration is not None and expiration <= 0:
        config.refuse("expirationMs", f"expirationMs is {expiration}; expected a positive number of milliseconds.")
        return None
    if kind == "HOUR":
        config.refuse(
            "type",
            "type is HOUR; expected DAY, MONTH or YEAR. A table in BigQuery has at most 10,000 partitions, which are the"
            " hours of 14 months.",
        )
        return None
    if kind in (None, PARTITION_TYPES[0]):
        if kind or not config.has("type"):
            config.refuse_absence("type", f"{PARTITION_CONFIG}.type is required; expected DAY, MONTH or YEAR.")
        return None
    return Partitioning(PartitionType(kind), expiration)

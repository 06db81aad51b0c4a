"""The optional table of failed instances: one row per failed instance, for all operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_export.rows.schema import Field, FieldType, Schema

if TYPE_CHECKING:
    from datetime import datetime

    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation

FAILURE_SCHEMA: Schema = (
    Field("Operation", FieldType.STRING),
    Field("Time", FieldType.TIMESTAMP),
    Field("DicomStore", FieldType.STRING),
    Field("Object", FieldType.STRING),
    Field("Generation", FieldType.INTEGER),
    Field("StudyInstanceUID", FieldType.STRING),
    Field("SeriesInstanceUID", FieldType.STRING),
    Field("SOPInstanceUID", FieldType.STRING),
    Field("Stage", FieldType.STRING),
    Field("Code", FieldType.STRING),
    Field("Message", FieldType.STRING),
)


def failure_row(operation: Operation, failure: Failure, time: datetime) -> dict[str, Any]:
    """Return the row of one failed instance.

    `time` is the time of the report. UIDs are set as far as they are known.
    """
    return {
        "Operation": str(operation.name),
        "Time": time,
        "DicomStore": str(operation.request.store),
        "Object": failure.object,
        "Generation": failure.generation,
        "StudyInstanceUID": failure.uids.study,
        "SeriesInstanceUID": failure.uids.series,
        "SOPInstanceUID": failure.uids.instance,
        "Stage": failure.stage,
        "Code": failure.code.name,
        "Message": failure.message,
    }

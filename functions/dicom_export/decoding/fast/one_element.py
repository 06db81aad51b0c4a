"""A scanned element as a data set of its own, for what takes data sets as pydicom's raw elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.decoding.budget import Budget
from dicom_export.decoding.reference.data_set import DataSet
from dicom_export.decoding.reference.parser import DataElement

if TYPE_CHECKING:
    from dicom_export.decoding.context import Context
    from dicom_export.decoding.fast.kinds import Kind


def data_set_of(kind: Kind, value: bytes, context: Context) -> DataSet:
    """Return the data set of the one element in its context."""
    element = DataElement(kind.tag, kind.vr, value, len(value))
    return DataSet({kind.tag: element}, [*context.encodings], Budget(), context.is_signed, context.depth)

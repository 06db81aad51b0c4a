"""A scanned element as a data set of its own, for what takes data sets as pydicom's raw elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from dicom_export.dicom.data_set import Budget, DataSet
from dicom_export.dicom.header import Header

if TYPE_CHECKING:
    from dicom_export.dicom.kinds import Kind
    from dicom_export.rows.context import Context

NO_HEADER = Header()
"""Of a header, only the sizes of values of undefined length matter; a single element has its own."""


def data_set_of(kind: Kind, value: bytes, context: Context) -> DataSet:
    """Return the data set of the one element in its context."""
    element = RawDataElement(BaseTag(kind.tag), kind.vr, len(value), value, 0, False, True)  # noqa: FBT003 - as pydicom has them
    return DataSet({kind.tag: element}, [*context.encodings], Budget(), context.is_signed, context.depth)

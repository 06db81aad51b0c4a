"""The definitions of a table's views, from the table's columns.

The columns of studies and series are named as in QIDO-RS (PS3.18 §10.6.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dicom_export.dicom.dictionary import entry_named
from dicom_export.rows.schema import FieldType
from dicom_export.views.current import current_rows
from dicom_export.views.private_elements import private_elements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dicom_export.dicom.dictionary import Entry
    from dicom_export.rows.schema import Field, Schema
    from dicom_export.views.dialect import Dialect

_STUDY = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
    "StudyID",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
)
_SERIES = (
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
    "SeriesDate",
    "SeriesTime",
    "ProtocolName",
    "BodyPartExamined",
    "Laterality",
    "PatientPosition",
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "MagneticFieldStrength",
    "ConvolutionKernel",
    "FrameOfReferenceUID",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "Rows",
    "Columns",
    "PatientID",
)


VIEW_SUFFIXES = ("View", "Studies", "Series", "Private")
"""The endings of the names of a table's views."""


class View(NamedTuple):
    """A view next to a table. `name` is that of the table with a suffix."""

    name: str
    description: str
    query: str


def views_of(table: str, table_sql: str, schema: Schema, sql: Dialect) -> tuple[View, ...]:
    """Return the views of a table of exported rows with these columns.

    `table` is the table's name, `table_sql` is its full name as SQL. A view whose columns the table
    lacks is left out: a table without instances has none.
    """
    columns = {field.name: field for field in schema}
    if "SOPInstanceUID" not in columns or "LastUpdated" not in columns:
        return ()
    current = current_rows(table_sql, columns, sql)
    rows = _Rows(columns, sql)
    views = [View(f"{table}View", "Current instances: the newest row of each, without deleted ones", current)]
    if "StudyInstanceUID" in columns:
        views.append(View(f"{table}Studies", "Studies, from the current instances", _studies(current, rows)))
        if "SeriesInstanceUID" in columns:
            views.append(View(f"{table}Series", "Series, from the current instances", _series(current, rows)))
    if rows.is_json or "OtherElements" in columns:
        query = private_elements(current, sql, is_json=rows.is_json)
        views.append(View(f"{table}Private", "Private elements of the current instances", query))
    return tuple(views)


class _Rows:
    """The elements of a table's rows as SQL, in both schemas."""

    def __init__(self, columns: Mapping[str, Field], sql: Dialect) -> None:
        self.columns = columns
        self.sql = sql
        self.is_json = "Metadata" in columns and columns["Metadata"].type is FieldType.JSON

    def value(self, keyword: str) -> str | None:
        """Return the value of an element of a row, or None if no row has it."""
        entry = entry_named(keyword)
        if self.is_json and entry is not None:
            return self._in_json(entry)
        return self.sql.name(keyword) if keyword in self.columns else None

    def newest(self, keywords: Iterable[str]) -> list[str]:
        """Return, for each element that rows have, the value in the newest row that has one."""
        found = [(keyword, self.value(keyword)) for keyword in keywords]
        return [
            f"MAX_BY({value}, CASE WHEN {value} IS NOT NULL THEN LastUpdated END) AS {self.sql.name(keyword)}"
            for keyword, value in found
            if value
        ]

    def distinct(self, keyword: str, column: str) -> list[str]:
        """Return the different values of an element as a column, if rows have it."""
        value = self.value(keyword)
        return [f"{self.sql.distinct(value)} AS {column}"] if value else []

    @property
    def totals(self) -> list[str]:
        """The columns with the size of the objects and the time of the newest row."""
        size = ["CAST(SUM(BlobStorageSize) AS BIGINT) AS BlobStorageSize"] if "BlobStorageSize" in self.columns else []
        return [*size, "MAX(LastUpdated) AS LastUpdated"]

    def _in_json(self, entry: Entry) -> str:
        path = f'$."{entry.tag:08X}".Value'
        if entry.is_repeated:
            return self.sql.json_texts("Metadata", path)
        text = self.sql.json_text("Metadata", f"{path}[0].Alphabetic" if entry.vr == "PN" else f"{path}[0]")
        return self.sql.date(text) if entry.vr == "DA" else text


def _studies(current: str, rows: _Rows) -> str:
    series = ["COUNT(DISTINCT SeriesInstanceUID) AS NumberOfStudyRelatedSeries"]
    selected = [
        "StudyInstanceUID",
        *rows.newest(_STUDY),
        *rows.distinct("Modality", "ModalitiesInStudy"),
        *rows.distinct("SOPClassUID", "SOPClassesInStudy"),
        *(series if "SeriesInstanceUID" in rows.columns else ()),
        "COUNT(*) AS NumberOfStudyRelatedInstances",
        *rows.totals,
    ]
    return _grouped(current, selected, ["StudyInstanceUID"])


def _series(current: str, rows: _Rows) -> str:
    selected = [
        "StudyInstanceUID",
        "SeriesInstanceUID",
        *rows.newest(_SERIES),
        "COUNT(*) AS NumberOfSeriesRelatedInstances",
        *rows.totals,
    ]
    return _grouped(current, selected, ["StudyInstanceUID", "SeriesInstanceUID"])


def _grouped(current: str, selected: list[str], by: list[str]) -> str:
    columns = ",\n  ".join(selected)
    return f"WITH latest AS (\n{current}\n)\nSELECT\n  {columns}\nFROM latest\nWHERE {by[-1]} IS NOT NULL\nGROUP BY {', '.join(by)}"

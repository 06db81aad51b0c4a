"""What a column is, in a line for people."""

from __future__ import annotations

import pytest
from pydicom.datadict import keyword_dict

from dicom_export.dicom.dictionary import entry_named
from dicom_export.rows.descriptions import description
from dicom_export.rows.layout import TABLE_SCHEMAS, SchemaKind
from dicom_export.rows.schema import TYPE_OF_VR, Schema, common_columns


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("SliceThickness", "Slice Thickness (0018,0050), DS, VM 1"),
        ("ImageType", "Image Type (0008,0008), CS, VM 2-n"),
        ("SmallestImagePixelValue", "Smallest Image Pixel Value (0028,0106), US or SS, VM 1"),
        ("PatientName", "Patient's Name (0010,0010), PN, VM 1"),
        ("PatientName.Alphabetic", "Alphabetic representation of the name"),
        ("PatientName.Ideographic.FamilyName", "Family name"),
        ("ContentSequence.PersonName.Phonetic.GivenName", "Given name"),
        ("ContentSequence.ConceptNameCodeSequence.CodeValue", "Code Value (0008,0100), SH, VM 1"),
        ("OverlayRows", "Overlay Rows (60xx,0010), US, VM 1"),
        ("OverlayRows.Id", "Group of the element in hexadecimal digits"),
        ("OverlayRows.Value", "Overlay Rows (60xx,0010), US, VM 1"),
        ("PatientTransportArrangements", "Patient Transport Arrangements (0040,1004), LO, VM 1"),
        ("AcquisitionsInStudy", "Acquisitions in Study (0020,1004), IS, VM 1, retired"),
        ("Tag_00091002", "Private sequence (0009,1002), SQ"),
        ("Tag_00091002.Tag_00091003.Modality", "Modality (0008,0060), CS, VM 1"),
        ("OtherElements.Tag", "The element's tag as Tag_GGGGEEEE"),
        ("ContentSequence.OtherElements.Data", "The element's values as text"),
        ("Type", "CREATE, or DELETE for the row of a deleted instance"),
        ("MyOwnColumn", ""),
        ("ContentSequence.Type", ""),
        ("ContentSequence.FamilyName", ""),
        ("MyOwnColumn.Value", ""),
    ],
)
def test_a_column_is_described(path: str, expected: str) -> None:
    assert description(path.split(".")) == expected


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
def test_each_column_that_every_row_has_is_described(kind: SchemaKind) -> None:
    def check(schema: Schema, above: tuple[str, ...]) -> None:
        for field in schema:
            assert description((*above, field.name)), (*above, field.name)
            check(field.fields, (*above, field.name))

    check(common_columns(kind, has_source_store=True, has_source_object=True), ())


def test_each_element_that_can_have_a_column_is_described_with_its_tag() -> None:
    entries = [entry for keyword in keyword_dict if (entry := entry_named(keyword)) and entry.vr in TYPE_OF_VR]
    assert len(entries) > 4000
    for entry in entries:
        text = description([entry.keyword])
        assert f"({entry.tag >> 16:04X},{entry.tag & 0xFFFF:04X}), {entry.vr}, VM " in text

"""The row of the JSON schema: PS3.18 Annex F, which any DICOMweb tool reads back."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import columns_of
from support.dicom_files import BIG_ENDIAN, EXPLICIT, UIDS, decode_bytes, element, make_file, make_instance, sequence


def metadata_of(*elements: bytes, is_readable: bool = True) -> dict[str, Any]:
    metadata = decode_bytes(make_file(*elements), SchemaKind.JSON).row["Metadata"]
    assert isinstance(metadata, str)
    if is_readable:
        Dataset.from_json(metadata)
    return json.loads(metadata, parse_constant=pytest.fail)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("tag", "vr", "value", "expected"),
    [
        (0x00080005, "CS", b"ISO_IR 192", ["ISO_IR 192"]),
        (0x00080008, "CS", b"A\\\\B", ["A", None, "B"]),
        (0x00280009, "AT", b"\x18\x00\x63\x10", ["00181063"]),
        (0x00280010, "US", b"\x00\x02", [512]),
        (0x00189089, "FD", struct.pack("<3d", 0.5, math.nan, -math.inf), [0.5, "NaN", "-Infinity"]),
        (0x00180050, "DS", b"1.50", [1.5]),
        (0x00180050, "DS", b".5", [".5"]),
        (0x00180050, "DS", b"12345678901234.567", ["12345678901234.567"]),
        (0x00180050, "DS", b"1234567890123.45678", ["1234567890123.45678"]),
        (0x00180050, "DS", b"1E999 ", ["1E999"]),
        (0x00280008, "IS", b"007 ", ["007"]),
        (0x00280008, "IS", b"-12 ", [-12]),
        (0x00280030, "DS", b"1\\\\2", [1, None, 2]),
        (0x00100010, "PN", b"A^B==P", [{"Alphabetic": "A^B", "Phonetic": "P"}]),
        (0x00091001, "LO", b"private ", ["private"]),
        (0x00720082, "SV", struct.pack("<q", -5), [-5]),
    ],
)
def test_value_is_written_as_the_model_says(tag: int, vr: str, value: bytes, expected: list[Any]) -> None:
    found = metadata_of(element(tag, vr, value))[f"{tag:08X}"]
    assert found == {"vr": vr, "Value": expected}
    assert [type(one) for one in found["Value"]] == [type(one) for one in expected]


@pytest.mark.parametrize(
    ("tag", "vr", "value", "expected"),
    [
        (0x00180050, "DS", b"P1: ", ["P1:"]),
        (0x00180050, "DS", b"NaN ", ["NaN"]),
        (0x00280008, "IS", b"1.5 ", ["1.5"]),
    ],
)
def test_decimal_text_that_is_not_a_number_is_text_under_its_own_vr(
    tag: int, vr: str, value: bytes, expected: list[Any]
) -> None:
    metadata = metadata_of(element(tag, vr, value), is_readable=False)  # pydicom refuses the text
    assert metadata[f"{tag:08X}"] == {"vr": vr, "Value": expected}


@pytest.mark.parametrize(
    ("tag", "vr", "value", "expected"),
    [
        (0x00280010, "US", b"\1\2\3", {"vr": "OB", "InlineBinary": "AQID"}),
        (0x00280010, "US", b"", {"vr": "US"}),
        (0x00660016, "OF", b"\1\2\3", {"vr": "OB", "InlineBinary": "AQID"}),
        (0x00100010, "PN", "é^B=C=D=E".encode(), {"vr": "LO", "Value": ["é^B=C=D=E"]}),
        (0x00081070, "PN", b"A\\\\B==C=D ", {"vr": "LO", "Value": ["A", None, "B==C=D"]}),
    ],
)
def test_value_that_no_reader_would_take_keeps_its_text_or_bytes(
    tag: int, vr: str, value: bytes, expected: dict[str, Any]
) -> None:
    metadata = metadata_of(element(0x00080005, "CS", b"ISO_IR 192"), element(tag, vr, value))
    assert metadata[f"{tag:08X}"] == expected


def test_name_keeps_its_three_groups_if_a_fourth_has_no_text() -> None:
    value = [{"Alphabetic": "A", "Ideographic": "B", "Phonetic": "C"}]
    assert metadata_of(element(0x00100010, "PN", b"A=B=C= "))["00100010"] == {"vr": "PN", "Value": value}


WORDS = [("OF", "f", 0x00660016), ("OD", "d", 0x00720073), ("OL", "L", 0x00660040), ("OV", "Q", 0x00720081)]


@pytest.mark.parametrize(("vr", "code", "tag"), WORDS)
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN], ids=lambda syntax: syntax.name)
def test_a_few_words_are_inline_in_little_endian(vr: str, code: str, tag: int, syntax: str) -> None:
    order = ">" if syntax == BIG_ENDIAN else "<"
    data = make_file(element(tag, vr, struct.pack(f"{order}3{code}", 1, 2, 3), order=order), syntax=syntax)
    row = decode_bytes(data, SchemaKind.JSON).row
    assert struct.unpack(f"<3{code}", Dataset.from_json(row["Metadata"])[tag].value) == (1, 2, 3)
    assert row["DroppedTags"] == []


def test_words_are_inline_at_every_depth_up_to_two_kibibytes() -> None:
    words = element(0x00660016, "OF", bytes(2048)) + element(0x00660040, "OL", b"")
    data = make_file(sequence(0x00081032, sequence(0x00081032, words + element(0x00720073, "OD", bytes(2056)))))
    row = decode_bytes(data, SchemaKind.JSON).row
    (nested,) = json.loads(row["Metadata"])["00081032"]["Value"][0]["00081032"]["Value"]
    assert nested == {"00660016": {"vr": "OF", "InlineBinary": "A" * 2731 + "="}, "00660040": {"vr": "OL"}}
    assert row["DroppedTags"] == []
    assert Dataset.from_json(row["Metadata"]).ProcedureCodeSequence[0].ProcedureCodeSequence[
        0
    ].PointCoordinatesData == bytes(2048)


def test_many_words_at_the_top_are_listed() -> None:
    row = decode_bytes(make_file(element(0x00660016, "OF", bytes(2052))), SchemaKind.JSON).row
    assert row["DroppedTags"] == ["PointCoordinatesData"]
    assert "00660016" not in json.loads(row["Metadata"])


def test_sequences_are_items_and_bulk_data_is_left_out() -> None:
    item = element(0x00080100, "SH", b"1 ") + element(0x7FE00010, "OW", b"ab")
    data = make_file(sequence(0x00081032, item, b""), element(0x00282000, "OB", b"ab"))
    row = decode_bytes(data, SchemaKind.JSON).row
    metadata = json.loads(row["Metadata"])
    assert metadata["00081032"] == {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["1"]}}, {}]}
    assert "00282000" not in metadata
    assert row["DroppedTags"] == ["ICCProfile"]


def test_file_meta_information_and_group_lengths_are_not_in_the_model() -> None:
    assert set(metadata_of(element(0x00080000, "UL", bytes(4)))) == {"00080018", "0020000D", "0020000E"}


def test_row_has_the_fixed_columns() -> None:
    decoded = decode_bytes(make_instance(PatientName="Müller^J", SpecificCharacterSet="ISO_IR 192"), SchemaKind.JSON)
    assert [field.name for field in columns_of(decoded.row, SchemaKind.JSON)] == [
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "Metadata",
        "StructuredStorageSize",
        "DroppedTags",
        "StorageClass",
        "LastUpdated",
        "BlobStorageSize",
        "Type",
    ]
    assert decoded.row["SOPInstanceUID"] == UIDS.instance
    assert decoded.row["StructuredStorageSize"] == len(decoded.row["Metadata"].encode())

"""The flattened row, rule by rule."""

from __future__ import annotations

import json
import math
import struct
from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from dicom_export.decoding.decoded import Explanation
from dicom_export.decoding.explain import explain_instance
from dicom_export.decoding.notes import Fate, Note
from dicom_export.decoding.reference.flattened import MAX_RECORDS
from dicom_export.rows.layout import TABLE_SCHEMAS, RowLayout, SchemaKind
from dicom_export.rows.schema import Schema, columns_of
from support.dicom_files import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    UPDATED,
    MemoryStore,
    element,
    make_file,
    make_instance,
    make_stored,
    row_of,
    sequence,
)


def other(tag: str, *data: str) -> dict[str, Any]:
    return {"Tag": f"Tag_{tag}", "Data": list(data)}


def notes_of(data: bytes) -> tuple[Note, ...]:
    explained = explain_instance(MemoryStore({"a": data}), make_stored("a", data), RowLayout(SchemaKind.FLATTENED))
    assert isinstance(explained, Explanation)
    return explained.notes


@pytest.mark.parametrize(
    ("keyword", "tag", "vr", "value", "expected"),
    [
        ("RetrieveAETitle", 0x00080054, "AE", b" A\\B  ", ["A", "B"]),
        ("PatientAge", 0x00101010, "AS", b"042Y", "042Y"),
        ("FrameIncrementPointer", 0x00280009, "AT", b"\x18\x00\x63\x10", [0x00181063]),
        ("Modality", 0x00080060, "CS", b"CT", "CT"),
        ("StudyDate", 0x00080020, "DA", b"20260102", date(2026, 1, 2)),
        ("StudyDate", 0x00080020, "DA", b"2026.01.02", date(2026, 1, 2)),
        ("SliceThickness", 0x00180050, "DS", b" .0004942", ".0004942"),
        ("PixelSpacing", 0x00280030, "DS", b"1.139477E+02\\ 2 ", ["1.139477E+02", "2"]),
        ("AcquisitionDateTime", 0x0008002A, "DT", b"20260102", datetime(2026, 1, 2, tzinfo=UTC)),
        ("AcquisitionDateTime", 0x0008002A, "DT", b"20260102030405", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (
            "AcquisitionDateTime",
            0x0008002A,
            "DT",
            b"20260102030405.000007 ",
            datetime(2026, 1, 2, 3, 4, 5, 7, tzinfo=UTC),
        ),
        (
            "AcquisitionDateTime",
            0x0008002A,
            "DT",
            b"20260102030405.12 ",
            datetime(2026, 1, 2, 3, 4, 5, 120_000, tzinfo=UTC),
        ),
        ("AcquisitionDateTime", 0x0008002A, "DT", b"20260102030405+0200 ", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("SpiralPitchFactor", 0x00189311, "FD", struct.pack("<d", 1.5), 1.5),
        (
            "ExaminedBodyThickness",
            0x00109431,
            "FL",
            struct.pack("<f", 0.1),
            struct.unpack("f", struct.pack("f", 0.1))[0],
        ),
        ("NumberOfFrames", 0x00280008, "IS", b"35100 ", "35100"),
        ("OtherPatientIDs", 0x00101000, "LO", b"1 \\\\3 ", ["1", "", "3"]),
        ("ImageComments", 0x00204000, "LT", b"a\\b\r\n c  ", "a\\b\r\n c"),
        ("StudyID", 0x00200010, "SH", b"1\0", "1"),
        ("ReferencePixelX0", 0x00186020, "SL", b"\xff\xff\xff\xff", -1),
        ("PixelPaddingValue", 0x00280120, "SS", b"\xfe\xff", -2),
        ("InstitutionAddress", 0x00080081, "ST", b"a\\b ", "a\\b"),
        ("StudyTime", 0x00080030, "TM", b"030405.6", time(3, 4, 5, 600_000)),
        ("StudyTime", 0x00080030, "TM", b"03:04:05", time(3, 4, 5)),
        ("StudyTime", 0x00080030, "TM", b"03", time(3)),
        ("LongCodeValue", 0x00080119, "UC", b"code ", "code"),
        ("SOPClassUID", 0x00080016, "UI", b"1.2\0", "1.2"),
        ("Rows", 0x00280010, "US", b"\x01\x02", 513),
        ("PixelDataProviderURL", 0x00287FE0, "UR", b"http://a  ", "http://a"),
        ("TextValue", 0x0040A160, "UT", b"a\\b", "a\\b"),
        ("TotalPixelMatrixColumns", 0x00480006, "UL", b"\xff\xff\xff\xff", 4294967295),
    ],
)
def test_each_vr_becomes_its_columns_value(keyword: str, tag: int, vr: str, value: bytes, expected: Any) -> None:
    row = row_of(make_file(element(tag, vr, value)))
    assert row[keyword] == expected


def test_not_a_number_and_infinity_stay() -> None:
    value = struct.pack("<3d", math.nan, math.inf, -math.inf)
    found = row_of(make_file(element(0x00189089, "FD", value)))["DiffusionGradientOrientation"]
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]


def test_empty_element_makes_its_column_null() -> None:
    row = row_of(
        make_file(element(0x00080060, "CS", b""), element(0x00080008, "CS", b"  "), element(0x00080020, "DA", b""))
    )
    assert (row["Modality"], row["ImageType"], row["StudyDate"]) == (None, [], None)
    assert row["OtherElements"] == []


@pytest.mark.parametrize(
    ("data", "keyword", "null"),
    [
        (element(0x00280010, "LO", b"  "), "Rows", None),
        (element(0x00280010, "SV", b""), "Rows", None),
        (element(0x00181200, "SH", b""), "DateOfLastCalibration", []),
        (element(0x00080060, "SQ", b""), "Modality", None),
        (sequence(0x00080008), "ImageType", []),
        (element(0x00081032, "LO", b"  "), "ProcedureCodeSequence", []),
        (element(0x60000010, "LO", b"\0\0"), "OverlayRows", [{"Id": "6000", "Value": None}]),
    ],
)
def test_empty_element_of_another_vr_makes_its_column_null_too(data: bytes, keyword: str, null: Any) -> None:
    file = make_file(data)
    row = row_of(file)
    assert row[keyword] == null
    assert (row["OtherElements"], row["DroppedTags"]) == ([], [])
    assert notes_of(file) == ()


@pytest.mark.parametrize(
    "data",
    [
        element(0x00720082, "SV", b""),
        element(0x00720083, "UV", b""),
        element(0x00720082, "LO", b"  "),
        element(0x00282000, "LO", b"  "),
        sequence(0x00282000),
        sequence(0x00720082),
    ],
)
def test_empty_element_without_a_column_leaves_no_trace(data: bytes) -> None:
    file = make_file(data)
    assert row_of(file) == row_of(make_file()) | {"BlobStorageSize": len(file)}


@pytest.mark.parametrize("data", [element(0x00100010, "LO", b"  "), sequence(0x00100010)])
def test_empty_name_is_told_whatever_its_vr(data: bytes) -> None:
    row = row_of(make_file(data))
    assert (row["PatientName"], row["OtherElements"], row["DroppedTags"]) == (None, [other("00100010", "")], [])


@pytest.mark.parametrize(
    ("tag", "vr", "value", "keyword", "null", "data", "reason"),
    [
        (0x00080020, "DA", b"20261302", "StudyDate", None, ["20261302"], "not a value of VR DA"),
        (0x00080020, "DA", b"20260101\\20260102 ", "StudyDate", None, ["20260101", "20260102"], "2 values"),
        (0x00080030, "TM", b"235960", "StudyTime", None, ["235960"], "not a value of VR TM"),
        (0x0008002A, "DT", b"99991231235959-1200 ", "AcquisitionDateTime", None, ["99991231235959-1200"], "VR DT"),
        (0x0008002A, "DT", b"2026+9900 ", "AcquisitionDateTime", None, ["2026+9900"], "VR DT"),
        (0x0008002A, "DT", b"20260102240000", "AcquisitionDateTime", None, ["20260102240000"], "VR DT"),
        (0x0008002A, "DT", b"20260102030460", "AcquisitionDateTime", None, ["20260102030460"], "VR DT"),
        (0x0008002A, "DT", b"00000102030405", "AcquisitionDateTime", None, ["00000102030405"], "VR DT"),
        (0x00280010, "US", b"\1\0\2\0", "Rows", None, ["1", "2"], "2 values"),
        (0x00280010, "US", b"\1\0\2", "Rows", None, ["010002"], "3 bytes"),
        (0x00280010, "LO", b"512 ", "Rows", None, ["512"], "VR LO where the dictionary says US"),
        (0x00280009, "AT", b"\1\0\2", "FrameIncrementPointer", [], ["010002"], "3 bytes"),
        (0x00181012, "DA", b"20260101\\ ", "DateOfSecondaryCapture", None, ["20260101", ""], "not a value"),
        (0x00189074, "DT", b"x", "FrameAcquisitionDateTime", None, ["x"], "VR DT"),
        (0x00181200, "DA", b"20260101\\x", "DateOfLastCalibration", [], ["20260101", "x"], "not a value"),
        (
            0x00181200,
            "DA",
            b"20260101\\\\20260103 ",
            "DateOfLastCalibration",
            [],
            ["20260101", "", "20260103"],
            "not a",
        ),
        (0x00100010, "PN", b"^^^^", "PatientName", None, ["^^^^"], "without any text"),
        (0x00100010, "PN", b"", "PatientName", None, [""], "without any text"),
        (0x00081070, "PN", b"A\\", "OperatorsName", [], ["A", ""], "among others"),
        (0x00100010, "PN", b"A^B^C^D^E^F ", "PatientName", None, ["A^B^C^D^E^F"], "five components"),
    ],
)
def test_value_that_does_not_fit_goes_to_other_elements(
    tag: int, vr: str, value: bytes, keyword: str, null: Any, data: list[str], reason: str
) -> None:
    file = make_file(element(tag, vr, value))
    row = row_of(file)
    assert row[keyword] == null
    assert row["OtherElements"] == [other(f"{tag:08X}", *data)]
    (note,) = notes_of(file)
    assert (note.name, note.fate, note.path) == (keyword, Fate.OTHER_ELEMENTS, ())
    assert reason in note.reason


def test_timezone_of_the_instance_applies_where_a_value_has_none() -> None:
    file = make_file(element(0x00080201, "SH", b"-0330 "), element(0x0008002A, "DT", b"20260102000000"))
    assert row_of(file)["AcquisitionDateTime"] == datetime(2026, 1, 2, 3, 30, tzinfo=UTC)


NAME = dict.fromkeys(("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"))
NO_MORE_GROUPS = dict.fromkeys(("Ideographic", "Phonetic"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"A^B^C^D^E ", [dict(zip(NAME, "ABCDE", strict=True)), None, None]),
        (b"Whole ", [NAME | {"FamilyName": "Whole"}, None, None]),
        (b"^B^^", [NAME | {"GivenName": "B"}, None, None]),
        (b"==P^Q ", [None, None, NAME | {"FamilyName": "P", "GivenName": "Q"}]),
        (b"A=I", [NAME | {"FamilyName": "A"}, NAME | {"FamilyName": "I"}, None]),
    ],
)
def test_name_is_a_record_of_groups_of_parts(value: bytes, expected: list[Any]) -> None:
    name = row_of(make_file(element(0x00100010, "PN", value)))["PatientName"]
    assert list(name) == ["Alphabetic", "Ideographic", "Phonetic"]
    assert list(name.values()) == expected


def test_names_are_repeated_where_the_dictionary_says_so() -> None:
    names = row_of(make_file(element(0x00081070, "PN", b"A\\B^C ")))["OperatorsName"]
    assert [name["Alphabetic"]["FamilyName"] for name in names] == ["A", "B"]


@pytest.mark.parametrize(
    ("charset", "value", "expected"),
    [
        (b"ISO_IR 100", "Müller".encode("latin-1"), "Müller"),
        (b"ISO_IR 192", "王^小东".encode(), "王"),
        (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada"),
        (b"nonsense", b"M\xfcller", "Müller"),
    ],
)
def test_specific_character_set_is_honoured(charset: bytes, value: bytes, expected: str) -> None:
    row = row_of(make_file(element(0x00080005, "CS", charset), element(0x00100010, "PN", value)))
    assert row["PatientName"]["Alphabetic"]["FamilyName"] == expected
    if b"ISO 2022" in charset:
        assert row["PatientName"]["Ideographic"] == NAME | {"FamilyName": "山田", "GivenName": "太郎"}


def test_item_inherits_the_character_set_or_has_its_own() -> None:
    item = element(0x00080104, "LO", "é".encode())
    own = element(0x00080005, "CS", b"ISO_IR 100") + element(0x00080104, "LO", "é".encode("latin-1"))
    row = row_of(make_file(element(0x00080005, "CS", b"ISO_IR 192"), sequence(0x00081032, item, own)))
    assert [found["CodeMeaning"] for found in row["ProcedureCodeSequence"]] == ["é", "é"]


def test_private_elements_go_to_other_elements_of_their_record() -> None:
    private = (
        element(0x00090010, "LO", b"ACME")
        + element(0x00091001, "FD", struct.pack("<2d", 0.5, 2))
        + element(0x00091002, "US", b"")
        + element(0x00091003, "UN", b"ab")
    )
    data = [other("00090010", "ACME"), other("00091001", "0.5", "2.0"), other("00091002", "")]
    row = row_of(make_file(private, sequence(0x00081032, private)))
    assert row["OtherElements"] == data
    assert row["ProcedureCodeSequence"] == [{"OtherElements": data}]
    assert row["DroppedTags"] == [{"TagName": "Tag_00091003", "TagReference": ""}]


def test_private_sequence_is_a_column() -> None:
    row = row_of(make_file(sequence(0x00091001, element(0x00080100, "SH", b"1 "))))
    assert row["Tag_00091001"] == [{"CodeValue": "1"}]


def test_private_element_of_implicit_vr_has_the_vr_of_the_private_dictionary() -> None:
    siemens = element(0x00190010, None, b"SIEMENS MR HEADER "), element(0x0019100C, None, b"1000")
    assert row_of(make_file(*siemens, syntax=IMPLICIT))["OtherElements"][1] == other("0019100C", "1000")


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
def test_private_element_that_the_file_says_is_un_is_dropped_whoever_knows_it(kind: SchemaKind) -> None:
    siemens = element(0x00190010, "UN", b"SIEMENS MR HEADER "), element(0x0019100C, "UN", b"1000")
    row = row_of(make_file(*siemens), kind)
    if kind is SchemaKind.FLATTENED:
        assert row["OtherElements"] == [other("00190010", "SIEMENS MR HEADER")]
        assert row["DroppedTags"] == [{"TagName": "Tag_0019100C", "TagReference": ""}]
    else:
        assert json.loads(row["Metadata"])["00190010"] == {"vr": "LO", "Value": ["SIEMENS MR HEADER"]}
        assert row["DroppedTags"] == ["Tag_0019100C"]


def test_private_element_of_vr_un_and_undefined_length_is_a_sequence() -> None:
    item = element(0xFFFEE000, None, element(0x00080100, None, b"1 "))
    unknown = element(0x00191001, "UN", item + element(0xFFFEE0DD, None, b""), length=0xFFFFFFFF)
    assert row_of(make_file(unknown))["Tag_00191001"] == [{"CodeValue": "1"}]


def test_tag_that_the_dictionary_does_not_know_goes_to_other_elements() -> None:
    assert row_of(make_file(element(0x00080007, "SH", b"x ")))["OtherElements"] == [other("00080007", "x")]
    assert row_of(make_file(element(0x00080007, "SH", b"")))["OtherElements"] == [other("00080007", "")]


@pytest.mark.parametrize(
    ("syntax", "vr"), [(EXPLICIT, "CS"), (EXPLICIT, "UN"), (IMPLICIT, None)], ids=["CS", "UN", "implicit"]
)
def test_repeating_group_without_columns_goes_to_other_elements(syntax: str, vr: str | None) -> None:
    file = make_file(element(0x00203102, vr, b"x\\y "), syntax=syntax)
    assert row_of(file)["OtherElements"] == [other("00203102", "x", "y")]
    (note,) = notes_of(file)
    assert (note.name, note.reason) == ("SourceImageIDs", "in a repeating group that has no columns")


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
def test_bulk_data_of_a_repeating_group_is_listed_by_its_keyword(kind: SchemaKind) -> None:
    dropped = row_of(make_file(element(0x7F020010, "OW", b"ab")), kind)["DroppedTags"]
    name = "VariablePixelData"
    assert dropped == ([name] if kind is SchemaKind.JSON else [{"TagName": name, "TagReference": ""}])


def test_64_bit_integers_have_no_column() -> None:
    row = row_of(make_file(element(0x00080040, "US", b"\1\0"), element(0x00720082, "SV", struct.pack("<q", -5))))
    assert other("00720082", "-5") in row["OtherElements"]
    assert "SelectorSVValue" not in row


def test_un_with_a_known_tag_has_the_dictionarys_vr() -> None:
    assert row_of(make_file(element(0x00280010, "UN", b"\0\2")))["Rows"] == 512


@pytest.mark.parametrize(("representation", "expected"), [(b"\0\0", 65535), (b"\1\0", -1), (None, 65535)])
def test_choice_of_us_or_ss_follows_the_pixel_representation(representation: bytes | None, expected: int) -> None:
    elements = [element(0x00280106, None, b"\xff\xff")]
    if representation is not None:
        elements.append(element(0x00280103, None, representation))
    assert row_of(make_file(*elements, syntax=IMPLICIT))["SmallestImagePixelValue"] == expected


def test_repeating_group_is_a_record_of_id_and_value() -> None:
    row = row_of(make_file(element(0x60000010, "US", b"\1\0"), element(0x60020010, "US", b"\2\0")))
    assert row["OverlayRows"] == [{"Id": "6000", "Value": 1}, {"Id": "6002", "Value": 2}]


def test_group_lengths_never_appear() -> None:
    group_length = element(0x00080000, "UL", bytes(4))
    row = row_of(make_file(group_length, sequence(0x00081032, group_length), element(0x00090000, "UL", bytes(4))))
    assert row["OtherElements"] == []
    assert row["ProcedureCodeSequence"] == [{}]


@pytest.mark.parametrize(
    ("tag", "vr", "value", "name"),
    [
        (0x00282000, "OB", b"ab", "ICCProfile"),
        (0x00281201, "OW", b"ab", "RedPaletteColorLookupTableData"),
        (0x00091001, "OF", bytes(2052), "Tag_00091001"),
        (0x00660016, "OF", bytes(2052), "PointCoordinatesData"),
        (0x00189089, "FD", bytes(8 * 513), "DiffusionGradientOrientation"),
        (0x00660016, "OF", bytes(2048), None),
    ],
)
def test_bulk_data_of_the_top_level_is_listed(tag: int, vr: str, value: bytes, name: str | None) -> None:
    row = row_of(make_file(element(tag, vr, value)))
    assert row["DroppedTags"] == ([{"TagName": name, "TagReference": ""}] if name else [])
    assert name not in row


def test_bulk_data_in_a_sequence_is_left_out_and_not_listed() -> None:
    row = row_of(make_file(sequence(0x00880200, element(0x7FE00010, "OW", b"ab") + element(0x00280010, "US", b"\1\0"))))
    assert row["IconImageSequence"] == [{"Rows": 1}]
    assert row["DroppedTags"] == []


def test_sequence_over_a_megabyte_is_listed() -> None:
    items = [element(0x0040A160, "UT", b"x" * 60_000)] * 20
    row = row_of(make_file(sequence(0x0040A730, *items)))
    assert "ContentSequence" not in row
    assert row["DroppedTags"] == [{"TagName": "ContentSequence", "TagReference": ""}]


def test_sequence_that_does_not_parse_is_listed() -> None:
    row = row_of(
        make_file(element(0x0040A730, "SQ", b"no items"), element(0x00400275, "SQ", element(0xFFFEE000, None, b"x")))
    )
    assert [dropped["TagName"] for dropped in row["DroppedTags"]] == ["RequestAttributesSequence", "ContentSequence"]


def test_sequences_beyond_15_levels_are_not_extracted() -> None:
    innermost = element(0x0040A160, "UT", b"text") + element(0x0040A123, "PN", b"A ")
    for _ in range(MAX_RECORDS + 2):
        innermost = element(0x0040A160, "UT", b"text") + sequence(0x0040A730, innermost)
    data = make_file(innermost)
    row = row_of(data)
    schema, depth = columns_of(row, SchemaKind.FLATTENED), 0
    while nested := next((field.fields for field in schema if field.name == "ContentSequence"), None):
        schema, depth = nested, depth + 1
    assert depth == MAX_RECORDS
    assert [note.path for note in notes_of(data)] == [("ContentSequence[1]",) * MAX_RECORDS]


@pytest.mark.parametrize(
    ("depth", "expected", "fates"),
    [
        (MAX_RECORDS - 2, {"PersonName": {"Alphabetic": NAME | {"FamilyName": "A"}} | NO_MORE_GROUPS}, []),
        (MAX_RECORDS - 1, {"OtherElements": [other("0040A123", "A=B")]}, [Fate.OTHER_ELEMENTS]),
        (MAX_RECORDS, {}, [Fate.NOT_EXTRACTED]),
    ],
)
def test_name_goes_as_deep_as_a_table_nests_records(depth: int, expected: dict[str, Any], fates: list[Fate]) -> None:
    text = b"A " if "PersonName" in expected else b"A=B "
    item = element(0x00080100, "SH", b"1 ") + element(0x0040A123, "PN", text)
    for _ in range(depth):
        item = sequence(0x0040A730, item)
    file = make_file(item)
    row = record = row_of(file)
    for _ in range(depth):
        (record,) = record["ContentSequence"]
    assert record == {"CodeValue": "1"} | expected
    assert _levels(columns_of(row, SchemaKind.FLATTENED)) == MAX_RECORDS
    notes = notes_of(file)
    assert [note.fate for note in notes] == fates
    assert all("nested more than 15 levels" in note.reason for note in notes)


def _levels(schema: Schema) -> int:
    """Return how deep records nest in the schema."""
    return max((1 + _levels(field.fields) for field in schema if field.fields), default=0)


def test_file_meta_information_comes_first_without_its_length_and_version() -> None:
    row = row_of(make_instance(Modality="CT"))
    assert list(row)[:3] == ["MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"]
    assert row["DroppedTags"] == []


def test_numbers_of_big_endian_files_are_read_as_such() -> None:
    row = row_of(make_file(element(0x00280010, "US", b"\2\0", order=">"), syntax=BIG_ENDIAN))
    assert row["Rows"] == 512


def test_administrative_columns_are_those_of_the_stored_object() -> None:
    data = make_instance()
    source_store = "projects/p/locations/l/datasets/d/dicomStores/s"
    layout = RowLayout(SchemaKind.FLATTENED, source_store, has_source_object=True)
    explained = explain_instance(MemoryStore({"a": data}), make_stored("a", data), layout)
    assert isinstance(explained, Explanation)
    row = explained.row
    assert (row["Type"], row["LastUpdated"], row["StorageClass"]) == ("CREATE", UPDATED, "STANDARD")
    assert row["BlobStorageSize"] == len(data)
    assert row["SourceDicomStore"] == source_store
    assert (row["SourceObject"], row["SourceGeneration"]) == ("memory://a", make_stored("a", data).generation)
    assert [field.name for field in columns_of(row, SchemaKind.FLATTENED)][-9:] == [
        "OtherElements",
        "DroppedTags",
        "Type",
        "LastUpdated",
        "StorageClass",
        "BlobStorageSize",
        "SourceDicomStore",
        "SourceObject",
        "SourceGeneration",
    ]


def test_notes_tell_where_and_why_but_no_value() -> None:
    data = make_file(sequence(0x00081032, element(0x00091001, "LO", b"Secret")), element(0x00282000, "OB", b"ab"))
    notes = notes_of(data)
    assert [(note.path, note.name, note.fate) for note in notes] == [
        (("ProcedureCodeSequence[1]",), "Tag_00091001", Fate.OTHER_ELEMENTS),
        ((), "ICCProfile", Fate.DROPPED_TAGS),
    ]
    assert "Secret" not in repr(notes)

"""Headers that writers really produce and the standard does not provide for, each kind in several forms, read by both decoders."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from dicom_export.decoding.fast.memory import Memory
from dicom_export.errors import InstanceError, TruncatedInstance
from dicom_export.rows.layout import TABLE_SCHEMAS, SchemaKind
from support.agreement import assert_same
from support.dicom_files import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    PREAMBLE,
    UIDS,
    decode_bytes,
    deflate,
    element,
    make_file,
    row_of,
    sequence,
)

CONTOUR = ("1.5\\" * 20_000 + "2.5 ").encode()
PIXELS = element(0x7FE00010, "OW", bytes(16))
MODALITY = element(0x00080060, "CS", b"MR")
THICKNESS = element(0x00180050, "DS", b"5 ")
CONTOURS = 0x30060039


def rows(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the flattened row and the model of the JSON schema, after both decoders agreed on each."""
    for kind in TABLE_SCHEMAS:
        assert_same(data, kind, Memory())
    return row_of(data), json.loads(row_of(data, SchemaKind.JSON)["Metadata"])


def item(content: bytes) -> bytes:
    return element(0xFFFEE000, None, content)


def part_10(*elements: bytes, syntax: str = EXPLICIT, meta: bytes = b"", group_length: int | None = None) -> bytes:
    """Return a file with its group length, which may be wrong, and the data set as given: nothing is sorted."""
    parts = element(0x00020010, "UI", syntax.encode() + b"\0" * (len(syntax) % 2)) + meta
    length = len(parts) if group_length is None else group_length
    return PREAMBLE + element(0x00020000, "UL", struct.pack("<L", length)) + parts + b"".join(elements)


def identity(*, is_implicit: bool = False) -> bytes:
    vr = None if is_implicit else "UI"
    return (
        element(0x00080018, vr, b"1.2.3.4.5\0")
        + element(0x0020000D, vr, b"1.2.3\0")
        + element(0x0020000E, vr, b"1.2.3.4\0")
    )


@pytest.mark.parametrize(
    ("tag", "value", "keyword", "first"),
    [
        (0x3004000C, CONTOUR, "GridFrameOffsetVector", "1.5"),
        (0x30040058, CONTOUR, "DVHData", "1.5"),
        (0x00284000, b"x" * 70_000, None, None),
        (0x00204000, b"x" * 70_000, "ImageComments", "x" * 70_000),
        (0x00081160, b"1\\" * 40_000 + b"2 ", "ReferencedFrameNumber", "1"),
    ],
)
def test_long_value_with_vr_un_has_the_vr_of_the_dictionary(
    tag: int, value: bytes, keyword: str | None, first: str | None
) -> None:
    stated, nested = element(tag, "UN", value), sequence(0x00081140, element(tag, "UN", value))
    for depth, data in enumerate((make_file(stated), make_file(nested))):
        row, model = rows(data)
        record = row["ReferencedImageSequence"][0] if depth else row
        element_of_model = model["00081140"]["Value"][0] if depth else model
        if keyword:
            found = record[keyword]
            assert (found[0] if isinstance(found, list) else found) == first
            assert element_of_model[f"{tag:08X}"]["vr"] != "UN"


def _of_undefined_length(content: bytes) -> bytes:
    return sequence(CONTOURS, content)


def _of_defined_length(content: bytes) -> bytes:
    return element(CONTOURS, "SQ", item(content))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_contour_with_vr_un_is_read_at_every_depth_and_in_items_of_any_length(depth: int) -> None:
    for wrap in (_of_undefined_length, _of_defined_length):
        value = element(0x30060050, "UN", CONTOUR)
        for _ in range(depth):
            value = wrap(value)
        row, _ = rows(make_file(value))
        record = row
        for _ in range(depth):
            record = record["ROIContourSequence"][0]
        assert len(record["ContourData"]) == 20_001


@pytest.mark.parametrize("tag", [0x00880200, 0x00081140])
def test_sequence_with_vr_un_is_read_whatever_its_length(tag: int) -> None:
    content = item(element(0x00204000, None, b"x" * 70_000) + element(0x00280010, None, b"\0\2"))
    row, _ = rows(make_file(element(tag, "UN", content)))
    keyword = {0x00880200: "IconImageSequence", 0x00081140: "ReferencedImageSequence"}[tag]
    assert row[keyword][0]["Rows"] == 512


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN], ids=lambda syntax: syntax.name)
@pytest.mark.parametrize(
    "surplus",
    [
        b"\xff\xff" * 400,
        struct.pack("<h", -1024) * 400,
        struct.pack("<h", -32768) * 8,
        struct.pack("<h", -6) * 64,
        b"\x7f" * 100,
        b"\r\n",
        b"\n",
        b"\0",
        bytes(7),
        bytes(513),
        b"\x12\x03\x05",
        b"\xe0\x7f\x20",
        b"DICM" * 30,
        bytes(range(256)) * 2,
    ],
)
def test_surplus_pixels_and_stray_bytes_after_native_pixels_cost_no_row(syntax: str, surplus: bytes) -> None:
    order, vr = (">" if syntax == BIG_ENDIAN else "<"), (None if syntax == IMPLICIT else "OW")
    pixels = element(0x7FE00010, vr, bytes(16), order=order)
    row, model = rows(make_file(pixels, syntax=syntax) + surplus)
    assert row["DroppedTags"] == [{"TagName": "PixelData", "TagReference": ""}]
    assert row["OtherElements"] == []
    assert not [tag for tag in model if tag > "0020000E"]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (element(0xFFFCFFFC, "OB", bytes(8)), {"DroppedTags": "DataSetTrailingPadding"}),
        (element(0xFFFAFFFA, "SQ", b""), {}),
        (element(0x7FE10010, "LO", b"ACME") + element(0x7FE11001, "LO", b"Cine"), {"OtherElements": "Tag_7FE11001"}),
        (element(0x7FE10010, "LO", b"ACME") + b"\xff" * 9, {"OtherElements": "Tag_7FE10010"}),
    ],
)
def test_elements_after_native_pixels_still_count(tail: bytes, expected: dict[str, str]) -> None:
    row, _ = rows(make_file(PIXELS) + tail)
    names = {"DroppedTags": "TagName", "OtherElements": "Tag"}
    for column, name in expected.items():
        assert name in [each[names[column]] for each in row[column]]


@pytest.mark.parametrize(
    "again",
    [
        element(0x00020010, "UI", IMPLICIT.encode() + b"\0"),
        element(0x00020012, "UI", b"2.25.7"),
        element(0x00020000, "UL", b"\x08\0\0\0") + element(0x00020010, "UI", BIG_ENDIAN.encode() + b"\0"),
        element(0x00020010, None, IMPLICIT.encode() + b"\0"),
        element(0x00020100, "UI", b"1.2.3\0") + element(0x00020102, "OB", b"ab"),
    ],
)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=lambda syntax: syntax.name)
def test_file_meta_information_once_more_in_the_data_set_is_ignored(again: bytes, syntax: str) -> None:
    is_implicit = syntax == IMPLICIT
    data_set = identity(is_implicit=is_implicit) + element(0x00280010, None if is_implicit else "US", b"\0\2")
    row, model = rows(part_10(again, data_set, syntax=syntax))
    assert (row["TransferSyntaxUID"], row["Rows"]) == (syntax, 512)
    assert "ImplementationClassUID" not in row
    assert not row["OtherElements"]
    assert not [tag for tag in model if tag < "00080000"]


@pytest.mark.parametrize(
    "command",
    [
        element(0x00000000, "UL", b"\x24\0\0\0"),
        element(0x00000000, "UL", b"\x24\0\0\0") + element(0x00000002, "UI", b"1.2.3\0"),
        element(0x00000000, None, b"\x24\0\0\0") + element(0x00000100, None, b"\1\0"),
        element(0x00000100, "US", b"\1\0") + element(0x00000900, "US", b"\0\0"),
    ],
)
def test_command_elements_in_a_data_set_are_ignored(command: bytes) -> None:
    for data in (part_10(command, identity(), MODALITY), part_10(MODALITY, command, identity())):
        row, model = rows(data)
        assert row["Modality"] == "MR"
        assert not [tag for tag in model if tag < "00080000"]


@pytest.mark.parametrize("error", [-26, -8, -1, 1, 8, 1000, 2**31])
def test_wrong_group_length_is_tolerated(error: int) -> None:
    meta = element(0x00020012, "UI", b"2.25.8") + element(0x00020013, "SH", b"WRITER_1")
    right = len(element(0x00020010, "UI", EXPLICIT.encode() + b"\0") + meta)
    row, _ = rows(part_10(identity(), THICKNESS, meta=meta, group_length=max(right + error, 0)))
    assert (row["TransferSyntaxUID"], row["SliceThickness"]) == (EXPLICIT, "5")


@pytest.mark.parametrize("group_length", [0, 4, 8])
def test_group_length_that_ends_before_the_transfer_syntax_does_not_hide_it(group_length: int) -> None:
    row, _ = rows(part_10(identity(), THICKNESS, group_length=group_length))
    assert (row["TransferSyntaxUID"], row["SliceThickness"]) == (EXPLICIT, "5")


@pytest.mark.parametrize("early", [element(0x00000002, "UI", b"1.2\0"), element(0x00010010, "LO", b"ACME")])
def test_decoders_agree_on_what_comes_before_the_file_meta_information(early: bytes) -> None:
    meta = element(0x00020010, "UI", EXPLICIT.encode() + b"\0")
    for kind in TABLE_SCHEMAS:
        assert_same(PREAMBLE + early + meta + identity() + THICKNESS, kind, Memory())


@pytest.mark.parametrize("delimiter", [0xFFFEE00D, 0xFFFEE0DD])
def test_delimiter_alone_at_the_end_is_ignored(delimiter: int) -> None:
    stray = element(delimiter, None, b"")
    for count in (1, 2):
        row, model = rows(make_file(sequence(0x0040A730, element(0x0040A160, "UT", b"text"))) + stray * count)
        assert row["ContentSequence"] == [{"TextValue": "text"}]
        assert row["DroppedTags"] == []
        assert f"{delimiter:08X}" not in model


@pytest.mark.parametrize("vr", [b"UK", b"ZZ", b"AB", b"QQ"])
@pytest.mark.parametrize("tag", [0x00080068, 0x00091001, 0x00089999])
@pytest.mark.parametrize("is_nested", [False, True])
def test_vr_of_the_future_is_passed_over_and_listed(vr: bytes, tag: int, *, is_nested: bool) -> None:
    unknown = struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, 16) + b"FOR PRESENTATION"
    parts = [sequence(0x00081140, unknown, THICKNESS)] if is_nested else [unknown]
    row, _ = rows(make_file(*parts, THICKNESS))
    assert row["SliceThickness"] == "5"
    assert len(row["DroppedTags"]) == (0 if is_nested else 1)


@pytest.mark.parametrize("vr", ["SV", "UK"])
def test_vr_with_a_long_length_that_was_written_with_a_short_one_is_found_out(vr: str) -> None:
    short = struct.pack("<HH2sHq", 0x0018, 0x9999, vr.encode(), 8, 2)
    row, _ = rows(make_file(short, element(0x20500020, "CS", b"IDENTITY")))
    assert row["PresentationLUTShape"] == "IDENTITY"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"])
def test_every_deflated_transfer_syntax_is_inflated(syntax: str) -> None:
    row, _ = rows(part_10(deflate(identity() + THICKNESS), syntax=syntax))
    assert (row["TransferSyntaxUID"], row["SliceThickness"]) == (syntax, "5")


@pytest.mark.parametrize(
    "character_set",
    [
        element(0x00080005, "CS", b"ISO_IR\x00100"),
        element(0x00080005, "CS", b"\0\0"),
        element(0x00080005, "CS", b"\\\\\\"),
        element(0x00080005, "CS", b"x" * 300),
        element(0x00080005, "CS", b"encodings.idna"),
        element(0x00080005, "CS", b"utf_16"),
        element(0x00080005, "CS", b"cp037 "),
        element(0x00080005, "CS", b"\xff\xfe"),
        element(0x00080005, "SQ", b""),
        element(0x00080005, "SQ", item(THICKNESS)),
        sequence(0x00080005, THICKNESS),
        element(0x00080005, "US", b"\0\2"),
        element(0x00080005, "OB", bytes(8)),
    ],
)
def test_character_set_that_cannot_be_looked_up_is_the_default_repertoire(character_set: bytes) -> None:
    name = element(0x00100010, "PN", b"A^B ")
    row, model = rows(make_file(character_set, name, sequence(0x00081140, character_set + name)))
    expected = {"FamilyName": "A", "GivenName": "B"}
    for record in (row, row["ReferencedImageSequence"][0]):
        assert record["PatientName"]["Alphabetic"].items() >= expected.items()
    assert model["00100010"]["Value"] == [{"Alphabetic": "A^B"}]


@pytest.mark.parametrize(
    ("tag", "vr", "keyword", "value"),
    [
        (0x0008103E, "LO", "SeriesDescription", b"Abdomen late\\Soft 3 mm"),
        (0x00081030, "LO", "StudyDescription", b"\\a\\ b\\"),
        (0x00081010, "SH", "StationName", b"a\\b"),
        (0x00080060, "CS", "Modality", b"CT\\SR"),
        (0x00180050, "DS", "SliceThickness", b"1\\2 "),
        (0x00200013, "IS", "InstanceNumber", b"1\\2 "),
        (0x00080054, "AE", "RetrieveAETitle", b"A\\B"),
        (0x00200052, "UI", "FrameOfReferenceUID", b"1.2\\1.3\0"),
        (0x00101010, "AS", "PatientAge", b"001Y\\002Y"),
        (0x00080119, "UC", "LongCodeValue", b"a\\b"),
        (0x00204000, "LT", "ImageComments", b"a\\b"),
    ],
)
def test_column_of_one_text_holds_all_of_it_and_the_model_splits_it(
    tag: int, vr: str, keyword: str, value: bytes
) -> None:
    row, model = rows(make_file(element(tag, vr, value)))
    text = value.decode().rstrip(" \0")
    if isinstance(row[keyword], list):
        text = text.split("\\")  # type: ignore[assignment]
    assert row[keyword] == text
    assert row["OtherElements"] == []
    values = model[f"{tag:08X}"]["Value"]
    assert len(values) == (1 if vr == "LT" else value.count(b"\\") + 1)


@pytest.mark.parametrize(
    "keyword",
    [
        "RedPaletteColorLookupTableDescriptor",
        "GreenPaletteColorLookupTableDescriptor",
        "BluePaletteColorLookupTableDescriptor",
        "LUTDescriptor",
        "GrayLookupTableDescriptor",
    ],
)
@pytest.mark.parametrize("is_implicit", [False, True])
def test_first_and_third_value_of_a_lut_descriptor_are_unsigned(keyword: str, *, is_implicit: bool) -> None:
    tags = {
        "RedPaletteColorLookupTableDescriptor": 0x00281101,
        "GreenPaletteColorLookupTableDescriptor": 0x00281102,
        "BluePaletteColorLookupTableDescriptor": 0x00281103,
        "LUTDescriptor": 0x00283002,
        "GrayLookupTableDescriptor": 0x00281100,
    }
    vr, us, syntax = (None, None, IMPLICIT) if is_implicit else ("SS", "US", EXPLICIT)
    descriptor = element(tags[keyword], vr, struct.pack("<HhH", 60000, -1000, 40000))
    row, model = rows(make_file(element(0x00280103, us, b"\1\0"), descriptor, syntax=syntax))
    assert row[keyword] == [60000, -1000, 40000]
    assert model[f"{tags[keyword]:08X}"]["Value"] == [60000, -1000, 40000]


@pytest.mark.parametrize("text", [b"0.625000", b"-1.5E+03", b"1234", b"12", b"5 ", b"0.5\\0.25", b" 1.5 2.5"])
def test_private_decimal_text_in_implicit_vr_is_text_whatever_the_private_dictionary_says(text: bytes) -> None:
    creator, value = element(0x01F10010, None, b"ELSCINT1"), element(0x01F11026, None, text)
    for parts in ((creator, value), (element(0x00081140, None, item(creator + value)),)):
        row, _ = rows(make_file(*parts, syntax=IMPLICIT))
        record = row if len(parts) > 1 else row["ReferencedImageSequence"][0]
        data = {each["Tag"]: each["Data"] for each in record["OtherElements"]}["Tag_01F11026"]
        is_text = text != b" 1.5 2.5"
        assert (data == [part.strip() for part in text.decode().split("\\")]) is is_text


def test_private_number_whose_bytes_are_a_digit_and_nul_stays_a_number() -> None:
    creator = element(0x00190010, None, b"SIEMENS MR HEADER ")
    row, _ = rows(make_file(creator, element(0x0019100A, None, b"0\0"), syntax=IMPLICIT))
    assert {"Tag": "Tag_0019100A", "Data": ["48"]} in row["OtherElements"]


@pytest.mark.parametrize(
    "value",
    [b"1.2.9\xa0", b"1.2.9\0\0", b"1.2.9  ", b"1.2.9 \xa0\0", b"1.2.9\\1.2.8", b"1.2.9\xc2\xa0", b" 1.2.9\0"],
)
@pytest.mark.parametrize("vr", ["UI", "SH", "LO", "UN", "ST", "CS"])
@pytest.mark.parametrize(
    ("tag", "keyword"),
    [(0x0020000D, "StudyInstanceUID"), (0x0020000E, "SeriesInstanceUID"), (0x00080018, "SOPInstanceUID")],
)
def test_uid_of_any_vr_and_padding_is_one_value_everywhere(value: bytes, vr: str, tag: int, keyword: str) -> None:
    parts = {0x00080018: b"1.2.3.4.5\0", 0x0020000D: b"1.2.3\0", 0x0020000E: b"1.2.3.4\0"}
    elements = [
        element(each, vr if each == tag else "UI", value if each == tag else uid) for each, uid in parts.items()
    ]
    data = part_10(*elements)
    rows(data)
    for kind in TABLE_SCHEMAS:
        decoded = decode_bytes(data, kind)
        assert decoded.row[keyword] == "1.2.9"
        assert "1.2.9" in decoded.uids
        assert not decoded.row.get("OtherElements")


def test_uid_that_is_malformed_is_exported_and_not_shown() -> None:
    value = b"1.2.9\x10\0PN\x08\0DOE^JANE"
    data = part_10(element(0x00080018, "UI", value + b"\0" * (len(value) % 2)), identity()[18:])
    decoded = decode_bytes(data)
    assert "DOE^JANE" in decoded.row["SOPInstanceUID"]
    assert str(decoded.uids) == f"/studies/{UIDS.study}/series/{UIDS.series}/instances/[malformed UID]"
    assert decoded.uids.shown == (UIDS.study, UIDS.series, "[malformed UID]")


CUT = make_file(
    THICKNESS, sequence(0x0040A730, element(0x0040A160, "UT", b"text" * 40)), element(0x00280010, "US", b"\0\2")
)


def test_object_that_is_cut_is_called_cut_short_and_one_that_is_whole_is_not() -> None:
    for end in range(len(CUT) - 1, 330, -1):
        try:
            decode_bytes(CUT[:end])
        except TruncatedInstance as error:
            assert "ut short" in error.message  # noqa: PT017 - a few cuts are between elements
    whole = CUT + element(0x20500020, "CS", b"IDENTITY")
    thickness = whole.index(THICKNESS)
    damages = {
        "length that is too long": whole[: thickness + 6] + b"\x03" + whole[thickness + 7 :],
        "length over everything": whole[: thickness + 6] + b"\xff\x7f" + whole[thickness + 8 :] + identity(),
        "text in place of elements": whole.replace(element(0x00280010, "US", b"\0\2"), b"garbage !!" * 30),
        "an item that is none": whole.replace(b"\xfe\xff\x00\xe0", b"\xfe\xff\x01\xe0"),
    }
    for what, data in damages.items():
        with pytest.raises(InstanceError, match="Malformed at byte ") as caught:
            decode_bytes(data)
        assert not isinstance(caught.value, TruncatedInstance), what


@pytest.mark.parametrize("year", ["0001", "0999", "1000", "9999"])
def test_dates_of_every_year_are_there(year: str) -> None:
    row, _ = rows(make_file(element(0x00080020, "DA", f"{year}0102".encode())))
    assert row["StudyDate"].isoformat() == f"{year}-01-02"

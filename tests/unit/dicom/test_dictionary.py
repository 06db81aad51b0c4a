"""The data dictionary as the rows use it."""

from __future__ import annotations

import struct

import pytest
from pydicom.datadict import DicomDictionary  # type: ignore[attr-defined]

from dicom_export.dicom.dictionary import (
    display,
    display_in_error,
    entry_named,
    entry_of,
    keyword_of,
    named_tag,
    private_vr,
    standard_vr,
    tag_name,
)


def test_every_keyword_leads_back_to_its_tag() -> None:
    for tag, line in DicomDictionary.items():
        if line[4] and line[0] != "NONE":
            assert named_tag(line[4]) == tag
            assert entry_of(tag) is entry_named(line[4])


def test_repeating_group_is_known_by_its_base() -> None:
    entry = entry_of(0x60020010)
    assert entry
    assert (entry.tag, entry.keyword, entry.is_repeating_group) == (0x60000010, "OverlayRows", True)
    assert entry_of(0x60010010) is None  # odd groups are private
    assert named_tag("OverlayRows") == 0x60000010


@pytest.mark.parametrize("tag", [0x00203100, 0x00080007, 0x00091001, 0x00180061, 0xFFFEE000])
def test_what_can_have_no_column_has_no_entry(tag: int) -> None:
    assert entry_of(tag) is None


@pytest.mark.parametrize(
    ("tag", "keyword", "vr"),
    [
        (0x00203104, "SourceImageIDs", "CS"),
        (0x7F020010, "VariablePixelData", "OB or OW"),
        (0x10100005, "ZonalMap", "US"),
        (0x60020010, "OverlayRows", "US"),
        (0x00100010, "PatientName", "PN"),
        (0x7F010010, None, None),  # odd groups are private
        (0x00080007, None, None),
        (0xFFFEE000, None, None),
        (0x60020007, None, None),
    ],
)
def test_keyword_and_vr_are_known_of_every_repeating_group(tag: int, keyword: str | None, vr: str | None) -> None:
    assert (keyword_of(tag), standard_vr(tag)) == (keyword, vr)


@pytest.mark.parametrize(("keyword", "is_repeated"), [("Modality", False), ("ImageType", True), ("PixelSpacing", True)])
def test_multiplicity_other_than_1_is_repeated(keyword: str, is_repeated: bool) -> None:  # noqa: FBT001
    entry = entry_named(keyword)
    assert entry
    assert entry.is_repeated is is_repeated


def test_choice_of_vrs_allows_each() -> None:
    entry = entry_named("LUTData")
    assert entry
    assert entry.vrs == {"US", "OW"}


@pytest.mark.parametrize(
    ("name", "tag"), [("Tag_00091001", 0x00091001), ("Tag_0009", None), ("Tag_0009100X", None), ("Type", None)]
)
def test_name_of_a_private_tag_is_read(name: str, tag: int | None) -> None:
    assert named_tag(name) == tag
    if tag is not None:
        assert tag_name(tag) == name


def test_tag_is_shown_with_its_keyword() -> None:
    assert display(0x00100010) == "PatientName (0010,0010)"
    assert display(0x00091001) == "(0009,1001)"


def test_private_dictionary_knows_a_creators_elements() -> None:
    assert private_vr(0x0019100C, "SIEMENS MR HEADER") == "IS"
    assert private_vr(0x0019100C, "nobody") is None


def test_a_tag_that_may_be_text_of_a_value_is_not_shown_in_errors() -> None:
    assert display_in_error(0x00100010) == "PatientName (0010,0010)"
    assert display_in_error(0x30020010) == display(0x30020010)
    assert display_in_error(0x00291001) == "(0029,1001)"
    assert display_in_error(0x20211001) == "(2021,1001)"
    for text in (b"DOE^", b"M\xfcll", b"J\0hn"):
        group, number = struct.unpack("<HH", text)
        assert display_in_error(group << 16 | number) == "an unknown element"

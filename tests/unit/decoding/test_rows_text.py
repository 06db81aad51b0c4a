"""Text as a row has it: decoded by the Specific Character Set, split into values, without padding."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from pydicom.charset import python_encoding

from dicom_export.dicom.character_sets import encodings_named
from dicom_export.dicom.text import split
from dicom_export.rows.layout import TABLE_SCHEMAS, SchemaKind
from support.dicom_files import element, make_file, row_of, sequence

DEFAULT = ""
LATIN_1 = "ISO 2022 IR 100"
CYRILLIC = "ISO 2022 IR 144"
KATAKANA = "ISO 2022 IR 13"
KANJI = "ISO 2022 IR 87"
KOREAN = "ISO 2022 IR 149"
CHINESE = "ISO 2022 IR 58"


def text_of(vr: str, value: bytes, *terms: str) -> list[str]:
    return split(vr, value, encodings_named(terms))


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("DA", b"20260101 \\ 20260102\0", ["20260101", "20260102"]),
        ("TM", b"0102\0\\ 03 ", ["0102", "03"]),
        ("DT", b" 2026 \\2027 ", ["2026", "2027"]),
        ("AS", b"001Y \\ 002Y", ["001Y", "002Y"]),
        ("CS", b"A \\ B ", ["A ", " B"]),
        ("LO", b" A \\ B ", [" A", " B"]),
        ("SH", b" A \\ B ", [" A", " B"]),
    ],
)
def test_padding_is_stripped_of_each_value(vr: str, value: bytes, expected: list[str]) -> None:
    assert text_of(vr, value) == expected


def test_dates_that_are_padded_each_have_their_column() -> None:
    row = row_of(make_file(element(0x00181200, "DA", b"20260101 \\20260102 ")))
    assert row["DateOfLastCalibration"] == [date(2026, 1, 1), date(2026, 1, 2)]


@pytest.mark.parametrize(
    ("terms", "value", "expected"),
    [
        (  # PS3.5 §H.3.2, example 2: `^` is a byte of the kana for "ma"
            (KATAKANA, KANJI),
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        ),
        (  # PS3.5 §I.2
            (DEFAULT, KOREAN),
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        (  # PS3.5 §K.2
            (DEFAULT, CHINESE),
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        ),
        ((CYRILLIC, LATIN_1), b"\xbb\xee\xda^\x1b-A\xe9\xe8", "Люк^éè"),
    ],
    ids=["IR 13, IR 87", "IR 149", "IR 58", "IR 144, IR 100"],
)
def test_escape_sequences_switch_the_character_set(terms: tuple[str, ...], value: bytes, expected: str) -> None:
    assert text_of("PN", value, *terms) == [expected]


@pytest.mark.parametrize(
    ("terms", "value", "expected"),
    [
        ((CYRILLIC, LATIN_1), b"\x1b-A\xe9%s\xbb", ("é", "Л")),
        ((KATAKANA, LATIN_1), b"\x1b-A\xe9%s\xd4", ("é", "ﾔ")),
        ((KATAKANA, KANJI), b"\x1b$B;3\x1b(B%s\xd4", ("山", "ﾔ")),
        ((LATIN_1, KATAKANA), b"\x1b)I\xd4%s\xe9", ("ﾔ", "é")),
        ((LATIN_1, KOREAN), b"\x1b$)C\xfb\xf3%s\xe9", ("洪", "é")),
        ((LATIN_1, CHINESE), b"\x1b$)A\xd5\xc5%s\xe9", ("张", "é")),
        ((LATIN_1, KANJI), b"\x1b$B;3\x1b(B%s\xe9", ("山", "é")),
    ],
)
def test_delimiters_reset_the_character_set(terms: tuple[str, ...], value: bytes, expected: tuple[str, str]) -> None:
    for delimiter in (b"^", b"=", b"\r\n"):
        assert text_of("PN", value % delimiter, *terms) == [delimiter.decode().join(expected)]
    for vr in ("PN", "LO", "SH", "UC"):
        assert text_of(vr, value % b"\\", *terms) == list(expected)


def test_what_delimits_names_or_values_resets_nothing_elsewhere() -> None:
    value = b"\x1b$)C\xfb\xf3^=\xfb\xf3"
    assert [text_of(vr, value, DEFAULT, KOREAN) for vr in ("LO", "SH", "UC", "LT", "ST", "UT")] == [["洪^=洪"]] * 6
    value = b"\x1b$)C\xfb\xf3\\\xfb\xf3\n\xe9"
    assert [text_of(vr, value, DEFAULT, KOREAN) for vr in ("LT", "ST", "UT")] == [["洪\\洪\né"]] * 3


@pytest.mark.parametrize(
    ("term", "value", "expected"),
    [
        ("GBK", b"\xd5\x5c^\x95\x5e", "誠^昢"),
        ("GB18030", b"\xd5\x5c^\x95\x5e=\x81\x30\x81\x30", "誠^昢=\x80"),
        ("ISO_IR 13", b"\x83\x5c^\x8f\x5c", "ソ^十"),
        ("ISO_IR 13", b"\xd4^\x1b(J\x83\x5c\x83\x5e\x8f\x5c", "ﾔ^ソタ十"),
        ("ISO_IR 192", "誠^ソ=é".encode(), "誠^ソ=é"),
    ],
)
def test_byte_of_a_longer_character_is_no_delimiter(term: str, value: bytes, expected: str) -> None:
    assert text_of("PN", value, term) == [expected]
    assert text_of("LO", value + b"\\A", term) == [expected, "A"]


def test_delimiter_after_half_a_character_is_one() -> None:
    (name,) = text_of("PN", b"\x1b$)C\xfb\xf3\xd1^A=B", DEFAULT, KOREAN)
    assert name.split("^")[1] == "A=B"


@pytest.mark.parametrize("term", ["base64", "hex", "idna", "punycode", "undefined", "utf_16", "utf_7", "nonsense"])
def test_codec_that_is_no_character_set_costs_no_instance(term: str) -> None:
    for value in (b"M\xfcller", b"\xff\xfe^=", b"A\x1b(B\xff^B\xff", b"A\x1b$B^"):
        for kind in TABLE_SCHEMAS:
            row = row_of(make_file(element(0x00080005, "CS", term.encode()), element(0x00100010, "PN", value)), kind)
            assert json.dumps(row, default=str).encode()


@pytest.mark.parametrize("term", ["ISO_IR 203", "ISO 2022 IR 203", "ISO-IR 203", "ISO 2022-IR 203"])
def test_latin_9_is_known(term: str) -> None:
    item = element(0x00080104, "LO", b"\xa4 \xbd")
    row = row_of(make_file(element(0x00080005, "CS", term.encode()), sequence(0x00081032, item), item))
    assert row["CodeMeaning"] == "€ œ"
    assert row["ProcedureCodeSequence"] == [{"CodeMeaning": "€ œ"}]


def test_latin_9_is_switched_to() -> None:
    assert text_of("PN", b"\x1b-b\xa4^\xa4", LATIN_1, "ISO 2022 IR 203") == ["€^¤"]


def test_tables_of_pydicom_are_left_as_they_are() -> None:
    assert "iso8859_15" not in python_encoding.values()


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
def test_no_escape_sequence_of_simplified_chinese_is_in_the_text(kind: SchemaKind) -> None:
    """As in PS3.5 Annex K; pydicom leaves the sequences of ISO 2022 IR 58 where they are."""
    chinese = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab= "
    character_set = element(0x00080005, "CS", b"\\ISO 2022 IR 58")
    row: dict[str, Any] = row_of(make_file(character_set, element(0x00100010, "PN", chinese)), kind)
    if kind is SchemaKind.FLATTENED:
        name = row["PatientName"]["Ideographic"]
        assert (name["FamilyName"], name["GivenName"]) == ("张", "小东")
    else:
        assert json.loads(row["Metadata"])["00100010"]["Value"][0]["Ideographic"] == "张^小东"

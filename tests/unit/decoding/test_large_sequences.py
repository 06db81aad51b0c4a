"""Sequences of more than 1 MiB: whole in the JSON schema as far as a row takes them, and left out of the flattened schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dicom_export.decoding.budget import Limits
from dicom_export.decoding.decoded import Explanation
from dicom_export.decoding.explain import explain_instance
from dicom_export.decoding.fast.memory import Memory
from dicom_export.errors import LimitExceeded
from dicom_export.rows.arrow import Batch, batches
from dicom_export.rows.layout import TABLE_SCHEMAS, RowLayout, SchemaKind
from dicom_export.rows.schema import columns_of
from support.agreement import assert_same
from support.dicom_files import (
    DEFLATED,
    IMPLICIT,
    MemoryStore,
    deflate,
    element,
    make_file,
    make_stored,
    row_of,
    sequence,
)
from support.multiframe import Frames, multiframe

PER_FRAME = 0x52009230
KEYWORD = "PerFrameFunctionalGroupsSequence"
UNDEFINED = 0xFFFFFFFF
MEBIBYTE = 1 << 20


def texts(mebibytes: float, tag: int, *, is_delimited: bool = True, text: bytes = b"x" * 20_000) -> bytes:
    """Return a sequence of so many mebibytes of text."""
    items = [element(0x00081030, "LO", text)] * int(mebibytes * MEBIBYTE / len(text))
    if is_delimited:
        return sequence(tag, *items)
    return element(tag, "SQ", b"".join(element(0xFFFEE000, None, item) for item in items))


def explained(data: bytes, kind: SchemaKind, limits: Limits | None = None) -> dict[str, Any]:
    stored = make_stored("a", data)
    found = explain_instance(MemoryStore({"a": data}), stored, RowLayout(kind), limits or Limits())
    assert isinstance(found, Explanation)
    return found.row


def left_out(row: dict[str, Any]) -> list[str]:
    return [name for name in row["DroppedTags"] if name != "PixelData"]


def fits(row: dict[str, Any]) -> bool:
    (batch,) = batches([row], columns_of(row, SchemaKind.JSON))
    return isinstance(batch, Batch)


def test_a_header_of_20_000_frames_is_whole_in_the_json_schema() -> None:
    data = multiframe(20_000, kind=Frames.SLIDE)
    row = row_of(data, SchemaKind.JSON)
    frames = json.loads(row["Metadata"])[f"{PER_FRAME:08X}"]["Value"]
    assert left_out(row) == []
    assert len(frames) == 20_000
    assert frames[19_999]["00209111"]["Value"][0]["00209157"]["Value"] == [19_999 % 128 + 1, 19_999 // 128 + 1]
    assert fits(row)


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
@pytest.mark.parametrize("is_delimited", [True, False])
def test_the_decoders_agree_on_large_sequences(kind: SchemaKind, *, is_delimited: bool) -> None:
    data = make_file(texts(1.1, 0x00081032, is_delimited=is_delimited), element(0x00100020, "LO", b"1 "))
    row, *_ = assert_same(data, kind, Memory())
    assert ("ProcedureCodeSequence" in row) is (kind is SchemaKind.FLATTENED)  # in its DroppedTags


@pytest.mark.parametrize("is_delimited", [True, False])
def test_the_decoders_agree_on_many_frames_in_implicit_vr(*, is_delimited: bool) -> None:
    data = multiframe(1_700, syntax=IMPLICIT, is_delimited=is_delimited)
    row, *_ = assert_same(data, SchemaKind.JSON, Memory())
    assert KEYWORD not in row


@pytest.mark.parametrize("is_delimited", [True, False])
def test_what_does_not_fit_is_left_out_largest_first(*, is_delimited: bool) -> None:
    sizes = {0x00081032: 2.0, 0x00081140: 4.0, 0x00082112: 3.0, 0x00400275: 0.9}
    data = make_file(*[texts(size, tag, is_delimited=is_delimited) for tag, size in sizes.items()])
    row, *_ = assert_same(data, SchemaKind.JSON, Memory())
    assert "'DroppedTags': ['ReferencedImageSequence']" in row
    metadata = json.loads(row_of(data, SchemaKind.JSON)["Metadata"])
    assert [int(tag, 16) for tag in metadata if int(tag, 16) in sizes] == [0x00081032, 0x00082112, 0x00400275]


def test_a_row_of_the_most_bytes_fits_a_request_and_one_of_more_is_cut() -> None:
    """Text that is several bytes long in UTF-8, and escapes in JSON, count as they are written."""
    text = "é\x01".encode() * 300
    character_set = element(0x00080005, "CS", b"ISO_IR 192")
    seen = set()
    for size in (1.0, 2.5, 3.3, 3.4, 3.5, 4.0):
        row = row_of(make_file(character_set, texts(size, 0x00081032, text=text)), SchemaKind.JSON)
        assert fits(row)
        assert row["StructuredStorageSize"] == len(row["Metadata"].encode())
        seen.add(bool(left_out(row)))
    assert seen == {True, False}


def test_large_values_that_are_not_sequences_are_left_out() -> None:
    long = element(0x00081030, "UT", b"x" * (MEBIBYTE + 2))
    nested = sequence(0x00081032, long, element(0x00080100, "SH", b"1 "))
    data = make_file(long, nested, element(0x00091010, "UN", bytes(MEBIBYTE + 2)))
    row, *_ = assert_same(data, SchemaKind.JSON, Memory())
    assert "'DroppedTags': ['StudyDescription', 'Tag_00091010']" in row
    assert json.loads(row_of(data, SchemaKind.JSON)["Metadata"])["00081032"]["Value"][1]["00080100"]["Value"] == ["1"]


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
def test_a_large_value_that_is_no_sequence_though_it_should_be_is_left_out(kind: SchemaKind) -> None:
    data = make_file(element(0x00081032, "SQ", b"x" * (2 * MEBIBYTE)), element(0x00100020, "LO", b"1 "))
    row, *_ = assert_same(data, kind, Memory())
    assert "ProcedureCodeSequence" in row


@pytest.mark.parametrize("is_un", [True, False])
def test_a_large_sequence_with_vr_un_has_the_dictionary_s_vr(*, is_un: bool) -> None:
    item = element(0xFFFEE000, None, element(0x00081030, None, b"x" * 1000))
    data = make_file(element(0x00081032, "UN" if is_un else "SQ", item * 1_500))
    row, *_ = assert_same(data, SchemaKind.JSON, Memory())
    assert "'DroppedTags': []" in row


def test_a_large_private_sequence_in_implicit_vr_is_kept() -> None:
    item = element(0xFFFEE000, None, element(0x00081030, None, b"x" * 1000))
    creator = element(0x20050010, None, b"Philips MR Imaging DD 001 ")
    data = make_file(creator, element(0x2005100E, None, item * 1_500), syntax=IMPLICIT)
    unknown = make_file(creator, element(0x200510FE, None, item * 1_500), syntax=IMPLICIT)
    for each in (data, unknown):
        assert_same(each, SchemaKind.JSON, Memory())


def test_a_deflated_header_keeps_large_sequences() -> None:
    body = make_file(texts(2, 0x00081032))
    start = body.index(b"\x08\x00\x18\x00")
    meta = make_file(syntax=DEFLATED)
    data = meta[: meta.index(b"\x02\x00\x10\x00") + 8 + 22] + deflate(body[start:])
    assert left_out(explained(data, SchemaKind.JSON)) == []


@pytest.mark.parametrize("limits", [Limits(header_bytes=4 * MEBIBYTE), Limits(elements=400)])
@pytest.mark.parametrize("is_delimited", [True, False])
def test_large_sequences_that_exceed_the_budget_together_do_not_cost_the_row(
    limits: Limits, *, is_delimited: bool
) -> None:
    for sizes in ((1.5, 2.0, 2.5), (2.5, 2.0, 1.5)):
        tags = (0x00081032, 0x00081140, 0x00082112)
        data = make_file(*[texts(size, tag, is_delimited=is_delimited) for tag, size in zip(tags, sizes, strict=True)])
        row = explained(data, SchemaKind.JSON, limits)
        kept = [tag for tag in json.loads(row["Metadata"]) if int(tag, 16) in tags]
        assert 1 <= len(kept) < len(tags)
        assert len(left_out(row)) + len(kept) == len(tags)


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
def test_elements_of_what_is_left_out_count_by_a_quarter(kind: SchemaKind) -> None:
    large = [element(0x00081030, "LO", b"x" * 20_000)] * 53
    data = make_file(sequence(0x00081032, *large, *[b""] * 4_000))
    assert "ProcedureCodeSequence" in str(explained(data, kind, Limits(elements=1_200))["DroppedTags"])
    with pytest.raises(LimitExceeded, match="more than 900 elements"):
        explained(data, kind, Limits(elements=900))


def test_what_is_small_still_costs_the_row_where_it_exceeds_the_budget() -> None:
    data = make_file(*[texts(0.9, tag) for tag in (0x00081032, 0x00081140, 0x00082112)])
    with pytest.raises(LimitExceeded, match="more than 2,097,152 bytes"):
        explained(data, SchemaKind.JSON, Limits(header_bytes=2 * MEBIBYTE))

"""What is read of an object, what is refused, and how little is read."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from random import Random

import pytest
from pydicom.data.data_manager import DATA_ROOT
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from dicom_export.decoding.budget import Limits
from dicom_export.decoding.decoded import Skipped
from dicom_export.decoding.instance import decode_instance
from dicom_export.errors import InstanceError, LimitExceeded, NotDicom, TruncatedInstance, Unavailable
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.layout import TABLE_SCHEMAS, RowLayout, SchemaKind
from dicom_export.rows.schema import columns_of
from dicom_export.stored_object import FIRST_RANGE
from support.dicom_files import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    PREAMBLE,
    UIDS,
    MemoryStore,
    decode_bytes,
    deflate,
    element,
    make_data_set,
    make_file,
    make_instance,
    make_stored,
    row_of,
    sequence,
)

WHEEL = Path(DATA_ROOT) / "test_files"
FLATTENED = RowLayout(SchemaKind.FLATTENED)
GROWING = {"OtherElements", "DroppedTags", "BlobStorageSize"}
SYNTAXES = [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED]


def make_report() -> Dataset:
    """Return a structured report: sequences in sequences, of undefined and of defined length."""
    data_set = make_data_set(Modality="SR", PatientName="A^B", StudyDate="20260102")
    inner = Dataset()
    inner.ConceptNameCodeSequence = [Dataset()]
    inner.ConceptNameCodeSequence[0].CodeValue = "121041"
    inner.TextValue = "text"
    other = Dataset()
    other.ContentSequence = [inner]
    data_set.ContentSequence = [inner, other]
    for holder in (data_set, other):
        holder["ContentSequence"].is_undefined_length = True
        for item in holder.ContentSequence:
            item.is_undefined_length_sequence_item = holder is data_set
    return data_set


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_every_transfer_syntax_gives_the_same_row(syntax: str) -> None:
    data_set = make_report()
    data_set.Rows = 512
    data_set.FrameIncrementPointer = [0x00181063]
    row = row_of(make_instance(data_set, syntax=syntax))
    expected = row_of(make_instance(data_set, syntax=EXPLICIT))
    varying = {"TransferSyntaxUID", "BlobStorageSize"}
    assert row["TransferSyntaxUID"] == syntax
    assert {k: v for k, v in row.items() if k not in varying} == {k: v for k, v in expected.items() if k not in varying}
    assert row["ContentSequence"][1]["ContentSequence"][0]["TextValue"] == "text"


def _boundaries(data: bytes, syntax: str) -> set[int]:
    """Return where a file may end: behind each element from the Series Instance UID on."""
    ends = set()
    for tag in (0x00200010, 0x00200011, 0x00200013, 0x0040A730):
        order = ">" if syntax == BIG_ENDIAN else "<"
        start = data.find(struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF), 300)
        ends |= {start} if start > 0 else set()
    return set() if syntax == DEFLATED else ends


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("has_undefined_lengths", [True, False])
def test_cut_anywhere_is_truncated_but_between_elements_behind_the_uids(
    syntax: str, *, has_undefined_lengths: bool
) -> None:
    data_set = make_report()
    if not has_undefined_lengths:
        data_set = make_data_set(PatientName="A^B", ContentSequence=[Dataset()])
        data_set.ContentSequence[0].TextValue = "text"
    data_set.StudyID, data_set.SeriesNumber, data_set.InstanceNumber = "1", 2, 3
    data = make_instance(data_set, syntax=syntax)
    whole = {end for end in range(len(data)) if _is_whole(data[:end])}
    assert whole == _boundaries(data, syntax)
    assert decode_bytes(data).uids == UIDS


def _is_whole(data: bytes) -> bool:
    try:
        assert decode_bytes(data).uids == UIDS
    except TruncatedInstance:
        return False
    except NotDicom:
        assert len(data) < len(PREAMBLE)
        return False
    return True


@pytest.mark.parametrize("name", ["CT_small.dcm", "image_dfl.dcm", "reportsi.dcm", "ExplVR_BigEndNoMeta.dcm"])
def test_real_file_cut_before_its_pixels_is_never_half_a_row(name: str) -> None:
    data = (WHEEL / name).read_bytes()
    row = decode_bytes(data).row
    for end in range(0, len(data), 97 if len(data) > 20_000 else 7):
        try:
            cut = decode_bytes(data[:end]).row
        except InstanceError as error:
            assert isinstance(error, TruncatedInstance) or end < len(PREAMBLE) + 8  # noqa: PT017 - most cuts fail
            continue
        assert all(value == row[name] for name, value in cut.items() if name not in GROWING)
        assert all(value in row[name] for name in ("OtherElements", "DroppedTags") for value in cut[name])


def test_elements_behind_native_pixels_are_read_without_the_pixels() -> None:
    pixels = bytes(3 * FIRST_RANGE)
    tail = element(0xFFFAFFFA, "SQ", b"") + element(0xFFFCFFFC, "OB", bytes(10))
    data = make_file(element(0x7FE00010, "OW", pixels), tail)
    store = MemoryStore({"a": data})
    decoded = decode_instance(store, make_stored("a", data), FLATTENED)
    assert not isinstance(decoded, Skipped)
    assert decoded.row["DigitalSignaturesSequence"] == []
    assert [dropped["TagName"] for dropped in decoded.row["DroppedTags"]] == ["PixelData", "DataSetTrailingPadding"]
    assert sum(min(length, len(data) - start) for _, start, length in store.reads) < 2 * FIRST_RANGE


@pytest.mark.parametrize("padding", [b"", bytes(1), bytes(7), bytes(512)])
def test_zeros_behind_the_pixels_are_harmless(padding: bytes) -> None:
    data = make_file(element(0x7FE00010, "OW", bytes(16))) + padding
    assert row_of(data)["DroppedTags"] == [{"TagName": "PixelData", "TagReference": ""}]


def test_zeros_behind_the_last_element_are_harmless() -> None:
    assert decode_bytes(make_file(element(0x00280010, "US", b"\0\2")) + bytes(512)).row["Rows"] == 512


def test_what_cannot_follow_pixels_is_not_read() -> None:
    data = make_file(element(0x7FE00010, "OW", bytes(16))) + element(0x00100010, "PN", b"A^B ") + b"garbage"
    assert "PatientName" not in row_of(data)


def test_element_cut_behind_the_pixels_is_truncated() -> None:
    data = make_file(element(0x7FE00010, "OW", bytes(16)), element(0xFFFCFFFC, "OB", bytes(100)))
    with pytest.raises(TruncatedInstance):
        decode_bytes(data[:-1])


def test_pixels_that_are_cut_do_not_matter() -> None:
    assert decode_bytes(make_file(element(0x7FE00010, "OW", bytes(100)))[:-50]).uids == UIDS


def test_encapsulated_pixels_are_not_walked() -> None:
    frames = encapsulate([bytes(FIRST_RANGE)] * 8)
    data = make_file(element(0x7FE00010, "OB", frames, length=0xFFFFFFFF), syntax="1.2.840.10008.1.2.4.50")
    store = MemoryStore({"a": data})
    decode_instance(store, make_stored("a", data), FLATTENED)
    assert [length for _, _, length in store.reads] == [FIRST_RANGE]


def test_value_over_a_megabyte_is_listed_and_not_read() -> None:
    data = make_file(element(0x00420011, "OB", bytes(4 << 20)), element(0x00480006, "US", b"\1\0"))
    store = MemoryStore({"a": data})
    decoded = decode_instance(store, make_stored("a", data), FLATTENED)
    assert not isinstance(decoded, Skipped)
    assert decoded.row["DroppedTags"] == [{"TagName": "EncapsulatedDocument", "TagReference": ""}]
    assert decoded.row["TotalPixelMatrixColumns"] is None
    assert sum(min(length, len(data) - start) for _, start, length in store.reads) < 4 * FIRST_RANGE


def test_long_header_is_read_in_ranges_that_double() -> None:
    data = make_file(*(element(0x00091000 + i, "LT", b"x" * 60_000) for i in range(10)))
    store = MemoryStore({"a": data})
    decode_instance(store, make_stored("a", data), FLATTENED)
    lengths = [length for _, _, length in store.reads]
    assert lengths[:3] == [FIRST_RANGE, 2 * FIRST_RANGE, 4 * FIRST_RANGE]
    assert [start for _, start, _ in store.reads] == [sum(lengths[:i]) for i in range(len(lengths))]


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty"), (bytes(4096), "unknown content"), (b"\x08", "unknown content")]
)
def test_content_of_no_known_kind_is_a_failure(data: bytes, reason: str) -> None:
    with pytest.raises(NotDicom, match=reason):
        decode_bytes(data)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN], ids=lambda syntax: syntax.name)
def test_data_set_without_preamble_or_meta_is_read(syntax: str) -> None:
    data = make_instance(PatientID="1", syntax=syntax)
    meta_length = struct.unpack_from("<L", data, 140)[0]
    body = data[144 + meta_length :]
    row = row_of(body)
    assert row["PatientID"] == "1"
    assert "TransferSyntaxUID" not in row


def test_meta_without_preamble_is_read() -> None:
    assert row_of(make_instance(PatientID="1")[len(PREAMBLE) :])["PatientID"] == "1"


def test_missing_transfer_syntax_is_found_out() -> None:
    meta = element(0x00020002, "UI", b"1.2\0")
    body = make_file(element(0x00100020, "LO", b"1 "))[len(PREAMBLE) + 8 + len(EXPLICIT) + 1 :]
    assert row_of(PREAMBLE + meta + body)["PatientID"] == "1"


def test_directory_is_skipped() -> None:
    data = (WHEEL / "dicomdirtests" / "DICOMDIR").read_bytes()
    assert isinstance(decode_instance(MemoryStore({"a": data}), make_stored("a", data), FLATTENED), Skipped)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_instance_without_one_of_its_uids_fails_and_says_which(keyword: str) -> None:
    data_set = make_data_set(Rows=1)
    delattr(data_set, keyword)
    with pytest.raises(InstanceError, match=keyword) as caught:
        decode_bytes(make_instance(data_set))
    assert not isinstance(caught.value, TruncatedInstance)
    assert caught.value.uids


def test_failed_instance_is_known_by_the_uids_that_were_read() -> None:
    data = make_file(element(0x00280010, "US", b"\1\0"))
    with pytest.raises(TruncatedInstance) as caught:
        decode_bytes(data[:-1])
    assert caught.value.uids == UIDS


@pytest.mark.parametrize("syntax", [EXPLICIT, DEFLATED], ids=lambda syntax: syntax.name)
def test_sequences_nested_without_end_exceed_a_limit(syntax: str) -> None:
    opening = element(0x0040A730, "SQ", b"", length=0xFFFFFFFF) + element(0xFFFEE000, None, b"", length=0xFFFFFFFF)
    with pytest.raises(LimitExceeded, match="nested more than 100 deep"):
        decode_bytes(make_file(opening * 100_000, syntax=syntax))


@pytest.mark.parametrize("frames", range(8))
def test_nesting_exceeds_the_limit_wherever_the_stack_ends(frames: int) -> None:
    def deeper(frames: int) -> None:
        if frames:
            deeper(frames - 1)
        else:
            decode_bytes(make_file(opening * 1000))

    opening = element(0x0040A730, "SQ", b"", length=0xFFFFFFFF) + element(0xFFFEE000, None, b"", length=0xFFFFFFFF)
    with pytest.raises(LimitExceeded, match="nested more than 100 deep"):
        deeper(frames)


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
def test_sequences_of_defined_length_nested_deeply_cost_no_crash(kind: SchemaKind) -> None:
    value = b""
    for _ in range(400):
        value = element(0x0040A730, "SQ", element(0xFFFEE000, None, value))
    data = make_file(value)
    if kind is SchemaKind.JSON:
        with pytest.raises(LimitExceeded, match="more than 100 deep"):
            row_of(data, kind)
    else:
        assert row_of(data, kind)["StudyInstanceUID"] == UIDS.study


def test_report_of_160_000_elements_is_read_and_its_content_listed() -> None:
    item = element(0x0040A040, "CS", b"TEXT") * 2 + element(0x0040A160, "UT", b"text")
    data = make_file(sequence(0x0040A730, *[item] * 54_000), element(0x00080060, "CS", b"SR"))
    row = row_of(data)
    assert row["Modality"] == "SR"
    assert row["DroppedTags"] == [{"TagName": "ContentSequence", "TagReference": ""}]


@pytest.fixture
def few_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow 100 elements."""
    monkeypatch.setattr(decode_instance, "__defaults__", (None, Limits(elements=100)))


@pytest.mark.usefixtures("few_elements")
@pytest.mark.parametrize("length", [400, 101])
def test_too_many_elements_exceed_a_limit(length: int) -> None:
    items = [element(0x0040A040, "CS", b"TEXT")] * length
    for value in (sequence(0x0040A730, *items), element(0x0040A730, "SQ", b"".join(map(_item, items)))):
        with pytest.raises(LimitExceeded, match="more than 100 elements"):
            decode_bytes(make_file(value))


def _item(content: bytes) -> bytes:
    return element(0xFFFEE000, None, content)


def test_deflated_bomb_exceeds_a_limit() -> None:
    bomb = deflate(element(0x00080018, "UI", b"1.2\0") + element(0x00091001, "OB", bytes(100 << 20)))
    with pytest.raises(LimitExceeded, match="inflated"):
        decode_bytes(PREAMBLE + element(0x00020010, "UI", DEFLATED.encode()) + bomb)


def test_damaged_deflated_data_is_an_instance_error() -> None:
    data = bytearray(make_instance(syntax=DEFLATED))
    data[-20:] = b"\xff" * 20
    with pytest.raises(InstanceError):
        decode_bytes(bytes(data))


def test_error_of_the_store_is_not_taken_for_a_truncated_object() -> None:
    class Flaky(MemoryStore):
        def read(self, stored, start, length):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            if start:
                raise Unavailable("no answer")
            return super().read(stored, start, length)

    data = make_file(sequence(0x0040A730, *[element(0x0040A160, "UT", b"text" * 100)] * 1000))
    with pytest.raises(Unavailable):
        decode_instance(Flaky({"a": data}), make_stored("a", data), FLATTENED)


def test_no_message_holds_a_value() -> None:
    data = make_file(element(0x00100010, "PN", b"Secret^Name "), element(0x00280010, "US", b"\1\0"))
    for end in range(len(data)):
        try:
            decode_bytes(data[:end])
        except InstanceError as error:
            assert "Secret" not in str(error)  # noqa: PT017 - most of many cuts fail


def test_instance_and_error_pass_between_processes() -> None:
    data = make_file(element(0x00280010, "US", b"\1\0"))
    decoded = decode_bytes(data)
    assert pickle.loads(pickle.dumps(decoded)) == decoded  # noqa: S301 - our own bytes
    with pytest.raises(TruncatedInstance) as caught:
        decode_bytes(data[:-1])
    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (type(error), error.message, error.uids) == (TruncatedInstance, caught.value.message, UIDS)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_damaged_bytes_make_a_row_or_an_instance_error_and_nothing_else(syntax: str) -> None:
    whole = make_instance(make_report(), syntax=syntax)
    random = Random(1)
    outcomes = set()
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(random.choice([1, 2, 10])):
            data[random.randrange(len(PREAMBLE), len(data))] = random.choice(
                [0, 0x1B, 0x5C, 0xFF, random.randrange(256)]
            )
        for kind in TABLE_SCHEMAS:
            outcomes.add(_outcome(bytes(data), kind))
    assert outcomes >= {"row", "error"}


def _outcome(data: bytes, kind: SchemaKind) -> str:
    try:
        row = row_of(data, kind)
    except InstanceError:
        return "error"
    record_batch([row], columns_of(row, kind))
    return "row"

"""What is remembered of a series: taken over where the bytes are the same, bounded, and shared without harm."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest

from dicom_export.decoding.budget import DEFAULT_LIMITS
from dicom_export.decoding.decoded import DecodedInstance
from dicom_export.decoding.fast.header import ScannedHeader, scan_header
from dicom_export.decoding.fast.kinds import RUN, Unusual
from dicom_export.decoding.fast.memory import Memory
from dicom_export.decoding.fast.series import SeriesMemory
from dicom_export.decoding.instance import decode_instance
from dicom_export.dicom.object_file import RangeFile
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.stored_object import FIRST_RANGE
from support.dicom_files import BIG_ENDIAN, IMPLICIT, MemoryStore, element, make_file, make_stored, sequence

LAYOUT = RowLayout(SchemaKind.FLATTENED)
DESCRIPTION = 0x0008103E


def make_slice(number: int, *elements: bytes) -> bytes:
    position = element(0x00200032, "DS", b"0\\0\\%04d " % number)
    code = sequence(0x00081032, element(0x00080100, "SH", b"1 "))
    return make_file(position, code, element(0x00080060, "CS", b"CT"), *elements, sop_instance_uid=f"1.2.{number}")


def scanned(data: bytes, memory: SeriesMemory) -> ScannedHeader:
    return scan_header(RangeFile(MemoryStore({"a": data}), make_stored("a", data)), memory, DEFAULT_LIMITS)


def decoded(data: bytes, memory: Memory | None = None) -> DecodedInstance:
    instance = decode_instance(MemoryStore({"a": data}), make_stored("a", data), LAYOUT, memory)
    assert isinstance(instance, DecodedInstance)
    return instance


def test_what_instances_repeat_is_taken_over_in_runs() -> None:
    memory = SeriesMemory()
    kinds = [[kind for kind, _, _ in scanned(make_slice(number), memory).elements] for number in range(3)]
    assert RUN not in kinds[0]
    assert kinds[1].count(RUN) == kinds[2].count(RUN) == 1  # between SOP Instance UID and position
    assert len(kinds[2]) == 3


def test_what_is_forgotten_leaves_nothing_to_the_collector_of_cycles() -> None:
    """The processes of a local export hardly ever let it look."""
    decoded(make_slice(0))
    gc.collect()
    gc.disable()
    try:
        memory = Memory()
        for number in range(4):
            decoded(make_slice(number, *[element(0x00080070, "LO", b"x ")] * (number < 3)), memory)
        del memory
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_the_next_long_header_of_a_folder_is_read_by_one_request() -> None:
    memory = Memory()
    long, longer, short = (
        make_slice(number, *(element(0x00091000 + at, "LT", b"x" * 60_000) for at in range(elements)))
        + element(0x7FE00010, "OW", bytes(4 * FIRST_RANGE))
        for number, elements in enumerate((5, 5, 0))
    )
    store = MemoryStore({"s/1": long, "s/2": longer, "s/3": short, "s/4": short, "t/1": long})
    reads = {}
    for stored in store.list():
        store.reads.clear()
        decode_instance(store, stored, LAYOUT, memory)
        reads[stored.name] = [length for _, _, length in store.reads]
    assert len(reads["s/1"]) == len(reads["t/1"]) == 3
    header = len(long) - 4 * FIRST_RANGE
    assert len(reads["s/2"]) == len(reads["s/3"]) == 1
    assert header < reads["s/2"][0] < header + FIRST_RANGE
    assert reads["s/4"] == [FIRST_RANGE]


def test_the_lengths_of_headers_of_few_folders_are_held() -> None:
    memory = SeriesMemory(most_series=2)
    for folder in ("a", "b", "a", "c"):
        memory.note_length(f"{folder}/1", 2 * FIRST_RANGE)
    ranges = [memory.first_range(f"{folder}/2") for folder in ("a", "b", "c")]
    assert ranges == [2.5 * FIRST_RANGE, FIRST_RANGE, 2.5 * FIRST_RANGE]


def test_rows_share_what_repeats_and_do_not_change_any_more() -> None:
    memory = Memory()
    first, second, third = (decoded(make_slice(number), memory).row for number in range(3))
    kept = deepcopy(second)
    decoded(make_slice(9, element(0x60000010, "US", b"\1\0"), element(0x00091001, "LO", b"x ")), memory)
    assert second == kept
    assert second["ProcedureCodeSequence"] is third["ProcedureCodeSequence"]
    assert first["ProcedureCodeSequence"] == second["ProcedureCodeSequence"]


@pytest.mark.parametrize(
    ("dependent", "value", "owner"),
    [
        (
            element(DESCRIPTION, "LO", b"\xc3\xa9"),
            "SeriesDescription",
            (0x00080005, "CS", [b"ISO_IR 192", b"ISO_IR 100"]),
        ),
        (element(0x0008002A, "DT", b"2026"), "AcquisitionDateTime", (0x00080201, "SH", [b"+0100 ", b"-0100 "])),
    ],
)
def test_same_bytes_in_another_context_have_another_value(
    dependent: bytes, value: str, owner: tuple[int, str, list[bytes]]
) -> None:
    memory = Memory()
    tag, vr, stated = owner
    for data in [make_slice(number, dependent, element(tag, vr, stated[number % 2])) for number in range(6)]:
        assert decoded(data, memory) == decoded(data)
    values = [decoded(make_slice(1, dependent, element(tag, vr, each)), memory).row[value] for each in stated]
    assert values[0] != values[1]


def test_same_private_element_of_another_owner_has_another_value() -> None:
    memory = Memory()
    rows = []
    for owner in [b"SIEMENS MR HEADER "] * 3 + [b"ACME"] * 2:
        private = element(0x00190010, None, owner), element(0x0019100C, None, b"1000")
        data = make_file(*private, element(0x00280010, None, b"\1\0"), syntax=IMPLICIT)
        rows.append(decoded(data, memory).row)
        assert rows[-1] == decoded(data).row
    assert [len(row["OtherElements"]) for row in rows] == [2, 2, 2, 1, 1]


def test_memory_is_bounded_by_series_and_by_bytes() -> None:
    memory = SeriesMemory(most_series=3, most_bytes=5000)
    for number in range(20):
        text = element(DESCRIPTION, "LO", b"%04d" % number)
        series = element(0x0020000E, "UI", b"1.2.%04d" % number)
        scanned(make_file(text).replace(element(0x0020000E, "UI", b"1.2.3.4\0"), series), memory)
        assert len(memory._series) == min(number + 1, 3)
    scanned(make_slice(1, element(0x00204000, "LT", b"x" * 6000)), memory)
    assert memory._bytes == sum(each.size for each in memory._series.values()) <= 5000


def test_threads_may_share_a_memory() -> None:
    memory = Memory()
    slices = [make_slice(number, element(DESCRIPTION, "LO", b"%02d" % (number // 5 % 4))) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda data: decoded(data, memory), slices)) == [decoded(data) for data in slices]


def test_header_that_is_not_by_the_book_is_left_to_pydicom() -> None:
    for data in (make_file(syntax=BIG_ENDIAN), make_slice(1)[132:], make_slice(1) + bytes(8)):
        with pytest.raises(Unusual):
            scanned(data, SeriesMemory())

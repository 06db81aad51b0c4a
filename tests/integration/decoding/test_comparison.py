"""The fast way to a row gives what pydicom's way gives, of every header: the row, its UIDs and size, or the same error.

`DICOM_EXPORT_COMPARED=10000` compares so many synthetic and so many damaged files; without it 200 of each are.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from random import Random

import pytest
from pydicom.data.data_manager import DATA_ROOT
from pydicom.valuerep import STANDARD_VR

from dicom_export.decoding import instance
from dicom_export.decoding.decoded import Skipped
from dicom_export.decoding.fast.memory import Memory
from dicom_export.decoding.instance import decode_instance
from dicom_export.dicom.tags import UIDS
from dicom_export.rows.layout import TABLE_SCHEMAS, RowLayout, SchemaKind
from support.agreement import assert_same
from support.dicom_files import EXPLICIT, PREAMBLE, MemoryStore, element, make_file, make_stored, sequence
from support.synthetic import damaged, make_series

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
COMPARED = int(os.environ.get("DICOM_EXPORT_COMPARED", "200"))
PARTS = 10
SMALL = 100_000


def real_files() -> list[Path]:
    """Return pydicom's own files, and the corpus where it is there."""
    found = [path for folder in (Path(DATA_ROOT), CORPUS) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in found if path.suffix not in {".py", ".pyc"}]


def make_part_10(*elements: bytes) -> bytes:
    """Return a file of these elements only: no UIDs of its own."""
    return PREAMBLE + element(0x00020010, "UI", EXPLICIT.encode() + b"\0") + b"".join(elements)


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
@pytest.mark.parametrize("part", range(PARTS))
def test_real_files_have_the_rows_that_pydicom_gives_them(part: int, kind: SchemaKind) -> None:
    memory = Memory()
    for path in real_files()[part::PARTS]:
        data = path.read_bytes()
        for _ in range(3):  # as the first of its series, as the second, and when all of it is repeated
            assert_same(data, kind, memory)


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
@pytest.mark.parametrize("part", range(PARTS))
def test_synthetic_series_have_the_rows_that_pydicom_gives_them(part: int, kind: SchemaKind) -> None:
    memory = Memory()
    rows = 0
    for number in range(part, COMPARED // 4, PARTS):
        for data in make_series(Random(number), 4):
            rows += isinstance(assert_same(data, kind, memory)[0], str)
    assert rows


@pytest.mark.parametrize("tag", UIDS)
@pytest.mark.parametrize("value", [None, b"", b"\0\0", b"  "])
@pytest.mark.parametrize("behind", [b"", element(0x00200013, "IS", b"1 "), element(0x7FE00010, "OW", bytes(8))])
def test_what_lacks_a_uid_fails_as_it_does_by_pydicom_but_is_not_read_by_it(
    tag: int, value: bytes | None, behind: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {**dict.fromkeys(UIDS, b"1.2\0"), tag: value}
    uids = [element(uid, "UI", each) for uid, each in sorted(values.items()) if each is not None]
    data = make_part_10(*uids, behind)
    memory = Memory()
    for _ in range(3):
        error, *_ = assert_same(data, SchemaKind.FLATTENED, memory)
    monkeypatch.delattr(instance, "explained")
    with pytest.raises(error):
        decode_instance(MemoryStore({"a": data}), make_stored("a", data), RowLayout(SchemaKind.FLATTENED))


def test_what_lacks_a_uid_and_has_a_character_set_that_cannot_be_looked_up_fails_of_the_uid() -> None:
    character_set = element(0x00080005, "CS", b"x\0y ")
    for unknown in (character_set, sequence(0x00081140, character_set)):
        data = make_part_10(unknown, element(0x00200013, "IS", b"1 "))
        for kind in TABLE_SCHEMAS:
            assert "Missing StudyInstanceUID" in assert_same(data, kind, Memory())[1]


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
@pytest.mark.parametrize("vr", sorted(map(str, STANDARD_VR)))
def test_pixels_of_any_vr_are_left_out(vr: str, kind: SchemaKind) -> None:
    """Found by `soak.fuzz`: the VR of Pixel Data was one of text."""
    outcome = assert_same(make_file(element(0x7FE00010, vr, b"01" * 4)), kind, Memory())
    assert "7FE00010" not in outcome[0]


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
@pytest.mark.parametrize("vr", ["SV", "UV"])
def test_a_short_length_of_a_vr_with_a_long_one_is_not_taken_for_what_follows_it(vr: str, kind: SchemaKind) -> None:
    """The value begins with what could be a long length, after which an element seems to follow. Found by `soak.fuzz`."""
    value = struct.pack("<L", 4) + b"abcd" + element(0x00080060, "CS", b"CT  ")
    short = struct.pack("<HH2sH", 0x0008, 0x0055, vr.encode(), len(value)) + value
    assert "Modality" not in assert_same(make_file(short), kind, Memory())[0]


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_files_have_the_rows_or_errors_that_pydicom_gives_them(part: int, kind: SchemaKind) -> None:
    """Each of them behind the whole file, which is then in the memory of its series."""
    files = [path for path in real_files() if 200 < path.stat().st_size < SMALL]
    outcomes = set()
    for number in range(part, COMPARED // 5, PARTS):
        random = Random(number)
        whole = random.choice(files).read_bytes() if number % 3 else random.choice(make_series(random, 3))
        memory = Memory()
        for data in [whole, whole, *(damaged(random, whole) for _ in range(5))]:
            same = assert_same(data, kind, memory)
            outcomes.add(Skipped if isinstance(same, Skipped) else type(same[0]))
    assert len(outcomes) > 1

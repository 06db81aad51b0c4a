"""Filter files as they come: in chunks, compressed, with byte order marks, from BigQuery, from spreadsheets, and wrong ones."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.errors import InvalidArgument
from dicom_export.protocol import filter_files
from dicom_export.protocol.filter_files import lines

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = "/studies/1.2\n\n/studies/Größe\n"
COMPRESSED = gzip.compress(TEXT.encode(), mtime=0)
EXPECTED = ["/studies/1.2\n", "\n", "/studies/Größe\n"]


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@given(size=st.integers(1, 100), level=st.integers(0, 9), members=st.integers(0, 3))
def test_lines_are_whole_wherever_the_chunks_are_cut_compressed_or_not(size: int, level: int, members: int) -> None:
    data = TEXT.encode() if not members else b"".join(gzip.compress(TEXT.encode(), level) for _ in range(members))
    assert list(lines(cut(data, size))) == EXPECTED * max(1, members)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_marks_encodings_and_line_ends_of_other_systems_are_read(
    encoding: str, end: str, *, is_compressed: bool
) -> None:
    data = TEXT.replace("\n", end).encode(encoding)
    assert list(lines([gzip.compress(data) if is_compressed else data])) == EXPECTED


def test_an_empty_file_has_no_line() -> None:
    assert list(lines([])) == list(lines([b""])) == list(lines([gzip.compress(b"")])) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"/studies/1.2\n\xff\xfe\n", "The filter is not text in UTF-8 or UTF-16"),
        ("/studies/1.2".encode("utf-16")[:-1], "not text"),
        (COMPRESSED[:-9], "damaged or cut short"),
        (COMPRESSED[:12], "damaged or cut short"),
        (COMPRESSED[:20] + b"\0\1\2" * 9, "damaged or cut short"),
        (COMPRESSED + b"rest", "damaged or cut short"),
        (b"\x1f\x8b", "damaged or cut short"),
        (b"\x1f\x8b\x08\0rest of a file that only begins like gzip", "damaged or cut short"),
    ],
    ids=range(8),
)
def test_a_file_that_is_no_text_or_is_damaged_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        list(lines([data]))


def bomb(unit: bytes, megabytes: int) -> Iterator[bytes]:
    """Yield a gzip file of so many megabytes, as it is made."""
    compressor = zlib.compressobj(9, wbits=31)
    for _ in range(megabytes):
        yield compressor.compress(unit * ((1 << 20) // len(unit)))
    yield compressor.flush()


@pytest.mark.parametrize(
    ("unit", "reason"), [(b"\n", "has more than 200000 characters"), (b"x", "A line of the filter is longer than")]
)
def test_a_small_file_that_inflates_without_end_is_refused_in_bounded_memory(unit: bytes, reason: str) -> None:
    compressed = list(bomb(unit, 64))
    assert sum(map(len, compressed)) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(InvalidArgument, match=reason):
            for _ in lines(compressed, longest_file=200_000):
                pass
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_the_longest_line_that_three_uids_can_make_is_read() -> None:
    line = "/studies/" + "%20" * 65534 + "/series/" + "%20" * 65534 + "/instances/" + "%20" * 65534
    assert len(line) < filter_files.LONGEST_LINE
    assert list(lines([line.encode()])) == [line]


def test_an_error_says_which_file_it_is_about() -> None:
    with pytest.raises(InvalidArgument, match=r"^The filter b-1\.csv is not text"):
        list(lines([b"\xff\xff"], "the filter b-1.csv"))

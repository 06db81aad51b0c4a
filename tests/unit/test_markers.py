"""The search finds a marker in each form, and nothing where there is none."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from support.markers import SIGN, found_below, found_in, marker

if TYPE_CHECKING:
    from pathlib import Path

TEXT = marker("here")


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.lower().encode(),
        TEXT[7:].encode(),
        TEXT.title().encode(),
        f"a{TEXT}".encode("utf-16-le"),
        TEXT.encode("utf-16"),
        TEXT.encode().hex().encode(),
        TEXT.encode().hex().upper().encode(),
        *(b64encode(b"x" * before + TEXT.encode()) for before in range(4)),
        *(b64encode(b"x" * before + TEXT.encode("utf-16-le")) for before in range(4)),
        b64encode(TEXT.lower().encode()),
        json.dumps("é" + TEXT).encode(),
        gzip.compress(TEXT.encode(), mtime=0),
        f"({int.from_bytes(SIGN[2:4].encode(), 'little'):04X},{int.from_bytes(SIGN[4:6].encode(), 'little'):04X})".encode(),
        f"{int.from_bytes(SIGN[3:7].encode(), 'little'):,} bytes".encode(),
        str(int.from_bytes(SIGN[3:7].encode(), "big")).encode(),
    ],
)
def test_a_marker_is_found_in_each_form(content: bytes) -> None:
    assert found_in(b"before " + content if content[:2] != b"\x1f\x8b" else content)


def test_nothing_is_found_where_no_marker_is() -> None:
    assert found_in(b"PatientName (0010,0010) 1,234 bytes" + bytes(range(256)) * 100) == []


def test_names_and_contents_of_files_are_searched_but_for_ignored_ones(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / TEXT).write_text("")
    (tmp_path / "b").write_text(TEXT)
    assert len(found_below(tmp_path)) == 2
    assert found_below(tmp_path, [tmp_path / "a", tmp_path / "b"]) == []

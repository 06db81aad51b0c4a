"""The worked example of docs/explanation/decoding.md is what happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dicom_export.decoding.fast.memory import Memory
from dicom_export.decoding.fast.runs import Run
from dicom_export.decoding.instance import decode_instance
from dicom_export.rows.layout import RowLayout, SchemaKind
from support.dicom_files import EXPLICIT, PREAMBLE, MemoryStore, element, make_stored

if TYPE_CHECKING:
    from dicom_export.decoding.fast.runs import Whole

PAGE = (Path(__file__).parents[3] / "docs" / "explanation" / "decoding.md").read_text()
SERIES = b"\x20\x00\x0e\x00UI\x08\x001.2.3.4 "


def make_header(number: int) -> bytes:
    return PREAMBLE + b"".join(
        (
            element(0x00020010, "UI", EXPLICIT.encode() + b"\0"),
            element(0x00080018, "UI", b"1.2.3.4.%d\0" % number),
            element(0x00080060, "CS", b"CT"),
            element(0x00180050, "DS", b"5 "),
            element(0x0020000D, "UI", b"1.2.3 "),
            element(0x0020000E, "UI", b"1.2.3.4 "),
            element(0x00200013, "IS", b"%d " % number),
        )
    )


def shown(part: Run | Whole) -> str:
    if not isinstance(part, Run):
        return f"all of {len(part[0])} bytes, {counted(len(part[1]))}"
    tags = [f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in dict.fromkeys((part.first, part.last))]
    return f"a run of {len(part.content)} bytes, {counted(len(part.elements))}: {' to '.join(tags)}"


def counted(elements: int) -> str:
    return f"{elements} element{'s' * (elements > 1)}"


def remembered(memory: Memory) -> str:
    """Return the values of the memory, by VR and in the order in which they were met."""
    vrs = sorted({vr for known in memory.values for vr, values in known.items() if values})
    found = [(vr, value) for vr in vrs for known in memory.values for value in known.get(vr, ())]
    return ", ".join(f"{vr} '{value.decode()}'" for vr, value in found)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Return a memory that other tests of this process have put nothing into."""
    for known in Memory.values:
        for values in known.values():
            values.clear()
    monkeypatch.setattr(Memory.sequences, "_elements", {})
    return Memory()


def test_the_memory_is_what_the_page_shows_after_each_instance(memory: Memory) -> None:
    for number in (1, 2, 3):
        data = make_header(number)
        decoded = decode_instance(
            MemoryStore({"a": data}), make_stored("a", data), RowLayout(SchemaKind.FLATTENED), memory
        )
        assert getattr(decoded, "row", {})["SliceThickness"] == "5"
        held = memory.series.recall(SERIES)
        assert held
        (meta,), (elements,) = held.meta, held.elements
        values = remembered(memory).removesuffix(", IS '3 '")  # the page ends with the second instance
        assert f"```\nmeta      {shown(meta)}\nelements  {shown(elements)}\nvalues    {values}\n```" in PAGE
    assert memory.sequences._elements == {}

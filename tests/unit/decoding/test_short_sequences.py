"""A short sequence that was met before is taken over, and only where it means the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydicom.dataset import Dataset

from dicom_export.decoding.decoded import DecodedInstance, Explanation
from dicom_export.decoding.explain import explain_instance
from dicom_export.decoding.fast.kinds import EXPLICIT, IMPLICIT, RUN
from dicom_export.decoding.fast.scan import DataSetScan, Scanner
from dicom_export.decoding.fast.short_sequences import ShortSequences
from dicom_export.decoding.instance import decode_instance
from dicom_export.rows.layout import TABLE_SCHEMAS, RowLayout, SchemaKind
from support.dicom_files import EXPLICIT as EXPLICIT_SYNTAX
from support.dicom_files import IMPLICIT as IMPLICIT_SYNTAX
from support.dicom_files import MemoryStore, make_instance, make_stored

if TYPE_CHECKING:
    from dicom_export.decoding.fast.runs import Element

CONTENT = bytes.fromhex("08001011 5351 0000 00000000")
ELEMENT: Element = EXPLICIT[CONTENT[:6]][0], [], len(CONTENT)


def make_code(meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-D1100", "SRT", meaning
    return code


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
def test_equal_bytes_have_the_meaning_of_their_own_header(kind: SchemaKind) -> None:
    """Character set and encoding differ while the sequence's bytes are the same, and both ways agree each time."""
    meaning = "Sch\xe4del"
    layout = RowLayout(kind)
    for _ in range(3):
        for character_set in ("ISO_IR 100", "ISO_IR 101", "ISO_IR 144"):
            for syntax in (EXPLICIT_SYNTAX, IMPLICIT_SYNTAX):
                data = make_instance(
                    syntax=syntax, SpecificCharacterSet="ISO_IR 100", AnatomicRegionSequence=[make_code(meaning)]
                ).replace(b"ISO_IR 100", character_set.encode())
                store, stored = MemoryStore({"a": data}), make_stored("a", data)
                decoded, explained = decode_instance(store, stored, layout), explain_instance(store, stored, layout)
                assert isinstance(decoded, DecodedInstance)
                assert isinstance(explained, Explanation)
                assert decoded.row == explained.row
                assert decoded.header_bytes == explained.header_bytes


def test_sequence_that_was_met_is_not_parsed_again() -> None:
    """The second time it is a run, which keeps what becomes of it; the third time it is the same run."""
    entries = []
    for _ in range(3):
        found = DataSetScan(0, EXPLICIT)
        Scanner(CONTENT).scan(found, len(CONTENT))
        entries += found.entries
    assert entries[1][0] is RUN
    assert entries[1][1] is entries[2][1]


def test_sequence_is_recalled_in_its_own_encoding_and_depth() -> None:
    """Bytes that are explicit VR are something else in implicit VR, and only so many levels are scanned."""
    sequences = ShortSequences()
    sequences.keep(EXPLICIT, 1, CONTENT, ELEMENT)
    assert sequences.recall(IMPLICIT, 1, CONTENT) is None
    assert sequences.recall(EXPLICIT, 2, CONTENT) is None
    assert sequences.recall(EXPLICIT, 1, CONTENT) is not None


def test_no_more_sequences_are_held_than_allowed() -> None:
    """When it is full it starts afresh."""
    sequences = ShortSequences(most=2)
    for depth in range(3):
        sequences.keep(EXPLICIT, depth, CONTENT, ELEMENT)
    held = [sequences.recall(EXPLICIT, depth, CONTENT) is not None for depth in range(3)]
    assert held == [False, False, True]

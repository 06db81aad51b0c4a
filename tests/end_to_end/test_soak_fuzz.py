"""A little of `make soak`: the decoders agree on mutations of headers, and no trap takes more than its budget."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dicom_export.errors import InstanceError
from dicom_export.rows.layout import TABLE_SCHEMAS, SchemaKind
from soak.fuzz import fuzz, fuzz_large
from soak.headers import traps
from support.dicom_files import decode_bytes


def test_decoders_agree_on_mutated_headers() -> None:
    fuzzed = fuzz(6_000, seed=20_261_129)
    assert fuzzed.wrong == 0
    assert fuzzed.rows > 500


def test_decoders_agree_on_large_sequences_that_are_kept_and_left_out() -> None:
    fuzzed = fuzz_large(1_000, seed=1)
    assert fuzzed.wrong == 0
    assert 20 < fuzzed.left_out < fuzzed.rows - 20


@pytest.mark.parametrize("trap", traps())
def test_trap_takes_less_than_300_mib_and_10_seconds(trap: str) -> None:
    """In a process of its own, whose peak is then that of the trap."""
    script = f"import soak.trapped; soak.trapped.main({trap!r})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    mebibytes, seconds = done.stdout.split()
    assert int(mebibytes) < 300
    assert float(seconds) < 10  # what grew with the square of the length took up to 28 s


@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
def test_every_small_trap_is_a_row_or_an_error(kind: SchemaKind) -> None:
    for make in traps(small=True).values():
        data = make()
        try:
            assert decode_bytes(data, kind).row
        except InstanceError as error:
            assert error.message  # noqa: PT017 - some are refused

"""Both decoders against each other, on inputs that a mutation makes: no crash, no difference, no hang, bounded memory.

    python -m soak.fuzz [--inputs N] [--seed N] [--guided | --large]

`--large` has sequences of many items, in the JSON schema only, and bounds so low that they are large ones: most are kept, some are left out.
Without `--guided` the inputs are mutations of synthetic, real and hand-made headers; with it, libFuzzer looks for new paths, which takes
the package atheris (`.venv/bin/uv pip install atheris`).
Prints one line of figures, and each input that is wrong as a file in the working directory.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import patch

from dicom_export.decoding import budget
from dicom_export.decoding.budget import DEFAULT_LIMITS, Limits
from dicom_export.decoding.explain import explain_instance
from dicom_export.decoding.fast import dicom_json as fast_json
from dicom_export.decoding.fast.memory import Memory
from dicom_export.decoding.instance import decode_instance
from dicom_export.decoding.reference import dicom_json as reference_json
from dicom_export.rows.layout import RowLayout, SchemaKind
from soak.headers import large_seeds, seeds
from support.agreement import outcome
from support.dicom_files import MemoryStore, make_stored
from support.memory import peak_bytes
from support.synthetic import damaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HANG_SECONDS = 2.0
MOST_MEGABYTES = 300
_SMALL = 6_000
_LEFT_OUT = re.compile(r"'DroppedTags': \[[^]]*Sequence'")
_KINDS = (SchemaKind.FLATTENED, SchemaKind.JSON)
_LARGE_SEQUENCE, _LARGE_ROW = 600, 6_000
"""Bytes of a large sequence, and of the largest row, as `--large` has them."""

_LOW_LIMITS = Limits(elements=400, header_bytes=2_500)


class Fuzzed:
    """What came of the inputs so far."""

    def __init__(self, kinds: Sequence[SchemaKind] = _KINDS, limits: Limits = DEFAULT_LIMITS) -> None:
        self._kinds = kinds
        self._limits = limits
        self.inputs = 0
        self.rows = 0
        self.left_out = 0
        self.wrong = 0
        self.slowest = 0.0
        self._memory = Memory()
        self._began = time.monotonic()

    def take(self, data: bytes) -> None:
        """Decode an input both ways, in one schema, and note what is wrong with it."""
        self.inputs += 1
        began = time.process_time()
        layout = RowLayout(self._kinds[self.inputs % len(self._kinds)])
        store, stored = MemoryStore({"a": data}), make_stored("a", data)
        try:
            fast = outcome(lambda: decode_instance(store, stored, layout, self._memory, self._limits))
            complete = outcome(lambda: explain_instance(store, stored, layout, self._limits))
        except Exception as error:  # noqa: BLE001 - whatever a decoder lets escape is a defect that is reported
            self._report(data, f"{type(error).__name__} escapes")
            return
        if isinstance(fast, tuple) and isinstance(fast[0], str):
            self.rows += 1
            self.left_out += bool(_LEFT_OUT.search(fast[0]))
        seconds = time.process_time() - began
        self.slowest = max(self.slowest, seconds)
        if fast != complete:
            self._report(data, "the decoders differ")
        elif seconds > HANG_SECONDS:
            self._report(data, f"{seconds:.1f} s")

    def line(self) -> str:
        """Return the figures."""
        minutes = (time.monotonic() - self._began) / 60
        return (
            f"{self.inputs:,} inputs, {self.rows:,} of them rows, {self.left_out:,} without a sequence, {self.wrong} wrong, slowest {self.slowest:.2f} s,"
            f" peak {peak_bytes() >> 20} MiB, {minutes:.1f} min"
        )

    @property
    def is_right(self) -> bool:
        """Whether nothing was wrong, nothing took too long, and memory was bounded."""
        return not self.wrong and peak_bytes() < MOST_MEGABYTES << 20

    def _report(self, data: bytes, what: str) -> None:
        self.wrong += 1
        path = Path(f"fuzz-{hashlib.sha256(data).hexdigest()[:12]}.dcm")
        path.write_bytes(data)
        sys.stdout.write(f"{path}: {what}\n")


def mutated(random: Random, corpus: Sequence[bytes]) -> bytes:
    """Return a header that is damaged, or spliced from two."""
    data = random.choice(corpus)
    if random.random() < 0.2:
        other = random.choice(corpus)
        cut = random.randrange(132, max(133, min(len(data), len(other))))
        data = data[:cut] + other[cut:]
    for _ in range(random.choice([1, 1, 2, 4])):
        data = damaged(random, data)
    return data


def fuzz(inputs: int, seed: int) -> Fuzzed:
    """Decode so many mutations of small headers."""
    random, corpus, fuzzed = Random(seed), [each for each in seeds() if len(each) < _SMALL], Fuzzed()
    for each in corpus:
        fuzzed.take(each)
    while fuzzed.inputs < inputs:
        fuzzed.take(mutated(random, corpus))
        if not fuzzed.inputs % 100_000:
            sys.stderr.write(f"{fuzzed.line()}\n")
    return fuzzed


def fuzz_large(inputs: int, seed: int) -> Fuzzed:
    """Decode so many mutations of headers with large sequences, in the JSON schema."""
    random, corpus, fuzzed = Random(seed), large_seeds(), Fuzzed((SchemaKind.JSON,), _LOW_LIMITS)
    with _low_bounds():
        for each in corpus:
            fuzzed.take(each)
        while fuzzed.inputs < inputs:
            fuzzed.take(mutated(random, corpus))
    return fuzzed


@contextmanager
def _low_bounds() -> Iterator[None]:
    """Have a few hundred bytes be a large sequence, and a few thousand a row that is too large: a mutation of megabytes takes too long."""
    with ExitStack() as stack:
        for module, name, value in (
            (budget, "_LARGE_BYTES", _LARGE_SEQUENCE),
            (reference_json, "MAX_ROW_BYTES", _LARGE_ROW),
            (reference_json, "_METADATA_BYTES", _LARGE_ROW),
            (fast_json, "MAX_ROW_BYTES", _LARGE_ROW),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


def guided(inputs: int, seed: int) -> None:
    """Have libFuzzer look for inputs that take new paths; ends the process."""
    import tempfile  # noqa: PLC0415 - only the guided run needs these

    import atheris  # noqa: PLC0415

    fuzzed = Fuzzed()
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(seeds()):
            if len(data) < _SMALL:
                Path(folder, str(number)).write_bytes(data)

        def take(data: bytes) -> None:
            fuzzed.take(data)
            if fuzzed.inputs >= inputs:
                sys.stdout.write(f"guided: {fuzzed.line()}\n")
                sys.stdout.flush()
                os._exit(not fuzzed.is_right)  # libFuzzer takes an exception for a find

        atheris.instrument_all()
        atheris.Setup([sys.argv[0], folder, f"-seed={seed}", f"-max_len={_SMALL}", "-rss_limit_mb=0"], take)
        atheris.Fuzz()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=1)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--guided", action="store_true")
    way.add_argument("--large", action="store_true")
    arguments = parser.parse_args()
    if arguments.guided:
        guided(arguments.inputs, arguments.seed)
        return
    fuzzed = (fuzz_large if arguments.large else fuzz)(arguments.inputs, arguments.seed)
    sys.stdout.write(f"mutations: {fuzzed.line()}\n")
    sys.exit(not fuzzed.is_right)


if __name__ == "__main__":
    main()

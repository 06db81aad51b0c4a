"""Headers to start from: synthetic series, pydicom's small files, and traps that no mutation would find."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from pydicom.data.data_manager import DATA_ROOT

from support.dicom_files import DEFLATED, EXPLICIT, IMPLICIT, element, make_file, make_instance, sequence
from support.multiframe import Frames, multiframe
from support.synthetic import make_series

if TYPE_CHECKING:
    from collections.abc import Callable

_UNDEFINED = 0xFFFFFFFF


def item(content: bytes) -> bytes:
    """Return an item of defined length."""
    return element(0xFFFEE000, None, content)


@cache
def seeds() -> tuple[bytes, ...]:
    """Return the headers, each a whole file."""
    series = [data for number in range(40) for data in make_series(Random(number), 2)]
    real = [path.read_bytes() for path in sorted(Path(DATA_ROOT).rglob("*.dcm")) if 200 < path.stat().st_size < 20_000]
    syntaxes = [make_instance(PatientName="A^B", Rows=1, syntax=syntax) for syntax in (EXPLICIT, IMPLICIT, DEFLATED)]
    return (*series, *real, *syntaxes, *(make() for make in traps(small=True).values()))


@cache
def large_seeds() -> tuple[bytes, ...]:
    """Return headers of multi-frame instances: with and without lengths, explicit, implicit and deflated."""
    found = [
        multiframe(frames, number, kind=kind, syntax=syntax, is_delimited=is_delimited)
        for number, frames in enumerate((3, 8, 30))
        for kind in Frames
        for syntax in (EXPLICIT, IMPLICIT)
        for is_delimited in (True, False)
    ]
    texts = [element(0x00081030, "LO", b"x" * 100)] * 9
    several = [sequence(tag, *texts[:count]) for tag, count in ((0x00081032, 7), (0x00081110, 9), (0x00081140, 8))]
    return (*found, *(make_file(*several, syntax=syntax) for syntax in (EXPLICIT, DEFLATED)))


def traps(*, small: bool = False) -> dict[str, Callable[[], bytes]]:
    """Return objects that take much more memory or time than their size suggests, by what they try; small ones only look like them."""
    many = 20 if small else 1 << 19
    long = 200 if small else 1 << 20
    creator, words = element(0x00090010, "LO", b"A "), (1, 0x3F)[not small]
    uids = [0x00081140, 0x00082112, 0x00081115]
    return {
        "values of one byte": lambda: make_file(
            creator, *[element(0x00091000 + n, "UC", b"a\\" * (long // 2)) for n in range(words)]
        ),
        "values of one byte, deflated": lambda: make_file(
            creator, *[element(0x00091000 + n, "UC", b"\\" * long) for n in range(words)], syntax=DEFLATED
        ),
        "long values": lambda: make_file(creator, *[element(0x00091000 + n, "UT", b"x" * long) for n in range(words)]),
        "private creator of backslashes": lambda: make_file(
            element(0x00090010, None, b"\\" * long),
            *[element(0x00091000 + n, None, b"ab") for n in range(256)],
            syntax=IMPLICIT,
        ),
        "many deflated values": lambda: make_file(
            creator, *[element(0x00091000 + n, "LT", b"x" * min(long, 60_000)) for n in range(250)], syntax=DEFLATED
        ),
        "person names": lambda: make_file(element(0x00101001, None, b"a\\" * many), syntax=IMPLICIT),
        "unknown character sets": lambda: make_file(
            element(0x00080005, "UN", b"X123456\\" * (long // 10)), element(0x00100010, "PN", b"A\x1b$B^" * 20)
        ),
        "character sets of items": lambda: make_file(
            sequence(0x00081140, *[element(0x00080005, "CS", b"X%07d" % n) for n in range(20 if small else 20_000)])
        ),
        "escape sequences": lambda: make_file(
            element(0x00080005, "CS", b"\\ISO 2022 IR 87"), element(0x00100010, "UN", b"\x1b$B^" * (long // 5))
        ),
        "empty items": lambda: make_file(*[element(tag, "SQ", item(b"") * (long // 10)) for tag in uids]),
        "items without a length": lambda: make_file(sequence(0x00081140, *[b""] * (many // 2))),
        "nesting": lambda: make_file(
            (element(0x0040A730, "SQ", b"", length=_UNDEFINED) + element(0xFFFEE000, None, b"", length=_UNDEFINED))
            * (3 if small else 100_000)
        ),
        "private sequences": lambda: make_file(
            *[
                element(0x00111000 + n, "SQ", item(element(0x00080060, "CS", b"MR")))
                for n in range(5 if small else 10_000)
            ]
        ),
        "numbers in sequences": lambda: make_file(
            *[element(tag, "SQ", item(element(0x00280010, "UN", b"\1\2" * (long // 2 - 20)))) for tag in uids]
        ),
        "group length": lambda: b"".join(
            (bytes(128), b"DICM", element(0x00020000, "UL", struct.pack("<L", 0xFFFFFFFF)), make_file()[132:])
        ),
    }

"""Markers: texts that stand for a patient's data, and the search for them in whatever form they may have got out.

A marker is `SIGN`, what it stands for, and `SIGN` again, so that a part of one is found as well.
"""

from __future__ import annotations

import gzip
import os
import zlib
from base64 import b64encode
from contextlib import suppress
from itertools import product
from random import Random
from struct import pack, unpack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# The same in all processes of a test run, which have to collect the same tests.
SIGN = "".join(Random(os.environ.get("PYTEST_XDIST_TESTRUNUID", "")).choices("BCDFGHJKLMNPQRSTVWXZ", k=10))
"""Ten letters that are in nothing else."""

_CONTEXT = 80
_SPAN = 4  # bytes of a tag, or of a length


def marker(place: str) -> str:
    """Return the marker for a place, which is letters and digits."""
    return f"{SIGN}{place}{SIGN}"


def found_in(content: bytes) -> list[str]:
    """Return what is around each form of the sign in the content, or in what the content is when inflated."""
    leaks = []
    for data in (content, *_inflated(content)):
        lowered = data.lower()
        for name, needle, is_exact in _FORMS:
            position = (data if is_exact else lowered).find(needle)
            if position >= 0:
                around = data[max(0, position - _CONTEXT) : position + len(needle) + _CONTEXT]
                leaks.append(f"as {name}: {around!r}")
    return leaks


def found_below(folder: Path, ignored: Iterable[Path] = ()) -> list[str]:
    """Return where the sign is in the names and contents of all files below a folder, but for the ignored ones."""
    passed_over = {path.resolve() for path in ignored}
    leaks = []
    for path in sorted(folder.rglob("*")):
        if path.resolve() in passed_over or passed_over.intersection(path.resolve().parents):
            continue
        leaks += [
            f"name of {path}: {leak}" for leak in found_in(str(path.relative_to(folder)).encode("utf-8", "ignore"))
        ]
        if path.is_file():
            leaks += [f"{path}: {leak}" for leak in found_in(path.read_bytes())]
    return leaks


def _inflated(content: bytes) -> Iterator[bytes]:
    if content[:2] == b"\x1f\x8b":
        with suppress(OSError, EOFError, zlib.error):
            yield gzip.decompress(content)


def _forms() -> Iterator[tuple[str, bytes, bool]]:
    """Yield the name of each form, what it looks like, and whether upper and lower case differ in it."""
    encodings = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")
    for encoding in encodings:
        yield encoding, SIGN.lower().encode(encoding), False
        for text in (SIGN, SIGN.lower()):
            yield f"{encoding} in hex", text.encode(encoding).hex().encode(), False
    for encoding, text in product(encodings[:3], (SIGN, SIGN.lower())):
        for before in range(3):
            yield f"{encoding} in Base64", _base64_within(text.encode(encoding), before), True
    yield "spaced hex", SIGN.encode().hex(" ").encode(), False
    yield "escapes", "".join(rf"\u{ord(each):04x}" for each in SIGN).encode(), False
    yield "hex escapes", "".join(rf"\x{ord(each):02x}" for each in SIGN).encode(), False
    yield "a reversed text", SIGN[::-1].lower().encode(), False
    yield from _numbers(SIGN.encode())


def _base64_within(data: bytes, before: int) -> bytes:
    """Return the characters that stand for the data in Base64, whatever is around it, behind so many bytes."""
    first, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
    return b64encode(bytes(before) + data)[first:end]


def _numbers(data: bytes) -> Iterator[tuple[str, bytes, bool]]:
    """Yield what four bytes of the data are, where a parser that lost its way takes them for a tag or a length."""
    for start in range(len(data) - _SPAN + 1):
        part = data[start : start + _SPAN]
        for order in "<>":
            group, number = unpack(f"{order}HH", part)
            yield "a tag", f"{group:04x},{number:04x}".encode(), False
            (length,) = unpack(f"{order}L", part)
            yield "a length", f"{length:,}".encode(), False
            yield "a length", str(length).encode(), False
            assert pack(f"{order}L", length) == part


_FORMS = tuple(dict.fromkeys(_forms()))

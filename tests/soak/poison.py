"""Files that took much more memory, time or columns than their size suggests: the traps of `headers`, and some that are too large for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from soak.headers import traps
from support.dicom_files import element, make_file

if TYPE_CHECKING:
    from pathlib import Path

_UNDEFINED = 0xFFFFFFFF
_MEBIBYTE = 1 << 20
_MEBIBYTES = 3_000


def write_poison(folder: Path, copies: int = 2) -> dict[str, str]:
    """Write each file before what is named by digits, and further copies among that; return what they try by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    tried = {}
    files: dict[str, list[Part]] = {**{what: [make()] for what, make in traps().items()}, **_large()}
    for number, (what, parts) in enumerate(files.items()):
        names = [f"!{number:02}.dcm", *(f"{number * 50:06}-{copy}.dcm" for copy in range(1, copies))]
        for name in names:
            _write_sparse(folder / name, parts)
            tried[name] = what
    return tried


Part = bytes | int
"""Bytes as they are, or how many of zero, which take no room on the disk."""


def _large() -> dict[str, list[Part]]:
    # Elements ascend: these have tags above those of the UIDs.
    texts: list[Part] = []
    for number in range(_MEBIBYTES):
        texts += [element(0x00211000 + number, "UT", b"", length=_MEBIBYTE), _MEBIBYTE]
    nested = element(0x00400555, "SQ", b"", length=_UNDEFINED) + element(0xFFFEE000, None, b"", length=_UNDEFINED)
    ends = element(0xFFFEE00D, None, b"") + element(0xFFFEE0DD, None, b"")
    pixels = element(0x00420011, "OB", b"", length=_MEBIBYTES * _MEBIBYTE)
    return {
        "an OB of 3 GB in a sequence": [make_file(), nested, pixels, _MEBIBYTES * _MEBIBYTE, ends],
        "3,000 texts of 1 MiB": [make_file(), *texts],
    }


def _write_sparse(path: Path, parts: list[Part]) -> None:
    with path.open("wb") as file:
        for part in parts:
            if isinstance(part, bytes):
                file.write(part)
            else:
                file.seek(part, os.SEEK_CUR)
        file.truncate()  # zeros at the end count too

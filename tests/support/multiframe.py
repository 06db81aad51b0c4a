"""Synthetic headers of many frames: enhanced MR with the macros that scanners write, and whole-slide images.

Nothing in them is from a real person. No two frames, and no two instances, have all values in common.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import TYPE_CHECKING

from support.dicom_files import EXPLICIT, IMPLICIT, PREAMBLE, element

if TYPE_CHECKING:
    from pathlib import Path

_ROOT = "1.2.826.0.1.3680043.10.998"
_SOP_CLASSES = {"MR": "1.2.840.10008.5.1.4.1.1.4.1", "SM": "1.2.840.10008.5.1.4.1.1.77.1.6"}
_UNDEFINED = 0xFFFFFFFF
_COLUMNS = 128
PIXEL_BYTES = 512


class Frames(StrEnum):
    """The kinds of frames; the value is the modality."""

    MR = "MR"
    SLIDE = "SM"


class _Encoder:
    """Encodes elements in one transfer syntax, sequences with or without a length."""

    def __init__(self, *, is_implicit: bool, is_delimited: bool) -> None:
        self._is_implicit = is_implicit
        self._is_delimited = is_delimited

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        return element(tag, None if self._is_implicit else vr, value)

    def text(self, tag: int, vr: str, text: str) -> bytes:
        value = text.encode()
        return self.element(tag, vr, value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2))

    def sequence(self, tag: int, *items: bytes) -> bytes:
        value = b"".join(map(self._item, items))
        if not self._is_delimited:
            return self.element(tag, "SQ", value)
        ended = value + element(0xFFFEE0DD, None, b"")
        return element(tag, None if self._is_implicit else "SQ", ended, length=_UNDEFINED)

    def _item(self, content: bytes) -> bytes:
        if not self._is_delimited:
            return element(0xFFFEE000, None, content)
        return element(0xFFFEE000, None, content + element(0xFFFEE00D, None, b""), length=_UNDEFINED)


def multiframe(
    frames: int, number: int = 0, *, kind: Frames = Frames.MR, syntax: str = EXPLICIT, is_delimited: bool = True
) -> bytes:
    """Return the file of an instance with so many frames; `number` tells it from others of its kind."""
    encoder = _Encoder(is_implicit=syntax == IMPLICIT, is_delimited=is_delimited)
    per_frame = {Frames.MR: _mr_frame, Frames.SLIDE: _slide_frame}[kind]
    sop_class = _SOP_CLASSES[kind.value]
    meta = b"".join(
        element(tag, "UI", text.encode() + b"\0" * (len(text) % 2))
        for tag, text in ((0x00020002, sop_class), (0x00020003, f"{_ROOT}.3.{number}"), (0x00020010, syntax))
    )
    texts = (
        (0x00080005, "CS", "ISO_IR 192"),
        (0x00080016, "UI", sop_class),
        (0x00080018, "UI", f"{_ROOT}.3.{number}"),
        (0x00080060, "CS", kind.value),
        (0x0020000D, "UI", f"{_ROOT}.1.{number}"),
        (0x0020000E, "UI", f"{_ROOT}.2.{number}"),
        (0x00280008, "IS", str(frames)),
    )
    shared = encoder.sequence(0x00189112, encoder.text(0x00180080, "DS", "2500"))
    body = b"".join(encoder.text(*text) for text in texts)
    body += encoder.sequence(0x52009229, shared)
    body += encoder.sequence(0x52009230, *(per_frame(encoder, number, frame) for frame in range(frames)))
    return PREAMBLE + meta + body + encoder.element(0x7FE00010, "OW", bytes(PIXEL_BYTES))


def write_multiframe(folder: Path, instances: int, frames: int, kind: Frames = Frames.MR) -> None:
    """Write so many instances of so many frames, each a study of its own, below the folder."""
    for number in range(instances):
        path = folder / f"{_ROOT}.1.{number}" / f"{_ROOT}.2.{number}" / f"{_ROOT}.3.{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(multiframe(frames, number, kind=kind))


def _mr_frame(encoder: _Encoder, number: int, frame: int) -> bytes:
    """Return one item of the per-frame functional groups of an enhanced MR (PS3.3 §A.36.2)."""
    e, height = encoder, -100 + 0.125 * frame + number / 1000
    time = f"2026010203{frame // 60 % 60:02d}{frame % 60:02d}.{number % 1000:03d}"
    content = e.text(0x00189074, "DT", time) + e.text(0x00189151, "DT", time)
    content += e.element(0x00189220, "FD", struct.pack("<d", 16.5)) + e.text(0x00209056, "SH", "1")
    content += e.element(0x00209057, "UL", struct.pack("<L", frame + 1))
    content += e.element(0x00209156, "US", struct.pack("<H", 1))
    content += e.element(0x00209157, "UL", struct.pack("<LL", 1, frame + 1))
    kind = e.text(0x00089007, "CS", "ORIGINAL\\PRIMARY\\FMRI\\NONE") + e.text(0x00089205, "CS", "MONOCHROME")
    kind += e.text(0x00089206, "CS", "VOLUME") + e.text(0x00089207, "CS", "NONE")
    return b"".join(
        (
            e.sequence(0x00189114, e.element(0x00189082, "FD", struct.pack("<d", 30.25))),
            e.sequence(0x00189226, kind),
            e.sequence(0x00209111, content),
            e.sequence(0x00209113, e.text(0x00200032, "DS", f"-125\\-125\\{height:.4f}")),
            e.sequence(0x00209116, e.text(0x00200037, "DS", "1\\0\\0\\0\\1\\0")),
            e.sequence(0x00289110, e.text(0x00180050, "DS", "1.25") + e.text(0x00280030, "DS", "0.488281\\0.488281")),
            e.sequence(0x00289132, e.text(0x00281050, "DS", str(400 + frame % 97)) + e.text(0x00281051, "DS", "800")),
            e.sequence(
                0x00289145,
                e.text(0x00281052, "DS", "0") + e.text(0x00281053, "DS", "1.5") + e.text(0x00281054, "LO", "US"),
            ),
        )
    )


def _slide_frame(encoder: _Encoder, number: int, frame: int) -> bytes:
    """Return one item of the per-frame functional groups of a whole-slide image (PS3.3 §A.32.8)."""
    e, (row, column) = encoder, divmod(frame, _COLUMNS)
    content = e.element(0x00209157, "UL", struct.pack("<LL", column + 1, row + 1))
    position = e.text(0x0040072A, "DS", f"{20 - row / 8:.3f}") + e.text(0x0040073A, "DS", f"{column / 8 + number:.3f}")
    position += e.text(0x0040074A, "DS", "0")
    position += e.element(0x0048021E, "SL", struct.pack("<l", column * 256 + 1))
    position += e.element(0x0048021F, "SL", struct.pack("<l", row * 256 + 1))
    return e.sequence(0x00209111, content) + e.sequence(0x0048021A, position)

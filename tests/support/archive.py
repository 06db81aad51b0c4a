"""Synthetic archives: studies of CT, MR, enhanced MR and SR, of any size, always the same for the same numbers.

Nothing in them is from a real person. What the instances of a series share is encoded once, so that a million instances take
seconds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from support.dicom_files import EXPLICIT, PREAMBLE, element, sequence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROOT = "1.2.826.0.1.3680043.10.999"
_SOP_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "enhanced MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "SR": "1.2.840.10008.5.1.4.1.1.88.33",
}
_REGIONS = ("HEAD", "CHEST", "ABDOMEN", "KNEE")
_MAKERS = ("Example Medical", "Sample Imaging Systems", "Test Devices")
_PRIVATE_BYTES = 6000
_FINDINGS = 40
_SERIES_HELD = 64

Parts = dict[int, bytes]
"""Elements as they are encoded, by tag."""


class Kind(StrEnum):
    """The kinds of series."""

    CT = "CT"
    MR = "MR"
    ENHANCED_MR = "enhanced MR"
    SR = "SR"


@dataclass(frozen=True)
class Archive:
    """So many studies of so many series of so many instances. Series take turns in the kinds; `frames` are those of an enhanced MR."""

    studies: int = 10
    series: int = 2
    instances: int = 50
    kinds: tuple[Kind, ...] = (Kind.CT, Kind.CT, Kind.MR)
    frames: int = 100
    pixel_bytes: int = 512

    def __len__(self) -> int:
        return self.studies * self.series * self.instances

    def name(self, number: int) -> str:
        """Return the name of an instance's object: `STUDY/SERIES/INSTANCE.dcm`."""
        study, series, instance = self._place(number)
        return f"{_uid(study)}/{_uid(study, series)}/{_uid(study, series, instance)}.dcm"

    def data(self, number: int) -> bytes:
        """Return an instance's file."""
        study, series, instance = self._place(number)
        kind = self.kinds[(study * self.series + series) % len(self.kinds)]
        shared = _shared(kind, study, series, self.frames, self.pixel_bytes)
        own = _of_instance(kind, _uid(study, series, instance), instance)
        return b"".join(own.get(part, b"") if isinstance(part, int) else part for part in shared)

    def write(self, folder: Path) -> None:
        """Write all instances below a folder."""
        for number in range(len(self)):
            path = folder / self.name(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.data(number))

    def _place(self, number: int) -> tuple[int, int, int]:
        rest, instance = divmod(number, self.instances)
        return *divmod(rest, self.series), instance


def _uid(*numbers: int) -> str:
    """Return a UID of a fixed length for each level."""
    return ".".join((_ROOT, *(str(1_000_000 + number) for number in numbers)))


@lru_cache(_SERIES_HELD)
def _shared(kind: Kind, study: int, series: int, frames: int, pixel_bytes: int) -> list[bytes | int]:
    """Return a file of the series: bytes that its instances share, and the tags of elements that each has for itself."""
    parts: dict[int, bytes | None] = dict.fromkeys(_of_instance(kind, _uid(study, series, 0), 0))
    parts |= _of_study(study) | _of_series(kind, study, series, frames)
    if kind is not Kind.SR:
        parts[0x7FE00010] = element(0x7FE00010, "OW", bytes(pixel_bytes))
    found: list[bytes | int] = []
    together = PREAMBLE
    for tag, data in sorted(parts.items()):
        if data is None:
            found += [together, tag]
            together = b""
        else:
            together += data
    return [*found, together]


def _of_instance(kind: Kind, uid: str, number: int) -> Parts:
    """Return the elements that each instance has for itself."""
    parts = [
        _text(0x00020003, "UI", uid),
        _text(0x00080013, "TM", f"10{number % 60:02d}{number % 59:02d}.250000"),
        _text(0x00080018, "UI", uid),
        _text(0x00200013, "IS", str(number + 1)),
    ]
    if kind in (Kind.CT, Kind.MR):
        height = f"{-100 + 1.25 * number:.4f}"
        parts += [
            _text(0x00080033, "TM", f"10{number % 60:02d}{number % 58:02d}.500000"),
            _text(0x00200032, "DS", f"-125.0000\\-125.0000\\{height}"),
            _text(0x00201041, "DS", height),
        ]
    return dict(parts)


def _of_study(study: int) -> Parts:
    date = f"20{10 + study % 16:02d}{1 + study % 12:02d}{1 + study % 28:02d}"
    return dict(
        (
            _text(0x00020010, "UI", EXPLICIT),
            _text(0x00080005, "CS", "ISO_IR 192"),
            _text(0x00080020, "DA", date),
            _text(0x00080030, "TM", f"{8 + study % 10:02d}{study % 60:02d}00"),
            _text(0x00080050, "SH", f"A{study:08d}"),
            _text(0x00080090, "PN", "Referring^Example"),
            _text(0x00081030, "LO", f"Synthetic study of the {_REGIONS[study % len(_REGIONS)].lower()}"),
            _text(0x00100010, "PN", f"Synthetic^Subject {study % 5000}=合成^被験者=ごうせい^ひけんしゃ"),
            _text(0x00100020, "LO", f"S{study % 5000:06d}"),
            _text(0x00100030, "DA", f"19{40 + study % 60}0615"),
            _text(0x00100040, "CS", "MF"[study % 2]),
            _text(0x00101010, "AS", f"{20 + study % 70:03d}Y"),
            _text(0x00101030, "DS", f"{50 + study % 50}.5"),
            _text(0x0020000D, "UI", _uid(study)),
            _text(0x00200010, "SH", f"ST{study}"),
            (0x00081032, sequence(0x00081032, _code("RPID16", "RADLEX", "Routine"))),
        )
    )


def _of_series(kind: Kind, study: int, series: int, frames: int) -> Parts:
    modality = "MR" if kind is Kind.ENHANCED_MR else kind.value
    parts = dict(
        (
            _text(0x00020002, "UI", _SOP_CLASSES[kind]),
            _text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
            _text(0x00080016, "UI", _SOP_CLASSES[kind]),
            _text(0x00080060, "CS", modality),
            _text(0x00080070, "LO", _MAKERS[study % len(_MAKERS)]),
            _text(0x00080080, "LO", "Example Hospital"),
            _text(0x0008103E, "LO", f"Series {series + 1}"),
            _text(0x00081090, "LO", f"Scanner {study % 9}"),
            _text(0x00180015, "CS", _REGIONS[study % len(_REGIONS)]),
            _text(0x00181000, "LO", f"{study % 9:06d}"),
            _text(0x00181020, "LO", "syngo-free 1.0\\kernel 2"),
            _text(0x00181030, "LO", "Protocol A"),
            _text(0x0020000E, "UI", _uid(study, series)),
            _text(0x00200011, "IS", str(series + 1)),
            _text(0x00200052, "UI", _uid(study, series, 999_999)),
        )
    )
    return parts | {Kind.CT: _ct, Kind.MR: _mr, Kind.ENHANCED_MR: lambda: _enhanced(frames), Kind.SR: _report}[kind]()


def _image() -> Parts:
    numbers = {
        0x00280002: 1,
        0x00280010: 16,
        0x00280011: 16,
        0x00280100: 16,
        0x00280101: 12,
        0x00280102: 11,
        0x00280103: 1,
    }
    return dict(
        (
            _text(0x00180050, "DS", "1.25"),
            _text(0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
            _text(0x00280004, "CS", "MONOCHROME2"),
            _text(0x00280030, "DS", "0.488281\\0.488281"),
            _text(0x00281050, "DS", "40"),
            _text(0x00281051, "DS", "400"),
            *((tag, element(tag, "US", struct.pack("<H", number))) for tag, number in numbers.items()),
        )
    )


def _ct() -> Parts:
    texts = {
        0x00180022: ("CS", "HELICAL MODE"), 0x00180060: ("DS", "120"), 0x00180090: ("DS", "500"), 0x00181100: ("DS", "250"),
        0x00181120: ("DS", "0"), 0x00181140: ("CS", "CW"), 0x00181150: ("IS", "500"), 0x00181151: ("IS", "220"),
        0x00181152: ("IS", "110"), 0x00181160: ("SH", "BODY"), 0x00181210: ("SH", "STANDARD"), 0x00185100: ("CS", "FFS"),
        0x00281052: ("DS", "-1024"), 0x00281053: ("DS", "1"), 0x00281054: ("LO", "HU"),
    }  # fmt: skip
    return _image() | dict(_text(tag, vr, text) for tag, (vr, text) in texts.items())


def _mr() -> Parts:
    texts = {
        0x00180020: ("CS", "SE\\IR"), 0x00180021: ("CS", "SK\\SP"), 0x00180023: ("CS", "2D"), 0x00180080: ("DS", "2500.5"),
        0x00180081: ("DS", "3.28"), 0x00180083: ("DS", "1"), 0x00180084: ("DS", "123.25"), 0x00180085: ("SH", "1H"),
        0x00180087: ("DS", "3"), 0x00180088: ("DS", "5"), 0x00180091: ("IS", "1"), 0x00180095: ("DS", "240"),
        0x00181250: ("SH", "HeadNeck_20"), 0x00181314: ("DS", "90"),
    }  # fmt: skip
    private = (
        _text(0x00290010, "LO", "EXAMPLE CSA HEADER"),
        (0x00291010, element(0x00291010, "OB", bytes(range(250)) * (_PRIVATE_BYTES // 250))),
        _text(0x00291009, "LO", "20260102"),
    )
    return _image() | dict(_text(tag, vr, text) for tag, (vr, text) in texts.items()) | dict(private)


def _enhanced(frames: int) -> Parts:
    items = [
        sequence(
            0x00209111,
            element(0x00189074, "DT", b"20260102030405.250000 ")
            + element(0x00209057, "UL", struct.pack("<L", frame + 1))
            + element(0x00209157, "UL", struct.pack("<LL", 1, frame + 1)),
        )
        + sequence(0x00209113, element(0x00200032, "DS", _even(f"-125\\-125\\{1.25 * frame:.4f}")))
        + sequence(0x00209116, element(0x00200037, "DS", b"1\\0\\0\\0\\1\\0 "))
        for frame in range(frames)
    ]
    shared = sequence(0x00189112, element(0x00180080, "DS", b"2500") + element(0x00181314, "DS", b"90"))
    frame_count = _text(0x00280008, "IS", str(frames))
    return _image() | dict(
        (frame_count, (0x52009229, sequence(0x52009229, shared)), (0x52009230, sequence(0x52009230, *items)))
    )


def _report() -> Parts:
    items = [
        element(0x0040A010, "CS", b"CONTAINS")
        + element(0x0040A040, "CS", b"NUM ")
        + sequence(0x0040A043, _code(f"{121_000 + finding % 7}", "DCM", f"Measurement {finding % 7}"))
        + sequence(
            0x0040A300,
            sequence(0x004008EA, _code("mm", "UCUM", "millimeter")) + element(0x0040A30A, "DS", _even(f"{finding}.5")),
        )
        for finding in range(_FINDINGS)
    ]
    return dict(
        (
            _text(0x0040A040, "CS", "CONTAINER"),
            (0x0040A043, sequence(0x0040A043, _code("126000", "DCM", "Imaging Measurement Report"))),
            _text(0x0040A050, "CS", "SEPARATE"),
            _text(0x0040A491, "CS", "COMPLETE"),
            _text(0x0040A493, "CS", "UNVERIFIED"),
            (0x0040A730, sequence(0x0040A730, *items)),
        )
    )


def _code(value: str, scheme: str, meaning: str) -> bytes:
    parts = ((0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning))
    return b"".join(element(tag, vr, _even(text)) for tag, vr, text in parts)


def _text(tag: int, vr: str, text: str) -> tuple[int, bytes]:
    return tag, element(tag, vr, _even(text, "\0" if vr == "UI" else " "))


def _even(text: str, padding: str = " ") -> bytes:
    data = text.encode()
    return data + padding.encode() * (len(data) % 2)


def small_series(kind: Kind, instances: int) -> Iterator[bytes]:
    """Yield the files of one series."""
    archive = Archive(studies=1, series=1, instances=instances, kinds=(kind,))
    return map(archive.data, range(instances))

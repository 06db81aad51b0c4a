"""Headers of all kinds, made at random from a seed: synthetic series, and damage to any file."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pydicom._dicom_dict import DicomDictionary
from pydicom._private_dict import private_dictionaries
from pydicom.valuerep import STANDARD_VR

from support.dicom_files import EXPLICIT, IMPLICIT, PREAMBLE, element

if TYPE_CHECKING:
    from random import Random

Part = tuple[int, str, bytes]
"""An element before its encoding: tag, VR, value. That of SQ is encoded already."""

_UNDEFINED = 0xFFFFFFFF
_TAGS = [tag for tag in DicomDictionary if 0x00080000 < tag < 0x7FE00000]
_COMMON = [
    tag
    for tag in _TAGS
    if DicomDictionary[tag][0]
    in {"CS", "DA", "TM", "DT", "DS", "IS", "LO", "SH", "PN", "UI", "US", "SQ", "FD", "US or SS"}
]
_VRS = sorted(str(vr) for vr in STANDARD_VR)
_WIDTHS = {"AT": 4, "FD": 8, "FL": 4, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}
_WIDTHS |= {"SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}
_TEXTS = {
    "AS": [b"042Y", b"42"],
    "DA": [b"20260102", b"2026.01.02", b"20261302", b"20260102 "],
    "TM": [b"030405.6", b"03", b"03:04:05", b"235960", b"1200 "],
    "DT": [b"20260102030405.25+0100", b"2026", b"20260102030405-0330", b"x "],
    "DS": [b"1.50", b" .5 ", b"1E999 ", b"-0", b"P1: ", b"12345678901234.567"],
    "IS": [b"12", b"007 ", b"-5", b"1.5 "],
    "PN": [
        b"A^B",
        b"A^B=C^D",
        b"^^^^",
        "Müller^J".encode(),
        b"A=B=C=D",
        b"A^B^C^D^E^F",
        b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
    ],
    "UI": [b"1.2.3\0", b"1.2.840.10008.1.2"],
}
_ANY_TEXT = [
    b"",
    b" ",
    b"A",
    b"text ",
    b"\\",
    b"M\xfcller",
    "é ü".encode(),
    b"\x1b-A\xe9",
    b"\0",
    b"a\r\nb  ",
    b"x\\y\\z",
]
_CHARACTER_SETS = [b"ISO_IR 100", b"ISO_IR 192", b"\\ISO 2022 IR 87", b"ISO_IR 144", b""] * 40
_CHARACTER_SETS += [b"nonsense", b"ISO_IR 203", b"utf_7 "]
_OWNERS = [b"SIEMENS MR HEADER", b"GEMS_ACQU_01", b"ACME 1.0", b"SIEMENS CSA HEADER "] * 20 + [b"", b"M\xfcller"]
_KNOWN = {
    owner: [mask for mask in sorted(private_dictionaries[owner.decode().strip()]) if "x" not in mask[:4] + mask[-2:]][
        ::7
    ]
    for owner in _OWNERS
    if owner.isascii() and owner.decode().strip() in private_dictionaries
}


def make_series(random: Random, instances: int = 4) -> list[bytes]:
    """Return the files of a series, each of them a variation of the one before."""
    is_implicit = random.random() < 0.4
    parts = _parts(random, depth=0, is_implicit=is_implicit)
    files = []
    for _ in range(instances):
        files.append(_file(random, parts, is_implicit=is_implicit))
        if random.random() < 0.8:
            _vary(random, parts, is_implicit=is_implicit)
    return files


def damaged(random: Random, data: bytes) -> bytes:
    """Return the file with a few bytes of its header changed, left out, or twice in it, or without its end."""
    for _ in range(random.choice([1, 1, 2, 5])):
        end = min(len(data), random.choice([400, 2000, 20_000]))
        start = random.randrange(min(end, 130), end) if end > 130 else 0
        length = random.choice([1, 2, 4, 8, 30])
        change = random.random()
        if change < 0.6:
            new = bytes(
                random.choice([0, 0x1B, 0x5C, 0xFF, 0x20, random.randrange(256)]) for _ in range(min(length, 2))
            )
            data = data[:start] + new + data[start + len(new) :]
        elif change < 0.75:
            data = data[:start] + data[start + length :]
        elif change < 0.9:
            data = data[:start] + data[start : start + length] + data[start:]
        else:
            data = data[: random.randrange(len(data) + 1)]
    return data


def _parts(random: Random, depth: int, *, is_implicit: bool) -> dict[int, Part]:
    tags = random.sample(_COMMON, random.randrange(25)) + random.sample(_TAGS, random.randrange(15))
    if depth:
        tags = tags[: random.randrange(6)]
    parts = {tag: _part(random, tag, _stated_vr(random, tag), depth, is_implicit=is_implicit) for tag in tags}
    if random.random() < 0.6:
        _add_private(random, parts, depth, is_implicit=is_implicit)
    if random.random() < (0.2 if depth else 0.7):
        parts[0x00080005] = 0x00080005, "CS", random.choice(_CHARACTER_SETS)
    if random.random() < 0.4:
        parts[0x00280103] = 0x00280103, "US", random.choice([b"\0\0", b"\1\0", b""])
    if random.random() < 0.3:
        parts[0x00080201] = 0x00080201, "SH", random.choice([b"+0100 ", b"-0330 ", b"x"])
    return parts


def _add_private(random: Random, parts: dict[int, Part], depth: int, *, is_implicit: bool) -> None:
    for block in random.sample([0x10, 0x11, 0x20], random.randrange(1, 3)):
        group = random.choice([0x0019, 0x0021, 0x0029, 0x0051]) << 16
        owner = random.choice(_OWNERS)
        if random.random() < 0.9:
            parts[group | block] = group | block, random.choice(["LO", "LO", "UN"]), owner
        for _ in range(random.randrange(6)):
            tag = group | block << 8 | random.randrange(256)
            if owner in _KNOWN and random.random() < 0.7:
                mask = random.choice(_KNOWN[owner])
                group = int(mask[:4], 16) << 16
                parts[group | block] = group | block, "LO", owner
                tag = group | block << 8 | int(mask[-2:], 16)
            parts[tag] = _part(random, tag, random.choice(_VRS), depth, is_implicit=is_implicit)


def _stated_vr(random: Random, tag: int) -> str:
    chance = random.random()
    if chance < 0.05 and DicomDictionary[tag][0] != "SQ":
        return random.choice(_VRS)
    if chance < 0.1 and DicomDictionary[tag][0] != "SQ":
        return "UN"
    return random.choice([vr for vr in DicomDictionary[tag][0].split(" or ") if vr in _VRS] or ["UN"])


def _part(random: Random, tag: int, vr: str, depth: int, *, is_implicit: bool) -> Part:
    if vr == "SQ":
        return tag, vr, _items(random, depth, is_implicit=is_implicit)
    return tag, vr, _value(random, vr)


def _value(random: Random, vr: str) -> bytes:
    if random.random() < 0.08:
        return b""
    if vr in _WIDTHS:
        count = random.choice([1, 1, 1, 2, 3, 600])
        return random.randbytes(_WIDTHS[vr] * count)[: -1 if random.random() < 0.03 else None]
    if vr in {"OB", "UN"}:
        return random.randbytes(random.choice([2, 4, 10]))
    values = random.choices([*_TEXTS.get(vr, []), *_ANY_TEXT], k=random.choice([1, 1, 1, 2, 3]))
    if vr in _TEXTS and random.random() < 0.8:
        values = random.choices(_TEXTS[vr], k=random.choice([1, 1, 1, 2]))
    value = b"\\".join(values)
    return value + b" " * (len(value) % 2)


def _items(random: Random, depth: int, *, is_implicit: bool) -> bytes:
    """Return items, or with a few of them the delimiter behind them, as of a sequence of undefined length."""
    items = b""
    count = random.choice([0, 1, 1, 2, 5]) if depth < 3 else 0
    parts = _parts(random, depth + 1, is_implicit=is_implicit) if count else {}
    for _ in range(count):
        body = _body(random, parts, is_implicit=is_implicit)
        if random.random() < 0.5:
            items += element(0xFFFEE000, None, body, length=_UNDEFINED) + element(0xFFFEE00D, None, b"")
        else:
            items += element(0xFFFEE000, None, body)
        _vary(random, parts, is_implicit=is_implicit)
    return items


def _body(random: Random, parts: dict[int, Part], *, is_implicit: bool) -> bytes:
    return b"".join(_encoded(random, parts[tag], is_implicit=is_implicit) for tag in sorted(parts))


def _encoded(random: Random, part: Part, *, is_implicit: bool) -> bytes:
    tag, vr, value = part
    stated = None if is_implicit else vr
    if vr == "SQ" and random.random() < 0.4:
        stated = "UN" if stated and random.random() < 0.1 else stated
        return element(tag, stated, value + element(0xFFFEE0DD, None, b""), length=_UNDEFINED)
    return element(tag, stated, value)


def _vary(random: Random, parts: dict[int, Part], *, is_implicit: bool) -> None:
    """Change some values, leave out an element, or add one."""
    for tag in random.sample(sorted(parts), random.randrange(len(parts) // 3 + 1)):
        if random.random() < 0.2:
            del parts[tag]
        else:
            parts[tag] = _part(random, tag, parts[tag][1], 2, is_implicit=is_implicit)
    if random.random() < 0.3:
        tag = random.choice(_COMMON)
        parts[tag] = _part(random, tag, _stated_vr(random, tag), 2, is_implicit=is_implicit)


def _file(random: Random, parts: dict[int, Part], *, is_implicit: bool) -> bytes:
    uids = {0x00080018: b"1.2.%d" % random.randrange(10**6), 0x0020000D: b"1.2.3", 0x0020000E: b"1.2.3.4"}
    stated = {tag: (tag, "UI", uid + b"\0" * (len(uid) % 2)) for tag, uid in uids.items()}
    syntax = (IMPLICIT if is_implicit else EXPLICIT).encode()
    meta = element(0x00020002, "UI", b"1.2.840.10008.5.1.4.1.1.2\0") + element(0x00020003, "UI", stated[0x00080018][2])
    meta += element(0x00020010, "UI", syntax + b"\0" * (len(syntax) % 2)) + element(0x00020013, "SH", b"V1\xfc ")
    body = _body(random, parts | stated, is_implicit=is_implicit)
    return PREAMBLE + meta + body + _end(random, is_implicit=is_implicit)


def _end(random: Random, *, is_implicit: bool) -> bytes:
    pixels = element(
        0x7FE00010, None if is_implicit else random.choice(["OW", "OW", "OW", "OB", "OB", "UN", "UN", "OF"]), bytes(16)
    )
    tail = element(0xFFFCFFFC, None if is_implicit else "OB", b"\0" * 12)
    frames = struct.pack("<HHL", 0xFFFE, 0xE000, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    encapsulated = element(0x7FE00010, None if is_implicit else "OB", frames, length=_UNDEFINED)
    return random.choice([b"", pixels, pixels, encapsulated, pixels + tail, pixels + bytes(64), bytes(64)])

"""DICOM files whose every text is a marker: good ones, and damaged ones of each kind that an export fails of."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from support.dicom_files import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, PREAMBLE, element, make_file, sequence
from support.markers import marker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

STUDY, SERIES, INSTANCE = 0x0020000D, 0x0020000E, 0x00080018

_CHARACTER_SET = 0x00080005
# A standard element for each VR that is text or may hold it; the values are markers, so that many of them are malformed.
_TEXTS = {
    "AE": 0x00080055,
    "AS": 0x00101010,
    "CS": 0x00080060,
    "DA": 0x00100030,
    "DS": 0x00101030,
    "DT": 0x0008002A,
    "IS": 0x00200013,
    "LO": 0x00100020,
    "LT": 0x001021B0,
    "OB": 0x00420011,
    "PN": 0x00100010,
    "SH": 0x00080050,
    "ST": 0x00080081,
    "TM": 0x00080030,
    "UC": 0x00080119,
    "UR": 0x00081190,
    "UT": 0x00189306,
}
# Texts under VRs of numbers, tags, sequences: whatever reads them stumbles.
_WRONG_VRS = {
    0x00100040: "US",
    0x00101001: "FD",
    0x00104000: "AT",
    0x00081030: "SL",
    0x0008103E: "UN",
    0x00102160: "OW",
}
_TRICKS = (
    "BigQuery: ",
    "already exists ",
    "No space left on device ",
    "'{}%s%d\\",
    "\x1b[31m",
    "\x1b$B",
    "[(",
    "read-only ",
    '"}],\n',
)
"""What other texts begin with, so that an error about a value could be taken for another one."""


def _even(text: str) -> bytes:
    data = text.encode("utf-8")
    return data + b" " * (len(data) % 2)


def _uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)


def _texts(place: str) -> list[bytes]:
    """Return an element of each VR, and those with another VR than theirs."""
    parts = [element(tag, vr, _even(marker(f"{place}{vr}"))) for vr, tag in _TEXTS.items()]
    parts += [element(tag, vr, _padded(marker(f"{place}as{vr}"))) for tag, vr in _WRONG_VRS.items()]
    tricks = "\\".join(f"{trick}{marker(place)}" for trick in _TRICKS)
    parts.append(element(0x00104010, "LO", _even(tricks)))
    return _by_tag(parts)


def _padded(text: str) -> bytes:
    """Return the text in eight-byte units, as numbers have them."""
    data = text.encode()
    return data + b"X" * (-len(data) % 8)


def _by_tag(parts: Iterable[bytes]) -> list[bytes]:
    return sorted(parts, key=lambda part: _tag(part))  # noqa: PLW0108 - for mypy, to whom bytes are more than bytes


def _tag(part: bytes) -> tuple[int, int]:
    group, number = struct.unpack_from("<HH", part)
    return group, number


def _private(place: str) -> list[bytes]:
    creator = element(0x00290010, "LO", _even(marker(f"{place}creator")))
    nested = sequence(0x00291020, b"".join([*_texts(f"{place}private"), creator]))
    return [
        creator,
        element(0x00291001, "LO", _even(marker(f"{place}private"))),
        element(0x00291002, "UN", _even(marker(f"{place}privateUN"))),
        element(0x00291003, "ZZ", _even(marker(f"{place}noVR"))[:60]),
        nested,
    ]


def elements(place: str) -> list[bytes]:
    """Return elements with markers of all kinds, by tag: plain, private, nested, in a character set that is a marker."""
    deep = sequence(0x00081115, b"".join(_texts(f"{place}deep")))
    nested = sequence(0x00081140, b"".join([*_texts(f"{place}nested")[:4], deep]))
    parts = [*_texts(place), *_private(place), nested]
    parts.append(element(_CHARACTER_SET, "CS", _even(f"ISO_IR 100\\{marker(f'{place}charset')}")))
    return _by_tag(parts)


def uids(instance: str, study: str = "1.2.3", series: str = "1.2.3.4") -> list[bytes]:
    """Return the elements of an instance's UIDs."""
    return [element(tag, "UI", _uid(uid)) for tag, uid in ((INSTANCE, instance), (STUDY, study), (SERIES, series))]


def file_of(parts: list[bytes], syntax: str = EXPLICIT) -> bytes:
    """Return a file with the elements, and markers in its file meta information."""
    meta: list[bytes] = [
        element(0x00020010, "UI", _uid(syntax)),
        element(0x00020013, "SH", _even(marker("version"))),
        element(0x00020016, "AE", _even(marker("title"))),
        element(0x00020100, "UI", _uid("1.2.3")),
        element(0x00020102, "OB", _even(marker("meta"))),
    ]
    return PREAMBLE + b"".join(meta) + b"".join(_by_tag(parts))


def good_files() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of files that become rows."""
    yield "good.dcm", file_of([*elements("good"), *uids("1.2.3.4.1")])
    yield "again.dcm", file_of([*elements("again"), *uids("1.2.3.4.1")])
    swallowing = b"\x10\0\x10\0PN\x20\0" + marker("swallowed").encode()
    for number, tag in enumerate((STUDY, SERIES, INSTANCE)):
        parts = {
            each: element(each, "UI", _uid(f"1.2.3.5.{number}.{each % 100}")) for each in (STUDY, SERIES, INSTANCE)
        }
        parts[tag] = element(tag, "UI", _uid("1.2.3") + swallowing)
        yield f"swallowed{number}.dcm", file_of([*elements("uid"), *parts.values()])
    for number in range(2):
        yield f"twice{number}.dcm", file_of([*uids(marker("UID"), marker("StudyUID"), marker("SeriesUID"))])
    for name, syntax in {"implicit": IMPLICIT, "big": BIG_ENDIAN, "deflated": DEFLATED}.items():
        yield f"{name}.dcm", _encoded(name, syntax)


def _encoded(name: str, syntax: str) -> bytes:
    """Return a file in another transfer syntax, with fewer elements."""
    vr, order = (None if syntax == IMPLICIT else "LO"), ">" if syntax == BIG_ENDIAN else "<"
    texts = [element(tag, vr, _even(marker(name)), order=order) for tag in (0x00081030, 0x00100020, 0x00104000)]
    if syntax == IMPLICIT:
        texts.append(element(0x00189306, None, _even(marker(name))))
    return make_file(*texts, syntax=syntax, sop_instance_uid=f"1.2.3.6.{len(name)}")


def damaged_files() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of files that no row can be made of, for each reason and at many places."""
    whole = file_of([*elements("cut"), *uids("1.2.3.4.7")])
    start = len(PREAMBLE)
    for position in range(start, len(whole), max(1, (len(whole) - start) // 60)):
        yield f"cut/{position:05d}.dcm", whole[:position]
    for number, missing in enumerate((STUDY, SERIES, INSTANCE)):
        kept = [part for part in uids("1.2.3.4.8") if _tag(part) != (missing >> 16, missing & 0xFFFF)]
        yield f"missing{number}.dcm", file_of([*elements("missing"), *kept])
        kept.append(element(missing, "PN", _even(marker("instead"))))
        yield f"other_vr{number}.dcm", file_of([*elements("instead"), *kept])
    yield from _shifted()
    yield "items.dcm", file_of([*uids("1.2.3.4.9"), element(0x00081140, "SQ", _even(marker("noitem")))])
    yield "open.dcm", file_of([*uids("1.2.3.4.9"), element(0x00081140, "SQ", _even(marker("open")), length=0xFFFFFFFF)])
    deep = element(0x00100010, "PN", _even(marker("deepest")))
    for _ in range(120):
        deep = sequence(0x00081140, deep)
    yield "nested.dcm", file_of([*uids("1.2.3.4.10"), deep])
    yield "large.dcm", file_of([*uids("1.2.3.4.11"), *_many(marker("large"), 700_000, 14)])
    yield "inflated.dcm", file_of([*uids("1.2.3.4.12")], DEFLATED)[:-4] + marker("deflated").encode()
    yield "unknown.bin", b"\0\1\2" + marker("binary").encode() * 20
    yield "deadly.dcm", file_of([*elements("deadly"), *uids("1.2.3.4.13")])


def _shifted() -> Iterator[tuple[str, bytes]]:
    """Yield files with one length that is too small or too large, so that values are taken for elements."""
    for tag, vr in ((0x00081030, "LO"), (0x00100010, "PN"), (0x00104000, "LT")):
        text = _even(marker("shifted"))
        for length in (0, 2, 6, 7, 10, len(text) - 4, len(text) + 6, 30_000):
            part = element(tag, vr, text, length=length)
            after = element(0x00189306, "UT", _even(marker("after")))
            yield f"shifted/{tag:08x}.{length}.dcm", file_of([*uids("1.2.3.4.14"), part, after])
            inner = sequence(0x00081140, part + after)
            yield f"shifted/nested.{tag:08x}.{length}.dcm", file_of([*uids("1.2.3.4.15"), inner])
            implicit = element(tag, None, text, length=length)
            data = make_file(implicit, syntax=IMPLICIT, sop_instance_uid="1.2.3.4.16")
            yield f"shifted/implicit.{tag:08x}.{length}.dcm", data


def _many(text: str, length: int, count: int) -> list[bytes]:
    """Return private texts that are together too large for a request."""
    value = _even(text + "x" * length)
    creator = element(0x00310010, "LO", b"LARGE ")
    return [creator, *(element(0x00311000 + number, "UT", value) for number in range(count))]


def other_files() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of what is not DICOM, and is passed over."""
    yield "notes.txt", f"{marker('text')}\n".encode()
    yield "patients.csv", f"name,id\n{marker('csv')},1\n".encode()
    yield "patients.json", f'{{"name": "{marker("json")}"}}'.encode()
    yield "page.html", f"<p>{marker('html')}".encode()
    yield "utf16.txt", marker("utf16").encode("utf-16")


def write_all(folder: Path) -> None:
    """Write all files below a folder."""
    for name, content in (*good_files(), *damaged_files(), *other_files()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

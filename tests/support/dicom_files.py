"""Factories of DICOM data sets and files in memory, and a store that holds them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_export.decoding.decoded import DecodedInstance
from dicom_export.decoding.instance import decode_instance
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.stored_object import StoredObject
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXPLICIT = ExplicitVRLittleEndian
IMPLICIT = ImplicitVRLittleEndian
BIG_ENDIAN = ExplicitVRBigEndian
DEFLATED = DeflatedExplicitVRLittleEndian

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
UIDS = InstanceUids("1.2.3", "1.2.3.4", "1.2.3.4.5")
UPDATED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
PREAMBLE = bytes(128) + b"DICM"

_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


def make_data_set(**elements: Any) -> Dataset:
    """Return a data set with the three UIDs and the elements, by keyword."""
    data_set = Dataset()
    uids = {"StudyInstanceUID": UIDS.study, "SeriesInstanceUID": UIDS.series, "SOPInstanceUID": UIDS.instance}
    for keyword, value in ({"SOPClassUID": CT_IMAGE_STORAGE} | uids | elements).items():
        setattr(data_set, keyword, value)
    return data_set


def make_meta(syntax: str = EXPLICIT, **elements: Any) -> FileMetaDataset:
    """Return the file meta information of an instance with the three UIDs of `UIDS`."""
    meta = FileMetaDataset()
    stated = {"MediaStorageSOPClassUID": CT_IMAGE_STORAGE, "MediaStorageSOPInstanceUID": UIDS.instance}
    for keyword, value in (stated | {"TransferSyntaxUID": syntax} | elements).items():
        setattr(meta, keyword, value)
    return meta


def make_instance(
    data_set: Dataset | None = None, *, syntax: str = EXPLICIT, meta: FileMetaDataset | None = None, **elements: Any
) -> bytes:
    """Return a Part 10 file with the data set, or with one of the elements."""
    data_set = make_data_set(**elements) if data_set is None else data_set
    data_set.file_meta = meta or make_meta(syntax)
    file = BytesIO()
    dcmwrite(
        file,
        data_set,
        implicit_vr=syntax == IMPLICIT,
        little_endian=syntax != BIG_ENDIAN,
        enforce_file_format=True,
    )
    return file.getvalue()


def make_archive_objects(studies: int, instances: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each instance of an archive laid out as `STUDY/SERIES/INSTANCE.dcm`; fast."""
    template = make_instance(StudyInstanceUID="1.2.1000", SeriesInstanceUID="1.3.1", SOPInstanceUID="1.2.1000.1000")
    for study in range(1000, 1000 + studies):
        for number in range(1000, 1000 + instances):
            uid = f"1.2.{study}.{number}"
            content = template.replace(b"1.2.1000.1000", uid.encode()).replace(b"1.2.1000", f"1.2.{study}".encode())
            yield f"1.2.{study}/1.3.1/{uid}.dcm", content


def element(tag: int, vr: str | None, value: bytes, *, length: int | None = None, order: str = "<") -> bytes:
    """Return one element as it is encoded; without a VR as in implicit VR."""
    group, number = tag >> 16, tag & 0xFFFF
    length = len(value) if length is None else length
    if vr is None:
        return struct.pack(f"{order}HHL", group, number, length) + value
    if vr in _LONG:
        return struct.pack(f"{order}HH2sHL", group, number, vr.encode(), 0, length) + value
    return struct.pack(f"{order}HH2sH", group, number, vr.encode(), length) + value


def make_file(*elements: bytes, syntax: str = EXPLICIT, sop_instance_uid: str = "1.2.3.4.5") -> bytes:
    """Return a file of encoded elements, by tag, and of the three UIDs among them."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    is_implicit = syntax == IMPLICIT
    uids = [
        element(tag, None if is_implicit else "UI", _even(uid), order=order)
        for tag, uid in ((0x00080018, sop_instance_uid), (0x0020000D, "1.2.3"), (0x0020000E, "1.2.3.4"))
    ]
    parts = sorted([*elements, *uids], key=lambda part: struct.unpack_from(f"{order}HH", part))
    body = b"".join(parts)
    meta = element(0x00020010, "UI", _even(syntax))
    return PREAMBLE + meta + (deflate(body) if syntax == DEFLATED else body)


def sequence(tag: int, *items: bytes) -> bytes:
    """Return a sequence of undefined length, its items too, in explicit VR little endian."""
    return (
        element(tag, "SQ", b"", length=0xFFFFFFFF)
        + b"".join(
            element(0xFFFEE000, None, b"", length=0xFFFFFFFF) + item + element(0xFFFEE00D, None, b"") for item in items
        )
        + element(0xFFFEE0DD, None, b"")
    )


def deflate(data: bytes) -> bytes:
    """Return the data as a raw deflate stream."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def _even(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)


@dataclass
class MemoryStore:
    """A store of objects in memory, which remembers the ranges that were read."""

    objects: Mapping[str, bytes]
    reads: list[tuple[str, int, int]] = field(default_factory=list)

    def uri(self, name: str) -> str:
        return f"memory://{name}"

    def copy_source(self, name: str) -> str:
        return self.uri(name)

    def list(
        self,
        *,
        prefix: str = "",
        start_after: str = "",
        unlisted: object = None,  # noqa: ARG002 - all can be listed
    ) -> Iterator[StoredObject]:
        for name in sorted(self.objects, key=str.encode):
            if name.startswith(prefix) and name.encode() > start_after.encode():
                yield make_stored(name, self.objects[name])

    def get(self, name: str) -> StoredObject | None:
        data = self.objects.get(name)
        return None if data is None else make_stored(name, data)

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        self.reads.append((stored.name, start, length))
        return self.objects[stored.name][start : start + length]


def make_stored(name: str, data: bytes) -> StoredObject:
    """Return the object as a store lists it."""
    return StoredObject(name, generation=1, size=len(data), updated=UPDATED)


def decode_bytes(data: bytes, kind: SchemaKind = SchemaKind.FLATTENED, *, name: str = "a.dcm") -> DecodedInstance:
    """Return the instance in the bytes of one object. Fails the test if it is skipped."""
    decoded = decode_instance(MemoryStore({name: data}), make_stored(name, data), RowLayout(kind))
    assert isinstance(decoded, DecodedInstance), decoded
    return decoded


def row_of(data: bytes, kind: SchemaKind = SchemaKind.FLATTENED) -> dict[str, Any]:
    """Return the row of the one object's bytes."""
    return decode_bytes(data, kind).row

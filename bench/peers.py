"""What else decodes headers, each on the same files; None where it is not on this machine, NaN where it does not apply."""

from __future__ import annotations

import json
import math
import resource
import shutil
import statistics
import struct
import subprocess
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCRIPT = Path(__file__).parent / "dicom_parser" / "decode.mjs"
_REPETITIONS = 3
_LEAST_BYTES = 1_500_000
UTF_8 = "ISO_IR 192"


def recipe(data: bytes) -> str:
    """Decode as users of pydicom do."""
    data_set = pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
    return json.dumps(data_set.to_json_dict())


def dicom_parser(files: Sequence[bytes], folder: Path, warm_up_milliseconds: int) -> float | None:
    """Return the median microseconds of dicom-parser in one process of Node.js that has decoded the files for so long."""
    node = shutil.which("node")
    if not node or not (_SCRIPT.parent / "node_modules").exists():
        return None
    answer: dict[str, float | None] = json.loads(
        _output([node, str(_SCRIPT), str(warm_up_milliseconds), *_written(files, folder)])
    )
    return answer["median"]


def dcm2json(files: Sequence[bytes], folder: Path) -> float | None:
    """Return the mean microseconds a header of DCMTK's dcm2json, all in one process.

    It takes one file a process. So the headers are the items of one sequence in one file, and what an empty sequence takes is subtracted.
    """
    program = shutil.which("dcm2json")
    if not program:
        return None
    headers = [_header(data) for data in files]
    if any(header.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian for header in headers):
        return math.nan
    items = list(map(_encoded_item, headers))
    items *= -(-_LEAST_BYTES // sum(map(len, items)))  # so many that the start of a process is little beside them
    empty, full = (_cpu_seconds([program, "-fc", str(_as_sequence(each, folder))]) for each in ([], items))
    return (full - empty) / len(items) * 1e6


def _written(files: Sequence[bytes], folder: Path) -> list[str]:
    paths = [folder / f"{number}.dcm" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    return [str(path) for path in paths]


def _header(data: bytes) -> pydicom.FileDataset:
    """Return the header without pixels, in UTF-8: DCMTK refuses a file of which it cannot convert one character set."""
    header = pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
    header.SpecificCharacterSet = UTF_8
    return header


def _encoded_item(header: pydicom.Dataset) -> bytes:
    """Return the header as an item (PS3.5 §7.5)."""
    content = DicomBytesIO()
    content.is_little_endian, content.is_implicit_VR = True, False
    write_dataset(content, header)
    encoded = content.getvalue()
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(encoded)) + encoded


def _as_sequence(items: Sequence[bytes], folder: Path) -> Path:
    """Write one file whose one sequence, Referenced Series Sequence, has the items."""
    data_set, content, joined = pydicom.Dataset(), BytesIO(), b"".join(items)
    data_set.SpecificCharacterSet = UTF_8
    data_set.SOPClassUID, data_set.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.66", "1.2.3"
    data_set.file_meta = pydicom.dataset.FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.save_as(content, enforce_file_format=True)
    path = folder / f"{len(items)}-items.dcm"
    path.write_bytes(content.getvalue() + struct.pack("<HH2sHL", 0x0008, 0x1115, b"SQ", 0, len(joined)) + joined)
    return path


def _cpu_seconds(command: Sequence[str]) -> float:
    """Return the median CPU time of a process, its start and end included."""
    return statistics.median(_once(command) for _ in range(_REPETITIONS))


def _once(command: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _output(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _output(command: Sequence[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 - programs named above

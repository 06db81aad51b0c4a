"""Microseconds of CPU time from a header's bytes to what is made of it, one core, side by side in one run."""

from __future__ import annotations

import gc
import math
import statistics
import tempfile
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.data import get_testdata_file
from pydicom.data.data_manager import DATA_ROOT

from dicom_export.decoding.fast.memory import Memory
from dicom_export.decoding.instance import decode_instance
from dicom_export.errors import InstanceError
from dicom_export.rows.layout import RowLayout, SchemaKind
from peers import dcm2json, dicom_parser, recipe
from support.archive import Archive, Kind
from support.dicom_files import MemoryStore, make_stored
from tables import print_section, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Way = Callable[[bytes], object]

WARM_UP_MILLISECONDS = 2000
BLOCK = 10
"""Files that one way decodes before the next way has its turn: the ways alternate, and none finds its caches cold."""

HEAD = (
    "µs per instance",
    "files",
    "pydicom's recipe",
    "dcm2json",
    "dicom-parser",
    "ours",
    "ours, JSON schema",
    "ours is faster than",
)
NOTE = """\
CPU time of one core, from the bytes of a header in memory to the result:

- pydicom's recipe: `dcmread(stop_before_pixels=True)`, `to_json_dict`, `json.dumps`. Median.
- dcm2json: a mean, because it reads one file per process. Here, the headers are the items of one sequence in one file, so that one process reads all of them; the
  time that it takes for an empty file is subtracted. Its time includes reading the file and printing, and its text is already UTF-8.
- dicom-parser: the value of every element, `JSON.stringify`, after two seconds in which the compiler warms up. Median.
- ours: a row of the table. Median. A series is decoded with its memory, as in an export. "First of kind" is decoded without that memory, but with the short values
  and sequences of the headers before.

The last column says how many times as long as ours the recipe, dcm2json and dicom-parser take.

Pydicom's test files are of many kinds. The first time, ours builds tables of the elements in them; the second time ("again") it has these tables. dicom-parser has its
compiled code both times.

"missing": the program is not on this machine. "—": it cannot read these files (implicit VR cannot be an item of a file with explicit VR; some of pydicom's files are broken)."""


@dataclass(frozen=True)
class Workload:
    """Files that are decoded one after another; `is_uniform` if all can be items of one sequence, `is_again` if for the second time."""

    name: str
    files: list[bytes]
    is_series: bool = False
    is_uniform: bool = True
    is_again: bool = False


def print_headers(scale: float = 1) -> None:
    """Print the section, on `scale` times as many files."""
    warnings.simplefilter("ignore")
    print_section("Header bytes to a row", NOTE)
    print_table(HEAD, (_row(workload, scale) for workload in workloads(scale)))


def workloads(scale: float) -> Iterator[Workload]:
    """Yield what is decoded, made again each time."""
    yield from _synthetic(scale)
    for name in ("rtplan.dcm", "rtdose.dcm"):
        yield Workload(f"RT, {name} of pydicom", [Path(str(get_testdata_file(name))).read_bytes()] * _count(20, scale))
    paths = sorted(path for path in Path(DATA_ROOT).rglob("*") if path.suffix in {".dcm", ""} and path.is_file())
    files = [path.read_bytes() for path in paths[:: round(1 / scale)]]
    yield Workload("pydicom's test files", files, is_uniform=False)
    yield Workload("pydicom's test files, again", files, is_uniform=False, is_again=True)


def _synthetic(scale: float) -> Iterator[Workload]:
    for kind, full in ((Kind.CT, 100), (Kind.MR, 100), (Kind.SR, 20)):
        count = _count(full, scale)
        series = Archive(studies=1, series=1, instances=count, kinds=(kind,))
        yield Workload(f"{kind} series", [series.data(number) for number in range(count)], is_series=True)
        studies = Archive(studies=count, series=1, instances=1, kinds=(kind,))
        yield Workload(f"{kind}, first of kind", [studies.data(number) for number in range(count)])
    for frames in (_count(300, scale), _count(1000, scale)):
        enhanced = Archive(studies=3, series=1, instances=1, kinds=(Kind.ENHANCED_MR,), frames=frames)
        yield Workload(f"enhanced MR, {frames} frames", [enhanced.data(number) for number in range(_count(3, scale))])


def _count(full: int, scale: float) -> int:
    return max(1, round(full * scale))


def _row(workload: Workload, scale: float) -> tuple[object, ...]:
    files = [data for data in workload.files if _succeeds(data)]
    found = measured(files, _in_process(is_series=workload.is_series), before=files if workload.is_again else files[:2])
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        found["dicom-parser"] = dicom_parser(files, Path(folder), _count(WARM_UP_MILLISECONDS, scale))
        found["dcm2json"] = dcm2json(files, Path(folder)) if workload.is_uniform else math.nan
    return (workload.name, len(files), *(_cell(found[name]) for name in HEAD[2:7]), _ratios(found))


def _in_process(*, is_series: bool) -> dict[str, Way]:
    return {
        "pydicom's recipe": recipe,
        "ours": own(SchemaKind.FLATTENED, Memory() if is_series else None),
        "ours, JSON schema": own(SchemaKind.JSON, Memory() if is_series else None),
    }


def own(kind: SchemaKind, memory: Memory | None = None) -> Way:
    """Return our way to a row; with a memory of the series, or without."""
    layout = RowLayout(kind)
    return lambda data: decode_instance(MemoryStore({"a": data}), make_stored("a", data), layout, memory)


def measured(files: list[bytes], compared: dict[str, Way], before: list[bytes]) -> dict[str, float | None]:
    """Return each way's median in microseconds a file, when it has decoded the files `before`: tables are filled once a process."""
    times: dict[str, list[float]] = {name: [] for name in compared}
    for way in compared.values():
        for data in before:
            _seconds(way, data)
        gc.collect()
    for start in range(0, len(files), BLOCK):
        for name, way in compared.items():
            times[name] += [_seconds(way, data) for data in files[start : start + BLOCK]]
    return {name: statistics.median(each) * 1e6 for name, each in times.items()}


def _seconds(way: Way, data: bytes) -> float:
    start = time.process_time()
    with suppress(InstanceError):  # what pydicom reads, but an export does not: no study, or cut short
        way(data)
    return time.process_time() - start


def _succeeds(data: bytes) -> bool:
    try:
        recipe(data)
    except Exception:  # noqa: BLE001 - pydicom raises anything
        return False
    return True


def _memory_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").exists() else None  # noqa: S108 - the peers' files, in memory


def _cell(microseconds: float | None) -> str:
    if microseconds is None:
        return "missing"
    return "—" if math.isnan(microseconds) else f"{microseconds:,.0f}"


def _ratios(found: dict[str, float | None]) -> str:
    ours = found["ours"] or math.nan
    ratios = ((found[name] or math.nan) / ours for name in HEAD[2:5])
    return ", ".join("—" if math.isnan(each) else f"{each:.1f} ×" for each in ratios)

"""Microseconds of CPU time from a header's bytes to what is made of it, medians of one core, side by side in one run."""

from __future__ import annotations

import gc
import io
import json
import statistics
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.data.data_manager import DATA_ROOT

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
sys.path[:0] = [str(ROOT / "tests"), str(SHARED / "tools")]

from dicom_export.dicom.series import SeriesMemory  # noqa: E402 - behind the path
from dicom_export.errors import InstanceError  # noqa: E402
from dicom_export.row_layout import RowLayout, SchemaKind  # noqa: E402
from dicom_export.rows.instance import decode_instance, explain_instance  # noqa: E402
from dicom_files import MemoryStore, make_stored  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Way = Callable[[bytes], object]

BLOCK = 10
"""Files that one way decodes before the next way has its turn: the ways alternate, and none finds its caches cold."""

RECIPE = "pydicom's recipe"


def recipe(data: bytes) -> str:
    """Decode as users of pydicom do."""
    data_set = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    return json.dumps(data_set.to_json_dict())


def own(kind: SchemaKind, memory: SeriesMemory | None = None) -> Way:
    """Return our way to a row; with a memory of the series, or without."""
    layout = RowLayout(kind)
    return lambda data: decode_instance(MemoryStore({"a": data}), make_stored("a", data), layout, memory)


def by_pydicom(data: bytes) -> object:
    """Decode to our row with pydicom as the parser, as unusual headers are."""
    return explain_instance(MemoryStore({"a": data}), make_stored("a", data), RowLayout(SchemaKind.FLATTENED))


def ways(*, is_series: bool) -> dict[str, Way]:
    """Return what is compared. Another decoder is one more line here."""
    return {
        RECIPE: recipe,
        "row": own(SchemaKind.FLATTENED, SeriesMemory() if is_series else None),
        "row, JSON schema": own(SchemaKind.JSON, SeriesMemory() if is_series else None),
        "row, pydicom parsing": by_pydicom,
    }


def measured(files: list[bytes], compared: dict[str, Way]) -> dict[str, float]:
    """Return each way's median in microseconds a file; files that pydicom's recipe fails on are left out."""
    files = [data for data in files if _succeeds(data)]
    times: dict[str, list[float]] = {name: [] for name in compared}
    for way in compared.values():  # tables that are filled once a process
        for data in files[:2]:
            _once(way, data)
        gc.collect()
    for start in range(0, len(files), BLOCK):
        for name, way in compared.items():
            times[name] += [_once(way, data) for data in files[start : start + BLOCK]]
    return {name: statistics.median(each) * 1e6 for name, each in times.items()}


def _once(way: Way, data: bytes) -> float:
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


def workloads() -> Iterable[tuple[str, list[bytes], bool]]:
    """Yield name, files, and whether they are of one series."""
    try:
        from make_store import Store  # noqa: PLC0415 - not in every checkout
    except ImportError:
        print(f"CT, MR, SR and multi-frame are missing: {SHARED}/tools/make_store.py is not there")
    else:
        for kind, count in (("ct", 100), ("mr", 100), ("sr", 20)):
            series = Store(studies=1, series=1, instances=count, mix=kind)
            yield f"{kind.upper()} series", [series.data(number) for number in range(count)], True
            studies = Store(studies=count // 2, series=1, instances=1, mix=kind)
            yield f"{kind.upper()}, first of its kind", [studies.data(number) for number in range(count // 2)], False
        for frames in (300, 1000):
            enhanced = Store(studies=3, series=1, instances=1, mix="emr", frames=frames)
            yield f"enhanced MR, {frames} frames", [enhanced.data(number) for number in range(3)], False
    paths = sorted(path for path in Path(DATA_ROOT).rglob("*") if path.suffix in {".dcm", ""} and path.is_file())
    yield "pydicom's test files", [path.read_bytes() for path in paths], False


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    columns = list(ways(is_series=False))
    print("| µs an instance (times faster than pydicom's recipe) | files | " + " | ".join(columns) + " |")
    print("| --- |" + " ---: |" * (len(columns) + 1))
    for name, files, is_series in workloads():
        found: dict[str, Any] = measured(files, ways(is_series=is_series))
        cells = [f"{found[column]:,.0f} ({found[RECIPE] / found[column]:.1f} ×)" for column in columns]
        print(f"| {name} | {len(files)} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

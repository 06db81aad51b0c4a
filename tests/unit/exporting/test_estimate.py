"""What an export would take: the arithmetic, and the sample that it is based on."""

from __future__ import annotations

import re
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dicom_export.api.exchange import HttpRequest
from dicom_export.api.server import answer
from dicom_export.cli.estimate import lines
from dicom_export.decoding.budget import DEFAULT_LIMITS
from dicom_export.exporting import estimate as estimating
from dicom_export.exporting.estimate import estimate_export, look_through
from dicom_export.operations import prices
from dicom_export.operations.estimate import Found, Sample, on_google_cloud, on_one_machine
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.stores import DeclaredStore
from support.dicom_files import MemoryStore, make_instance
from support.exports import STORE, InMemoryExports

FLATTENED = RowLayout(SchemaKind.FLATTENED)
SAMPLE = Sample(
    objects=100, instances=90, reads=110, read_bytes=6_400_000, row_bytes=400_000, seconds=1, cpu_seconds=0.1
)
PRICES = (Path(__file__).parents[3] / "docs" / "reference" / "prices.md").read_text()


def listed(*words: str) -> float:
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) \|", PRICES, re.MULTILINE)
    (price,) = [float(price) for name, price in rows if all(word in name for word in words)]
    return price


def test_what_was_measured_of_the_sample_is_scaled_to_all_objects() -> None:
    found = Found(Counter(STANDARD=1_000_000), 10**12)
    estimate = on_google_cloud(found, SAMPLE)
    assert (estimate.instances, estimate.reads) == (900_000, 1_100_000)
    assert (estimate.read_bytes, estimate.row_bytes) == (64_000_000_000, 4_000_000_000)
    # 1,000 messages on 50 pages: 1,000 lists for the objects and one per page, 9 requests for each message and page.
    assert estimate.other_requests == 1_000 + 50 + 9 * 1_050
    assert estimate.seconds == pytest.approx(1_000 * 3 * 1.5 / 20)


def test_the_price_is_the_sum_of_requests_bytes_and_seconds() -> None:
    estimate = on_google_cloud(Found(Counter(STANDARD=1_000_000), 10**12), SAMPLE)
    reads = (1_100_000 + 5 * 1_050) * 0.0004 / 1_000
    changes = (1_050 + 4 * 1_050) * 0.005 / 1_000
    messages = 2_050 * 0.40 / 10**6 + 2 * 440 * 10**6 * 40 / 2**40
    rows = 4 * 10**9 * 0.025 / 2**30
    workers = 4_500 * 0.000029
    assert estimate.price == pytest.approx(reads + changes + messages + rows + workers)


def test_a_cold_class_costs_its_own_requests_and_its_retrieval() -> None:
    warm = on_google_cloud(Found(Counter(STANDARD=1_000_000), 0), SAMPLE).price
    cold = on_google_cloud(Found(Counter(STANDARD=500_000, NEARLINE=500_000), 0), SAMPLE).price
    assert warm is not None
    assert cold == pytest.approx(warm + 550_000 * 0.0006 / 1_000 + 32 * 10**9 / 2**30 * 0.01)


def test_the_prices_are_those_of_the_table() -> None:
    assert listed("Class A", "Standard") / 1_000 == prices.LIST_OR_WRITE
    for name, read in prices.READ.items():
        assert listed("Class B", name.capitalize()) / 1_000 == read
    for name in prices.RETRIEVED_BYTE.keys() - {"STANDARD"}:
        assert listed("retrieval", name.capitalize()) / 2**30 == prices.RETRIEVED_BYTE[name]
    assert listed("Pub/Sub") / 2**40 == prices.MESSAGE_BYTE
    assert listed("Storage Write API") / 2**30 == prices.WRITTEN_BYTE
    assert listed("vCPU") + 2 * listed("Cloud Run, memory") == prices.WORKER_SECOND
    assert listed("Cloud Run, requests") / 10**6 == prices.CALL


def test_one_machine_has_no_price_and_shares_the_time_among_its_workers() -> None:
    estimate = on_one_machine(Found(Counter(STANDARD=1_000), 0), SAMPLE, workers=4)
    assert estimate.price is None
    assert estimate.seconds == pytest.approx(10 * 1.5 / 4)
    assert "priceUsd" not in estimate.to_json()["estimated"]


def store_of(instances: int) -> MemoryStore:
    files = {f"{number:05}.dcm": make_instance(SOPInstanceUID=f"1.2.{number}") for number in range(instances)}
    return MemoryStore(files | {"notes.txt": b"plain text " * 100})


def test_an_estimate_of_few_objects_reads_each_of_them() -> None:
    estimate = estimate_export(DeclaredStore(store_of(5)), FLATTENED, DEFAULT_LIMITS, workers=1)
    assert (estimate.found.count, estimate.sample.objects, estimate.instances) == (6, 6, 5)
    assert estimate.reads >= 6
    assert estimate.row_bytes > 500


def test_an_estimate_reads_a_sample_of_many_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "SAMPLE", 10)
    store = store_of(40)
    estimate = estimate_export(DeclaredStore(store, ("*.txt",)), FLATTENED, DEFAULT_LIMITS)
    assert (estimate.found.count, estimate.sample.objects, estimate.instances) == (40, 10, 40)
    names = {name for name, _, _ in store.reads}
    assert len(names) == 10
    assert max(names) > "00019.dcm"


def test_a_listing_that_takes_too_long_is_not_complete() -> None:
    found, _ = look_through(DeclaredStore(store_of(10)), clock=count(0, 5).__next__)
    assert not found.is_complete
    assert 0 < found.count < 10


def test_an_empty_store_takes_nothing() -> None:
    estimate = estimate_export(DeclaredStore(MemoryStore({})), FLATTENED, DEFAULT_LIMITS)
    assert (estimate.instances, estimate.read_bytes, estimate.price) == (0, 0, 0)


def test_text_tells_exact_numbers_from_estimated_ones() -> None:
    exact: dict[str, Any] = on_google_cloud(Found(Counter(STANDARD=1_234), 5 * 2**30), SAMPLE).to_json()
    text = [*lines(exact)]
    assert text[0] == "objects: 1,234, 5.0 GiB"
    assert text[1] == "instances: about 1,111"
    assert all("about" in line for line in text[1:-1])
    assert text[-1] == "The sample had 100 objects."
    exact["exact"]["isComplete"] = False
    assert next(lines(exact)) == "objects: more than 1,234, 5.0 GiB"


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_the_api_estimates_an_export(version: str) -> None:
    service = InMemoryExports()
    path = f"/{version}/{STORE}:estimateExport"
    response = answer(HttpRequest("GET", path, {"schema": "json"}, b""), service)
    assert response.status == 200
    assert (response.body["exact"]["objects"], response.body["estimated"]["instances"]) == ("10", "9")
    assert service.estimated == [(STORE, SchemaKind.JSON)]
    refused = answer(HttpRequest("GET", path, {"schema": "xml"}, b""), service)
    assert (refused.status, "flattened or json" in str(refused.body)) == (400, True)
    assert (
        answer(HttpRequest("GET", path.replace("dicomStores/s:", "dicomStores/other:"), {}, b""), service).status == 404
    )

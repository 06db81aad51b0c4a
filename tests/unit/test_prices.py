"""One table has the list prices; what other pages and the benchmark multiply is in it, and their sums are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cloud_requests
from dicom_export.operations import cold_reads
from dicom_export.stores import COLD_CLASSES

ROOT = Path(__file__).parents[2]
INFRA = (ROOT / "infra" / "README.md").read_text()
MONITORING = (ROOT / "infra" / "monitoring.tf").read_text()


def prices() -> dict[str, float]:
    """Return the table: price by what it is for, up to the first comma or semicolon after the product."""
    text = (ROOT / "docs" / "reference" / "prices.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) \| [^|]+ \|$", text, re.MULTILINE)
    return {name: float(price) for name, price in rows}


def price(*words: str) -> float:
    (found,) = [each for name, each in prices().items() if all(word in name for word in words)]
    return found


def test_the_benchmark_multiplies_the_prices_of_the_table() -> None:
    assert price("Class A", "Standard", "per 1,000") / 1_000 == cloud_requests.CLASS_A
    assert price("Class B", "Standard", "per 1,000") / 1_000 == cloud_requests.CLASS_B
    assert price("Pub/Sub", "per TiB") / 2**40 == cloud_requests.PUBSUB_BYTE
    assert price("Storage Write API", "per GiB") / 2**30 == cloud_requests.WRITE_BYTE
    assert price("vCPU") + 2 * price("Cloud Run, memory") == cloud_requests.WORKER_SECOND
    assert price("Cloud Run, requests", "per million") / 1_000_000 == cloud_requests.INVOCATION


def test_the_sum_of_a_refused_export_multiplies_the_prices_of_the_table() -> None:
    for name in COLD_CLASSES:
        storage = name.capitalize()
        assert price("Class B", storage, "per 1,000") / 1_000 == cold_reads.OPERATION[name]
        assert price("retrieval", storage, "per GiB") == cold_reads.RETRIEVAL[name]
        assert cold_reads.TRANSITION[name] in (0, price("Class A", "Standard", "per 1,000") / 1_000)
    for name, monthly in cold_reads.STORAGE.items():
        assert price(f"{name.capitalize()}, per GiB and month") == monthly


def test_the_benchmarks_page_links_the_table() -> None:
    assert "[list prices](reference/prices.md)" in (ROOT / "docs" / "benchmarks.md").read_text()


@pytest.mark.parametrize(("storage", "sum_shown"), [("Nearline", "1.80"), ("Archive", "59.40")])
def test_reading_a_cold_class_costs_what_the_page_says(storage: str, sum_shown: str) -> None:
    operation, retrieval = price("Class B", storage), price("retrieval", storage)
    shown = rf"{storage} 1,120 × {operation:g}\D.*?68 × {retrieval:g}\D.*?{sum_shown}"
    assert re.search(shown, INFRA, re.DOTALL)
    assert f"{1_120 * operation + 68 * retrieval:.2f}" == sum_shown


def test_the_alerts_cost_their_conditions_and_the_series_that_fire() -> None:
    (alerts,) = re.findall(r"^  alerts = \{\n(.*?)^  \}", MONITORING, re.MULTILINE | re.DOTALL)
    conditions = len(re.findall(r"^    \w+ = \{$", alerts, re.MULTILINE))
    cost = conditions * price("alert condition")
    assert f"| alerts, conditions | {conditions} × {price('alert condition'):.2f} | {cost:.2f} |" in INFRA
    assert all(">" in query for query in re.findall(r'^ +query += (".*")$', alerts, re.MULTILINE))
    (seconds,) = re.findall(r'evaluation_interval = "(\d+)s"', MONITORING)
    evaluations = 30 * 24 * 3600 // int(seconds)
    shown = (
        rf"{evaluations:,} ×\s{price('time series'):.2f} / 1,000,000 = {evaluations * price('time series') / 1e6:.2f}"
    )
    assert re.search(shown, INFRA)


def test_the_rest_of_the_idle_costs_are_products_of_listed_prices() -> None:
    assert f"0.3 GB per million × {price('Standard', 'month'):.2f} | {0.3 * price('Standard', 'month'):.2f} |" in INFRA
    assert f"4 GB at most × {price('Artifact'):.2f} | {4 * price('Artifact'):.2f} |" in INFRA
    assert f"5 GB × {price('logical storage'):.2f} = {5 * price('logical storage'):.2f} per month" in INFRA


def test_change_data_capture_costs_what_the_guide_says() -> None:
    guide = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
    tebibytes = round(50e9 / 2**40, 4)
    shown = f"6 × {tebibytes} TiB × {price('BigQuery, query'):g} = {6 * tebibytes * price('BigQuery, query'):.2f} US dollars a day"
    assert shown in guide

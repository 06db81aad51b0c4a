"""What the console shows on Google Cloud and not on one machine: regions, rights, and links to Google's own consoles."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from dicom_export.errors import NotFound, PermissionDenied, Unavailable
from dicom_export.operations.request import WriteDisposition
from dicom_export.rows.layout import SchemaKind
from support.command_line import make_folder
from support.console import Browser, check_markup, installation_of
from support.factories import STORE
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "europe-west4"


class Lists:
    """A project with one dataset, as the installation sees it: `locations` are its location, or the error of looking for it."""

    def __init__(self) -> None:
        self.found: str | Exception = REGION

    def projects(self) -> list[str]:
        return ["local"]

    def datasets(self, project: str) -> list[str]:
        return ["main"] if project == "local" else []

    def tables(self, project: str, dataset: str) -> list[str]:
        return [f"{project}-{dataset}"]

    def location(self, project: str, dataset: str) -> str:
        del project, dataset
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, make_folder(tmp_path / "scans", 3))
    yield world
    world.close()


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
def browser(world: World, lists: Lists, tmp_path: Path) -> Browser:
    local = installation_of(world, tmp_path)
    return Browser(replace(local, region=REGION, lists=lists, filters=None, queries=None, log=None))


def checks(browser: Browser, **fields: str) -> str:
    values = {"store": str(STORE), "project": "local", "dataset": "main", "table": "pacs", **fields}
    assert browser.open(f"/export?{urlencode(values)}") == 200
    return browser.text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (REGION, f"Dataset main exists, in {REGION}."),
        ("EU", "Dataset main exists, in EU."),
        ("us-east1", f"The dataset is in us-east1, and this installation in {REGION}. The rows leave the region."),
        (NotFound("Dataset local.main was not found; create it first"), "was not found; create it first"),
        (PermissionDenied("bigquery.datasets.get is missing"), "bigquery.datasets.get is missing"),
        (Unavailable("BigQuery does not answer"), "BigQuery does not answer"),
    ],
)
def test_the_checks_say_where_the_dataset_is_and_what_is_missing(
    browser: Browser, lists: Lists, found: Any, said: str
) -> None:
    lists.found = found
    assert said in checks(browser)


def test_another_region_is_a_warning_and_no_obstacle(browser: Browser, lists: Lists) -> None:
    lists.found = "us-east1"
    assert "Table pacs does not exist. The export creates it." in checks(browser)
    assert "leave the region" not in checks(browser, dataset="")


def test_every_page_says_where_it_is_and_none_reads_rows(browser: Browser) -> None:
    for address in ("/", f"/export?store={STORE}", "/operations", "/uploads"):
        assert browser.open(address) == 200
        assert f"Google Cloud · {REGION}" in browser.text
        assert 'href="data' not in browser.html
        check_markup(browser.page)
    assert browser.open("/data?table=local.main.pacs") == 200
    assert "SQL" not in browser.text


def test_tables_logs_and_dashboards_are_links_to_googles_consoles(browser: Browser, world: World) -> None:
    operation = world.export(WriteDisposition.WRITE_APPEND, schema=SchemaKind.FLATTENED)
    world.drain()
    browser.open(f"/operation?{urlencode({'name': str(operation.name)})}")
    links = re.findall(r'href="(https://[^"]+)"', browser.html)
    assert any(each.startswith("https://console.cloud.google.com/bigquery?") for each in links)
    assert any(each.startswith("https://console.cloud.google.com/logs/query") for each in links)
    browser.open("/uploads")
    assert "https://console.cloud.google.com/monitoring" in browser.html


def test_only_buckets_have_cold_objects(browser: Browser, world: World, tmp_path: Path) -> None:
    assert "Read objects in cold storage" in checks(browser)
    assert "cold storage" not in checks(Browser(installation_of(world, tmp_path)))


def test_a_file_of_ones_own_is_copied_to_a_bucket_first(browser: Browser) -> None:
    assert "gcloud storage cp FILE gs://BUCKET/" in checks(browser, take="filter")
    form = {**browser.forms[0], "take": "filter", "filter_text": "/studies/1.2", "intent": "start"}
    assert browser.send("/export", form) == 200
    assert "The export was not started" in browser.text

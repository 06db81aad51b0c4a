"""What every list of tables does, for people who choose one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from google.cloud.bigquery import DatasetReference

from dicom_export.adapters.gcp.bigquery.table_catalog import rest_client
from dicom_export.adapters.gcp.bigquery.table_lists import BigQueryLists
from dicom_export.adapters.gcp.bigquery.tables import BigQueryTables
from dicom_export.adapters.local.duckdb.table_lists import DuckDbLists
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.errors import NotFound
from dicom_export.names import TableName
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import common_columns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_export.ports import TableLists, Tables
    from support.emulators.bigquery import BigQuery

PROJECT = "my-project"
DATASETS = ("Imaging", "other")
COLUMNS = tuple(common_columns(SchemaKind.JSON, has_source_store=False))


class Local:
    """A project with two datasets, in a DuckDB file."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        folder: Path = request.getfixturevalue("tmp_path")
        self._tables = DuckDbTables(directory=folder, streams=folder / "streams")
        for dataset in DATASETS:
            self._tables.create_dataset(PROJECT, dataset)
        self.lists: TableLists = DuckDbLists(self._tables.catalogs)
        self.tables: Tables = self._tables

    def close(self) -> None:
        self._tables.close()


class Emulated:
    """The same in the emulator."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        emulator: BigQuery = request.getfixturevalue("bigquery_emulator")
        self._client = rest_client(f"installation-{uuid.uuid4().hex}", is_emulated=True)
        for dataset in DATASETS:
            self._client.delete_dataset(f"{PROJECT}.{dataset}", delete_contents=True, not_found_ok=True)
            self._client.create_dataset(DatasetReference(PROJECT, dataset))
        tables = BigQueryTables(PROJECT, write_endpoint=emulator.write_endpoint)
        self.lists: TableLists = BigQueryLists(PROJECT, tables)
        self.tables: Tables = tables

    def close(self) -> None:
        for dataset in DATASETS:
            self._client.delete_dataset(f"{PROJECT}.{dataset}", delete_contents=True)
        self._client.close()


@pytest.fixture(params=[Local, Emulated])
def warehouse(request: pytest.FixtureRequest) -> Iterator[Local | Emulated]:
    made: Local | Emulated = request.param(request)
    yield made
    made.close()


def test_projects_datasets_and_tables_are_listed_by_name(warehouse: Local | Emulated) -> None:
    for name in ("scans", "Archive"):
        warehouse.tables.prepare(TableName(PROJECT, "Imaging", name), COLUMNS)
    lists = warehouse.lists
    assert PROJECT in lists.projects()
    assert set(DATASETS) <= set(lists.datasets(PROJECT))
    assert list(lists.datasets(PROJECT)) == sorted(lists.datasets(PROJECT))
    assert lists.tables(PROJECT, "Imaging") == ["Archive", "scans"]
    assert lists.tables(PROJECT, "other") == []


def test_tables_of_this_program_are_not_listed(warehouse: Local | Emulated) -> None:
    staging = TableName(PROJECT, "other", "dicom_export_staging_1")
    warehouse.tables.prepare_staging(staging, COLUMNS, TableName(PROJECT, "other", "scans"))
    assert warehouse.lists.tables(PROJECT, "other") == []


def test_of_what_does_not_exist_nothing_is_listed(warehouse: Local | Emulated) -> None:
    assert list(warehouse.lists.datasets("no-such-project")) == []
    assert list(warehouse.lists.tables(PROJECT, "nowhere")) == []
    assert list(warehouse.lists.tables(PROJECT, "no dataset; has this name")) == []


def test_the_location_is_that_of_the_dataset_and_a_missing_dataset_is_not_found(warehouse: Local | Emulated) -> None:
    assert warehouse.lists.location(PROJECT, "Imaging") == ("" if isinstance(warehouse, Local) else "US")
    with pytest.raises(NotFound, match="nowhere"):
        warehouse.lists.location(PROJECT, "nowhere")

"""Keep tables in BigQuery, with streams of the Storage Write API that commit their rows exactly once."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from dicom_export.errors import FailedPrecondition
from dicom_export.names import TableName
from dicom_export.ports import CHANGE_KEY, MAX_STALENESS_HOURS, TableInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa
    from google.cloud.bigquery import Client

    from dicom_export.adapters.gcp.bigquery.jobs import Jobs
    from dicom_export.adapters.gcp.bigquery.preparation import Preparation
    from dicom_export.adapters.gcp.bigquery.table_catalog import TableCatalog
    from dicom_export.adapters.gcp.bigquery.table_comparison import TableComparisons
    from dicom_export.adapters.gcp.bigquery.table_swap import TableSwaps
    from dicom_export.adapters.gcp.bigquery.table_views import TableViews
    from dicom_export.adapters.gcp.bigquery.write_streams import WriteStreams
    from dicom_export.names import StoreName
    from dicom_export.operations.counters import DifferenceCounts
    from dicom_export.ports import Version
    from dicom_export.rows.partitioning import Partitioning
    from dicom_export.rows.schema import Schema
    from dicom_export.stored_object import ObjectVersion
    from dicom_export.verifying.reconciliation import Difference

_KEYED = {"tableConstraints": {"primaryKey": {"columns": [CHANGE_KEY]}}, "clustering": {"fields": [CHANGE_KEY]}}


class BigQueryTables:
    """The tables of all projects that the installation may write to. Safe to use from several threads.

    `project` runs the jobs; a table's own project is part of its name. `write_endpoint` is the host and port of an emulator,
    which needs no credentials; the address of its REST API is BIGQUERY_EMULATOR_HOST. `staging_datasets` has the dataset for
    the staging tables of each dataset, both as PROJECT.DATASET. The client libraries are imported, and their clients made,
    when they are first needed: describing a table needs neither Arrow nor the Write API.
    """

    def __init__(
        self,
        project: str,
        *,
        write_endpoint: str | None = None,
        max_staleness_hours: int = MAX_STALENESS_HOURS,
        staging_datasets: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._project = project
        self._max_staleness_hours = max_staleness_hours
        self._staging_datasets = staging_datasets or {}
        self._write_endpoint = write_endpoint
        self._sleep = sleep

    def describe(self, table: TableName) -> TableInfo | None:
        """Describe the table. Rows of others in a streaming buffer are counted as BigQuery estimates them."""
        from dicom_export.adapters.gcp.bigquery.preparation import partitioning_of
        from dicom_export.adapters.gcp.bigquery.table_schema import schema_of

        found = self._catalog.find(table)
        if found is None:
            return None
        waiting = found.get("streamingBuffer", {}).get("estimatedRows", 0)
        return TableInfo(
            schema_of(found.get("schema", {}).get("fields", ())),
            int(found.get("numRows", 0)) + int(waiting),
            partitioning_of(found),
        )

    def possible_partitioning(self, table: TableName, wanted: Partitioning) -> Partitioning:
        """As the port says. A new table without an expiration gets the one that its dataset has for partitions."""
        if wanted.expiration_ms is not None or self._catalog.find(table):
            return wanted
        default = self._catalog.partition_expiration_of(table)
        if default is not None:
            raise FailedPrecondition(
                f"Tables of the dataset {table.project}.{table.dataset} get a partition expiration of {default} ms by default,"
                " and lastUpdatedPartitionConfig has no expirationMs. Set expirationMs, or remove the default from the dataset"
            )
        return wanted

    def prepare(self, table: TableName, schema: Schema, partitioning: Partitioning | None = None) -> None:
        self._preparation.create_or_grow(table, schema, partitioning=partitioning)

    def prepare_changes(self, table: TableName, schema: Schema) -> None:
        """Prepare the table for changes. A new table is clustered by its key, so that BigQuery finds the rows to change.

        It may also be stale for some hours: otherwise every query merges all changes since the last one, and pays for that.
        """
        # The form in which BigQuery shows the option: https://cloud.google.com/bigquery/docs/change-data-capture
        staleness = {"maxStaleness": f"0-0 0 {self._max_staleness_hours}:0:0"}
        self._preparation.create_or_grow(table, schema, lambda: _KEYED | staleness)
        found = self._catalog.find(table) or {}
        key = found.get("tableConstraints", {}).get("primaryKey", {}).get("columns")
        if key != [CHANGE_KEY]:
            raise FailedPrecondition(
                f"{table} has {f'the primary key {key}' if key else 'no primary key'}; change data capture needs"
                f" {CHANGE_KEY}: name a table that is not there yet, or ALTER TABLE … ADD PRIMARY KEY ({CHANGE_KEY}) NOT ENFORCED"
            )

    def prepare_staging(self, table: TableName, schema: Schema, like: TableName) -> None:
        from dicom_export.adapters.gcp.bigquery.staging import staging_table

        self._preparation.create_or_grow(table, schema, lambda: staging_table(like, self._catalog.find(like), schema))

    def staging_table(self, table: TableName, name: str) -> TableName:
        dataset = self._staging_datasets.get(f"{table.project}.{table.dataset}")
        if dataset is None:
            return replace(table, table=name)
        project, _, dataset = dataset.rpartition(".")
        return TableName(project, dataset, name)

    def stream(self, table: TableName, batch: pa.RecordBatch) -> None:
        self._streams.append_at_once(table, batch)

    def change(self, table: TableName, batch: pa.RecordBatch, versions: Sequence[Version]) -> None:
        self._streams.append_at_once(table, batch, versions)

    def await_columns(self, table: TableName) -> None:
        self._streams.await_columns(table)

    def open_stream(self, table: TableName) -> str:
        return self._streams.open(table)

    def append(self, stream: str, offset: int, batch: pa.RecordBatch) -> None:
        self._streams.append(stream, offset, batch)

    def finalize(self, stream: str) -> int:
        return self._streams.finalize(stream)

    def commit(self, table: TableName, stream: str) -> None:
        self._streams.commit(table, stream)

    def discard(self, stream: str) -> None:
        """Close the connection. BigQuery deletes a stream that nobody commits."""
        self._streams.close(stream)

    def replace(
        self,
        table: TableName,
        staging: TableName,
        *,
        expected_rows: int,
        job: str,
        partitioning: Partitioning | None = None,
    ) -> None:
        self._swaps.replace(table, staging, expected_rows=expected_rows, job=job, partitioning=partitioning)

    def annotate(self, table: TableName, *, views: bool) -> None:
        """As the port says. The columns have had their descriptions since they were created."""
        self._views.define(table, create=views)

    def drop(self, staging: TableName) -> None:
        self._catalog.drop(staging)

    def compare(
        self, table: TableName, inventory: TableName, report: TableName, store: StoreName, *, before: datetime, job: str
    ) -> None:
        self._comparisons.compare(table, inventory, report, store, before=before, job=job)

    def keep_objects(self, table: TableName, objects: TableName, *, job: str) -> None:
        self._comparisons.keep_objects(table, objects, job=job)

    def known_objects(self, objects: TableName, uris: Sequence[str]) -> Iterator[ObjectVersion]:
        return self._comparisons.known_objects(objects, uris)

    def differences(self, report: TableName) -> Iterator[Difference]:
        return self._comparisons.differences(report)

    def count_differences(self, report: TableName) -> DifferenceCounts:
        return self._comparisons.count(report)

    def location_of(self, table: TableName) -> str:
        """Return the location of the table's dataset. Raises NotFound."""
        return self._catalog.location_of(table)

    @property
    def client(self) -> Client:
        """The client that lists datasets and tables."""
        return self._client

    @cached_property
    def _client(self) -> Client:
        from dicom_export.adapters.gcp.bigquery.table_catalog import rest_client

        return rest_client(self._project, is_emulated=self._write_endpoint is not None)

    @cached_property
    def _catalog(self) -> TableCatalog:
        from dicom_export.adapters.gcp.bigquery.table_catalog import TableCatalog

        return TableCatalog(self._client)

    @cached_property
    def _preparation(self) -> Preparation:
        from dicom_export.adapters.gcp.bigquery.preparation import Preparation

        return Preparation(self._catalog, self._sleep)

    @cached_property
    def _streams(self) -> WriteStreams:
        from dicom_export.adapters.gcp.bigquery.write_streams import WriteStreams, write_client

        return WriteStreams(write_client(self._write_endpoint), self._catalog, sleep=self._sleep)

    @cached_property
    def _jobs(self) -> Jobs:
        from dicom_export.adapters.gcp.bigquery.jobs import Jobs

        return Jobs(self._client, self._sleep)

    @cached_property
    def _swaps(self) -> TableSwaps:
        from dicom_export.adapters.gcp.bigquery.table_swap import TableSwaps

        return TableSwaps(self._client, self._catalog, self._preparation, self._jobs)

    @cached_property
    def _views(self) -> TableViews:
        from dicom_export.adapters.gcp.bigquery.table_views import TableViews

        return TableViews(self._client, self._catalog)

    @cached_property
    def _comparisons(self) -> TableComparisons:
        from dicom_export.adapters.gcp.bigquery.table_comparison import TableComparisons

        return TableComparisons(self._client, self._catalog, self._jobs)

"""Compare a table with an inventory of a store by one job, and read the report it writes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from google.cloud.bigquery import QueryJobConfig, ScalarQueryParameter

from dicom_export.adapters.gcp.bigquery.jobs import JOB_SECONDS
from dicom_export.adapters.gcp.bigquery.table_catalog import BRIEF_RETRY, table_not_found, table_sql
from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS, google_errors
from dicom_export.verifying.reconciliation import (
    COUNTS,
    DIFFERENCES,
    Difference,
    comparison,
    difference_counts,
    has_source_store,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from google.cloud.bigquery import Client
    from google.cloud.bigquery.table import RowIterator

    from dicom_export.adapters.gcp.bigquery.jobs import Job, Jobs
    from dicom_export.adapters.gcp.bigquery.table_catalog import TableCatalog
    from dicom_export.names import StoreName, TableName
    from dicom_export.operations.counters import DifferenceCounts

_PAGE_ROWS = 10_000


class TableComparisons:
    """Comparisons of tables, each by a job whose purpose determines its id."""

    def __init__(self, client: Client, catalog: TableCatalog, jobs: Jobs) -> None:
        self._client = client
        self._catalog = catalog
        self._jobs = jobs

    def compare(
        self, table: TableName, inventory: TableName, report: TableName, store: StoreName, *, before: datetime, job: str
    ) -> None:
        """Run the job unless it has run. Raises the errors of the port and of `Jobs.succeed`."""
        location = self._catalog.location_of(report)
        self._jobs.succeed(
            report, job, location, partial(self._begin, location, table, inventory, report, store, before)
        )

    def differences(self, report: TableName) -> Iterator[Difference]:
        return map(Difference.of, self._rows(report, DIFFERENCES))

    def count(self, report: TableName) -> DifferenceCounts:
        rows = ((row["Difference"], row["Instances"], row["Outranked"]) for row in self._rows(report, COUNTS))
        return difference_counts(rows)

    def _begin(
        self,
        location: str,
        table: TableName,
        inventory: TableName,
        report: TableName,
        store: StoreName,
        before: datetime,
        name: str,
    ) -> Job:
        found = self._catalog.find(table)
        if found is None:
            raise table_not_found(table)
        columns = {field["name"] for field in found.get("schema", {}).get("fields", ())}
        parameters = [ScalarQueryParameter(None, "TIMESTAMP", before)]
        if has_source_store(columns):
            parameters.insert(0, ScalarQueryParameter(None, "STRING", str(store)))
        # A statement, not the job's destination: existing columns of a destination could conflict.
        return self._client.query(
            f"CREATE OR REPLACE TABLE {table_sql(report)} AS {comparison(table, columns, table_sql(table), table_sql(inventory))}",
            job_id=name,
            location=location,
            job_config=QueryJobConfig(query_parameters=parameters),
            retry=BRIEF_RETRY,
            job_retry=None,
            timeout=TIMEOUT_SECONDS,
        )

    def _rows(self, report: TableName, statement: str) -> RowIterator:
        with google_errors(f"Read {report}"):
            job = self._client.query(
                statement.format(report=table_sql(report)),
                location=self._catalog.location_of(report),
                retry=BRIEF_RETRY,
                job_retry=None,
                timeout=TIMEOUT_SECONDS,
            )
            return job.result(page_size=_PAGE_ROWS, retry=BRIEF_RETRY, job_retry=None, timeout=JOB_SECONDS)

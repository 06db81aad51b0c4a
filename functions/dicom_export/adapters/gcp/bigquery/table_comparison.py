"""Compare a table with an inventory of a store by one job, and read the report it writes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from google.cloud.bigquery import ArrayQueryParameter, QueryJobConfig, ScalarQueryParameter

from dicom_export.adapters.gcp.bigquery.jobs import JOB_SECONDS
from dicom_export.adapters.gcp.bigquery.staging import expiration_time
from dicom_export.adapters.gcp.bigquery.table_catalog import BRIEF_RETRY, table_not_found, table_sql
from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS, google_errors
from dicom_export.rows.schema import to_json
from dicom_export.stored_object import ObjectVersion
from dicom_export.verifying.reconciliation import (
    COUNTS,
    DIFFERENCES,
    OBJECTS,
    Difference,
    comparison,
    difference_counts,
    has_source_store,
    versions,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from google.cloud.bigquery import Client
    from google.cloud.bigquery.table import RowIterator

    from dicom_export.adapters.gcp.bigquery.jobs import Job, Jobs
    from dicom_export.adapters.gcp.bigquery.table_catalog import TableCatalog
    from dicom_export.names import StoreName, TableName
    from dicom_export.operations.counters import DifferenceCounts

    Parameter = ScalarQueryParameter | ArrayQueryParameter

_PAGE_ROWS = 10_000
# A request with parameters may have 10 MB: https://cloud.google.com/bigquery/quotas#query_jobs
_PART_BYTES = 2 << 20
# The first condition is what selects the blocks of a clustered table.
_AMONG = "SourceObject BETWEEN @first AND @last AND SourceObject IN UNNEST(@uris)"


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

    def keep_objects(self, table: TableName, objects: TableName, *, job: str) -> None:
        """Run the job unless it has run. Raises the errors of the port and of `Jobs.succeed`."""
        location = self._catalog.location_of(objects)
        self._jobs.succeed(objects, job, location, partial(self._begin_copy, location, table, objects))

    def known_objects(self, objects: TableName, uris: Sequence[str]) -> Iterator[ObjectVersion]:
        """Yield the versions of these objects by a query per 2 MiB of URIs.

        A copy is clustered by URI, so that a query reads the part with these URIs only.
        """
        columns = self._columns(objects)
        statement = f"{versions(objects, columns, table_sql(objects))} AND {_AMONG}"
        for part in _parts(sorted(set(uris))):
            parameters: list[Parameter] = [
                ScalarQueryParameter("first", "STRING", part[0]),
                ScalarQueryParameter("last", "STRING", part[-1]),
                ArrayQueryParameter("uris", "STRING", part),
            ]
            for row in self._rows(objects, statement, parameters):
                yield ObjectVersion(row["SourceObject"], row["SourceGeneration"], row["BlobStorageSize"])

    def differences(self, report: TableName) -> Iterator[Difference]:
        return map(Difference.of, self._rows(report, DIFFERENCES.format(report=table_sql(report))))

    def count(self, report: TableName) -> DifferenceCounts:
        rows = self._rows(report, COUNTS.format(report=table_sql(report)))
        return difference_counts((row["Difference"], row["Instances"], row["Outranked"]) for row in rows)

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
        columns = self._columns(table)
        parameters = [ScalarQueryParameter(None, "TIMESTAMP", before)]
        if has_source_store(columns):
            parameters.insert(0, ScalarQueryParameter(None, "STRING", str(store)))
        statement = comparison(table, columns, table_sql(table), self._columns(inventory), table_sql(inventory))
        # A statement, not the job's destination: existing columns of a destination could conflict.
        return self._client.query(
            f"CREATE OR REPLACE TABLE {table_sql(report)} AS {statement}",
            job_id=name,
            location=location,
            job_config=QueryJobConfig(query_parameters=parameters),
            retry=BRIEF_RETRY,
            job_retry=None,
            timeout=TIMEOUT_SECONDS,
        )

    def _begin_copy(self, location: str, table: TableName, objects: TableName, name: str) -> Job:
        statement = versions(table, self._columns(table), table_sql(table))
        clustering = {"fields": [OBJECTS[0].name]}
        resource = {
            "schema": {"fields": to_json(OBJECTS)},
            "clustering": clustering,
            "expirationTime": expiration_time(),
        }
        self._catalog.create(objects, resource)
        return self._client.query(
            f"INSERT INTO {table_sql(objects)} ({', '.join(field.name for field in OBJECTS)}) {statement}",
            job_id=name,
            location=location,
            retry=BRIEF_RETRY,
            job_retry=None,
            timeout=TIMEOUT_SECONDS,
        )

    def _columns(self, table: TableName) -> set[str]:
        """Return the names of the columns of a table. Raises NotFound."""
        found = self._catalog.find(table)
        if found is None:
            raise table_not_found(table)
        return {field["name"] for field in found.get("schema", {}).get("fields", ())}

    def _rows(self, table: TableName, statement: str, parameters: Sequence[Parameter] = ()) -> RowIterator:
        with google_errors(f"Read {table}"):
            job = self._client.query(
                statement,
                location=self._catalog.location_of(table),
                job_config=QueryJobConfig(query_parameters=parameters),
                retry=BRIEF_RETRY,
                job_retry=None,
                timeout=TIMEOUT_SECONDS,
            )
            return job.result(page_size=_PAGE_ROWS, retry=BRIEF_RETRY, job_retry=None, timeout=JOB_SECONDS)


def _parts(uris: Iterable[str]) -> Iterator[list[str]]:
    """Yield the URIs in lists that one request can hold."""
    part: list[str] = []
    size = 0
    for uri in uris:
        length = len(uri.encode())
        if part and size + length > _PART_BYTES:
            yield part
            part, size = [], 0
        part.append(uri)
        size += length
    if part:
        yield part

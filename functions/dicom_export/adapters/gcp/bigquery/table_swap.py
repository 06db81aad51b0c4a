"""A staging table takes the place of another by one job: readers see the old rows, then the new ones.

What a copy job with WRITE_TRUNCATE does to the destination: its rows and its schema become the source's, at once. That may take
descriptions of columns and policy tags along, which is why the staging table has them too, and it may lose the table's own
description and labels, which are put back. Row access policies are not: nobody but their owner may do that.
https://cloud.google.com/bigquery/docs/reference/auditlogs/rest/Shared.Types/BigQueryAuditMetadata.WriteDisposition
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

from google.cloud.bigquery import CopyJobConfig, EncryptionConfiguration, QueryJobConfig

from dicom_export.adapters.gcp.bigquery.jobs import JOB_SECONDS
from dicom_export.adapters.gcp.bigquery.table_catalog import BRIEF_RETRY, reference, table_not_found, table_sql
from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS, google_errors
from dicom_export.errors import FailedPrecondition, PermanentError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.bigquery import Client

    from dicom_export.adapters.gcp.bigquery.jobs import Job, Jobs
    from dicom_export.adapters.gcp.bigquery.table_catalog import Resource, TableCatalog
    from dicom_export.names import TableName

log = logging.getLogger(__name__)

_KEPT = ("description", "friendlyName", "labels")


class TableSwaps:
    """Replacements of tables, each by a job whose id follows from what it is for."""

    def __init__(self, client: Client, catalog: TableCatalog, jobs: Jobs) -> None:
        self._client = client
        self._catalog = catalog
        self._jobs = jobs

    def replace(self, table: TableName, staging: TableName, *, expected_rows: int, job: str) -> None:
        """Run the job unless it has run, then drop the staging table.

        Raises FailedPrecondition for a staging table with another number of rows, and what `Jobs.succeed` raises. Once the job has
        succeeded the table has its new rows: what fails for good after that is logged, and the replacement stands.
        """
        location = self._catalog.location_of(table)
        self._jobs.succeed(table, job, location, partial(self._begin, location, table, staging, expected_rows))
        with _logged(f"{table} has its new rows, and may lack its description and labels, or expire"):
            self._put_back(table, staging)
        with _logged(f"{table} has its new rows, and {staging} stays until it expires"):
            self._catalog.drop(staging)

    def _begin(self, location: str, table: TableName, staging: TableName, expected_rows: int, name: str) -> Job:
        source = self._catalog.find(staging)
        if source is None:
            raise table_not_found(staging)
        # What is in a streaming buffer no copy job sees, nor does numRows count it.
        is_settled = "streamingBuffer" not in source and int(source.get("numRows", -1)) == expected_rows
        rows = expected_rows if is_settled else self._count(staging, location)
        if rows != expected_rows:
            raise FailedPrecondition(f"{staging} has {rows} rows, not the {expected_rows} that were exported")
        begin = self._copy if is_settled else self._query
        return begin(name, location, table, staging, source)

    def _copy(self, name: str, location: str, table: TableName, staging: TableName, source: Resource) -> Job:
        config = CopyJobConfig(write_disposition="WRITE_TRUNCATE", create_disposition="CREATE_IF_NEEDED")
        if "encryptionConfiguration" in source:
            config.destination_encryption_configuration = _encryption(source)
        return self._client.copy_table(
            reference(staging),
            reference(table),
            job_id=name,
            location=location,
            job_config=config,
            retry=BRIEF_RETRY,
            timeout=TIMEOUT_SECONDS,
        )

    def _query(self, name: str, location: str, table: TableName, staging: TableName, source: Resource) -> Job:
        """Begin the job that sees the streaming buffer too. The columns that were REQUIRED are NULLABLE afterwards."""
        layout = {key: source[key] for key in ("timePartitioning", "rangePartitioning", "clustering") if key in source}
        config = cast("QueryJobConfig", QueryJobConfig.from_api_repr({"query": {"useLegacySql": False, **layout}}))
        config.destination = reference(table)
        config.write_disposition = "WRITE_TRUNCATE"
        if "encryptionConfiguration" in source:
            config.destination_encryption_configuration = _encryption(source)
        return self._client.query(
            f"SELECT * FROM {table_sql(staging)}",  # noqa: S608 - a table's name has no backtick
            job_id=name,
            location=location,
            job_config=config,
            retry=BRIEF_RETRY,
            job_retry=None,
            timeout=TIMEOUT_SECONDS,
        )

    def _count(self, table: TableName, location: str) -> int:
        with google_errors(f"Count the rows of {table}"):
            job = self._client.query(
                f"SELECT COUNT(*) FROM {table_sql(table)}",  # noqa: S608 - as above
                location=location,
                retry=BRIEF_RETRY,
                job_retry=None,
                timeout=TIMEOUT_SECONDS,
            )
            rows = job.result(retry=BRIEF_RETRY, job_retry=None, timeout=JOB_SECONDS)
            return int(next(iter(rows))[0])

    def _put_back(self, table: TableName, staging: TableName) -> None:
        """Give the table back what the job may have lost, and take from it what it may have brought along: that it expires."""
        source = self._catalog.find(staging)
        destination = self._catalog.find(table) if source else None
        if source is None or destination is None:
            return
        changes = {key: source[key] for key in _KEPT if source.get(key) and not destination.get(key)}
        expires = destination.get("expirationTime")
        if expires is not None and expires == source.get("expirationTime"):
            changes["expirationTime"] = None
        if changes and not self._catalog.patch(table, destination["etag"], changes):
            raise Unavailable(f"{table} was changed by somebody else meanwhile")


@contextmanager
def _logged(fact: str) -> Iterator[None]:
    """Log what fails for good, by its kind: an answer may quote what a table is described by."""
    try:
        yield
    except PermanentError as error:
        log.error("%s: %s", fact, type(error).__name__)  # noqa: TRY400 - its message may have more than is to be logged


def _encryption(source: Resource) -> EncryptionConfiguration:
    return EncryptionConfiguration(source["encryptionConfiguration"].get("kmsKeyName"))

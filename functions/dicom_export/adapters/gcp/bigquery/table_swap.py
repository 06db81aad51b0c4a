"""Replace a table by a staging table with one job: readers see the old rows, then the new ones.

A copy job with WRITE_TRUNCATE replaces the rows and the schema of its destination at once. Descriptions and policy tags of
columns may be lost, so the staging table has them too. The table's own description and labels may be lost, and are restored
after the job. Row access policies are not restored, because only their owner may do that.
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
    """Replaces tables, each by a job whose purpose determines its id."""

    def __init__(self, client: Client, catalog: TableCatalog, jobs: Jobs) -> None:
        self._client = client
        self._catalog = catalog
        self._jobs = jobs

    def replace(self, table: TableName, staging: TableName, *, expected_rows: int, job: str) -> None:
        """Run the job, unless it has run, then drop the staging table.

        Raises FailedPrecondition for a staging table with another number of rows, and what `Jobs.succeed` raises. Once the job has
        succeeded, the table has its new rows: later permanent errors are logged, and do not undo the replacement.
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
        # Neither copy jobs nor numRows include the rows in a streaming buffer.
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
        """Begin the job that also reads the streaming buffer. Columns that were REQUIRED are NULLABLE after it."""
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
        """Restore what the job may have removed from the table, and remove the expiration that the job may have copied."""
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
    """Log permanent errors by their kind only: an answer may quote the table's description."""
    try:
        yield
    except PermanentError as error:
        log.error("%s: %s", fact, type(error).__name__)  # noqa: TRY400 - its message may have more than is to be logged


def _encryption(source: Resource) -> EncryptionConfiguration:
    return EncryptionConfiguration(source["encryptionConfiguration"].get("kmsKeyName"))

"""Replace the rows of a table with those of a staging table by one job.

Readers see the old rows, then the new ones. The job is a query with WRITE_TRUNCATE_DATA, which
keeps everything else of the table: its columns with their descriptions, policy tags and data
policies, its row access policies, labels, description, partitions and expiration. A copy job would
replace all of these.
https://cloud.google.com/bigquery/docs/reference/auditlogs/rest/Shared.Types/BigQueryAuditMetadata.WriteDisposition
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from google.cloud.bigquery import EncryptionConfiguration, QueryJobConfig

from dicom_export.adapters.gcp.bigquery.jobs import JOB_SECONDS
from dicom_export.adapters.gcp.bigquery.preparation import fields_of
from dicom_export.adapters.gcp.bigquery.staging import key_of
from dicom_export.adapters.gcp.bigquery.swap_query import select
from dicom_export.adapters.gcp.bigquery.table_catalog import BRIEF_RETRY, reference, table_not_found, table_sql
from dicom_export.adapters.gcp.bigquery.table_schema import schema_of
from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS, google_errors
from dicom_export.errors import FailedPrecondition, PermanentError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.bigquery import Client

    from dicom_export.adapters.gcp.bigquery.jobs import Job, Jobs
    from dicom_export.adapters.gcp.bigquery.preparation import Preparation
    from dicom_export.adapters.gcp.bigquery.table_catalog import TableCatalog
    from dicom_export.names import TableName
    from dicom_export.rows.partitioning import Partitioning

log = logging.getLogger(__name__)

_KEPT = ("description", "friendlyName", "labels")
_REQUIRED_REFUSED = re.compile("changed mode from REQUIRED to NULLABLE", re.IGNORECASE)


class TableSwaps:
    """Replaces rows of tables, each time by a job whose purpose determines its id."""

    def __init__(self, client: Client, catalog: TableCatalog, preparation: Preparation, jobs: Jobs) -> None:
        self._client = client
        self._catalog = catalog
        self._preparation = preparation
        self._jobs = jobs

    def replace(
        self,
        table: TableName,
        staging: TableName,
        *,
        expected_rows: int,
        job: str,
        partitioning: Partitioning | None = None,
    ) -> None:
        """Run the job, unless it has run, then drop the staging table.

        Raises FailedPrecondition for a staging table with another number of rows, and the errors of
        `Jobs.succeed`. Once the job has succeeded, the table has its new rows: an error after that
        is logged, and the replacement stands.
        """
        location = self._catalog.location_of(table)
        done = self._run(location, table, staging, expected_rows, job, partitioning)
        if done.job_type == "copy":
            with _logged(f"{table} has its new rows, and may lack its description and labels, or expire"):
                self._put_back(table, staging)
        with _logged(f"{table} has its new rows, and {staging} stays until it expires"):
            self._catalog.drop(staging)

    def _run(
        self,
        location: str,
        table: TableName,
        staging: TableName,
        expected_rows: int,
        job: str,
        partitioning: Partitioning | None,
    ) -> Job:
        """Return the job that succeeded.

        A column of a result is never REQUIRED. If BigQuery refuses it for a REQUIRED field of the
        table, another job makes these fields NULLABLE. A job that was refused stays so, and its id
        is never used again: at most one of the two succeeds.
        """
        begin = partial(self._begin, location, table, staging, expected_rows, partitioning)
        try:
            return self._jobs.succeed(table, job, location, partial(begin, relaxes=False))
        except PermanentError as error:
            if not _REQUIRED_REFUSED.search(error.message):
                raise
        return self._jobs.succeed(table, f"{job} relaxed", location, partial(begin, relaxes=True))

    def _begin(
        self,
        location: str,
        table: TableName,
        staging: TableName,
        expected_rows: int,
        partitioning: Partitioning | None,
        name: str,
        *,
        relaxes: bool,
    ) -> Job:
        source = self._catalog.find(staging)
        if source is None:
            raise table_not_found(staging)
        # `numRows` does not count the rows in a streaming buffer. A query sees them.
        is_settled = "streamingBuffer" not in source and int(source.get("numRows", -1)) == expected_rows
        rows = expected_rows if is_settled else self._count(staging, location)
        if rows != expected_rows:
            raise FailedPrecondition(f"{staging} has {rows} rows, not the {expected_rows} that were exported")
        self._preparation.create_or_grow(table, schema_of(fields_of(source)), partitioning=partitioning)
        destination = self._catalog.find(table)
        if destination is None:
            raise Unavailable(f"{table} was deleted while it was being overwritten")
        config = QueryJobConfig(
            use_legacy_sql=False,
            destination=reference(table),
            write_disposition="WRITE_TRUNCATE_DATA",
            create_disposition="CREATE_NEVER",
        )
        if "encryptionConfiguration" in destination:
            config.destination_encryption_configuration = EncryptionConfiguration(key_of(destination))
        if relaxes:
            config.schema_update_options = ["ALLOW_FIELD_RELAXATION"]
        return self._client.query(
            select(fields_of(source), fields_of(destination), table_sql(staging)),
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
                f"SELECT COUNT(*) FROM {table_sql(table)}",  # noqa: S608 - the name of a table has no backtick
                location=location,
                retry=BRIEF_RETRY,
                job_retry=None,
                timeout=TIMEOUT_SECONDS,
            )
            rows = job.result(retry=BRIEF_RETRY, job_retry=None, timeout=JOB_SECONDS)
            return int(next(iter(rows))[0])

    def _put_back(self, table: TableName, staging: TableName) -> None:
        """Restore what a copy job replaced: the description and labels, and that the table does not expire.

        Earlier versions began such jobs. One may have ended its work before it came to this.
        """
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
    """Log a permanent error by its kind only: an answer may quote the description of a table."""
    try:
        yield
    except PermanentError as error:
        log.error("%s: %s", fact, type(error).__name__)  # noqa: TRY400 - its message may have more than is to be logged

"""Run BigQuery jobs that replace the rows of a table, each once: the purpose of a job determines its id."""

from __future__ import annotations

import hashlib
import re
import time
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from dicom_export.adapters.gcp.bigquery.table_catalog import BRIEF_RETRY
from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS, google_errors
from dicom_export.errors import AlreadyExists, FailedPrecondition, NotFound, PermissionDenied, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.cloud.bigquery import Client

    from dicom_export.names import TableName

JOB_SECONDS = 60.0
"""How long one call waits for a job; the next call continues to wait."""

_MAX_ATTEMPTS = 20
_LONGEST_PAUSE = 4.0

# https://cloud.google.com/bigquery/docs/error-messages
_TRANSIENT_REASONS = frozenset(
    {
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "quotaExceeded",
        "rateLimitExceeded",
        "stopped",
        "tableUnavailable",
        "timeout",
    }
)

# A CopyJob or QueryJob; the library gives them no common type of its own.
Job = Any


class Jobs:
    """The jobs of the client's project."""

    def __init__(self, client: Client, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep

    def succeed(self, table: TableName, job: str, location: str, begin: Callable[[str], Job]) -> Job:
        """Return the job that replaced the table. Run it first, unless it has run: `begin` starts a job with the id that it is given.

        Raises the job's error. After a job that failed for a temporary reason, the next call starts another attempt.
        """
        for attempt in range(_MAX_ATTEMPTS):
            name = _job_id(table, job, attempt)
            found = self._find(name, location)
            begun = found or self._begun(name, location, table, begin)
            if self._succeeded(begun, table):
                return begun
            if found is None:
                raise Unavailable(f"Job {name} that replaces {table} failed: {_reason(begun)}")
        raise FailedPrecondition(f"Each of {_MAX_ATTEMPTS} jobs that replace {table} failed")

    def _find(self, name: str, location: str) -> Job | None:
        with google_errors(f"Look up job {name}"):
            try:
                return self._client.get_job(name, location=location, retry=BRIEF_RETRY, timeout=TIMEOUT_SECONDS)
            except exceptions.NotFound:
                return None

    def _begun(self, name: str, location: str, table: TableName, begin: Callable[[str], Job]) -> Job:
        """Begin the job, or return the one that another worker has begun. After that one's end its source may be gone."""
        try:
            with google_errors(f"Replace {table}"):
                return begin(name)
        except (NotFound, AlreadyExists) as error:
            found = self._find(name, location)
            if found is not None:
                return found
            if isinstance(error, AlreadyExists):
                raise Unavailable(f"Job {name} exists, and cannot be looked up yet") from error
            raise

    def _succeeded(self, job: Job, table: TableName) -> bool:
        """Wait for the job. Return False if it failed for a temporary reason. Raises its error if it failed for another one."""
        self._wait(job, table)
        if job.error_result is None:
            return True
        reason = _reason(job)
        if reason in _TRANSIENT_REASONS:
            return False
        kind = PermissionDenied if reason == "accessDenied" else FailedPrecondition
        raise kind(f"Job {job.job_id} that replaces {table} failed: {reason}: {job.error_result.get('message')}")

    def _wait(self, job: Job, table: TableName) -> None:
        pause, waited = 0.25, 0.0
        while job.state != "DONE":
            if waited >= JOB_SECONDS:
                raise Unavailable(f"Job {job.job_id} that replaces {table} is still running")
            self._sleep(pause)
            waited, pause = waited + pause, min(pause * 2, _LONGEST_PAUSE)
            with google_errors(f"Look up job {job.job_id}"):
                job.reload(retry=BRIEF_RETRY, timeout=TIMEOUT_SECONDS)


def _job_id(table: TableName, job: str, attempt: int) -> str:
    """Return the id of an attempt: at most 1024 letters, digits, dashes and underscores."""
    digest = hashlib.sha256(f"{table} {job}".encode()).hexdigest()[:12]
    return f"dicom_export_{re.sub(r'[^A-Za-z0-9_-]', '_', job)[:900]}_{digest}_{attempt}"


def _reason(job: Job) -> str:
    return str(job.error_result.get("reason"))

"""Describe, create, change and delete tables by BigQuery's REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client, Dataset, DatasetReference, Table, TableReference

from dicom_export.adapters.gcp.calls import RETRY, TIMEOUT_SECONDS, google_errors, translated
from dicom_export.errors import FailedPrecondition, NotFound, ResourceExhausted

if TYPE_CHECKING:
    from google.api_core.retry import Retry

    from dicom_export.names import TableName

Resource = dict[str, Any]
"""A table: https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#Table"""

BRIEF_RETRY: Retry = RETRY.with_timeout(25.0)
"""The retry of calls of which one step makes several."""

_KINDS = {
    "VIEW": "a view",
    "MATERIALIZED_VIEW": "a materialized view",
    "EXTERNAL": "an external table",
    "SNAPSHOT": "a snapshot of a table",
}


def rest_client(project: str, *, is_emulated: bool = False) -> Client:
    """Return a client whose jobs run in the project. An emulator's address is BIGQUERY_EMULATOR_HOST; it needs no credentials."""
    anybody = AnonymousCredentials() if is_emulated else None
    return Client(project=project, credentials=anybody)


class TableCatalog:
    """The tables of all datasets that the client may see."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, table: TableName) -> Resource | None:
        """Return the table, or None. Raises NotFound without its dataset, FailedPrecondition if rows cannot be written to it."""
        with google_errors(f"Describe {table}"):
            try:
                found = self._client.get_table(reference(table), retry=BRIEF_RETRY, timeout=TIMEOUT_SECONDS)
            except exceptions.NotFound:
                self.location_of(table)
                return None
        kind = found.table_type or "TABLE"
        if kind != "TABLE":
            raise FailedPrecondition(f"{table} is {_KINDS.get(kind, kind)}; rows are written to a table only")
        resource: Resource = found.to_api_repr()
        return resource

    def location_of(self, table: TableName) -> str:
        """Return the location of the table's dataset, where its jobs have to run. Raises NotFound without the dataset."""
        return str(self._dataset_of(table).location)

    def partition_expiration_of(self, table: TableName) -> int | None:
        """Return the milliseconds that partitions of new tables in the table's dataset are kept; None if forever. Raises NotFound."""
        found: int | None = self._dataset_of(table).default_partition_expiration_ms
        return found

    def _dataset_of(self, table: TableName) -> Dataset:
        with google_errors(f"Describe the dataset of {table}"):
            try:
                dataset = DatasetReference(table.project, table.dataset)
                return self._client.get_dataset(dataset, retry=BRIEF_RETRY, timeout=TIMEOUT_SECONDS)
            except exceptions.NotFound as error:
                raise dataset_not_found(table) from error

    def create(self, table: TableName, resource: Resource) -> bool:
        """Create the table. Return False if it exists, or if too many tables are being created."""
        described = Table.from_api_repr({**resource, "tableReference": reference(table).to_api_repr()})
        with google_errors(f"Create {table}"):
            try:
                self._client.create_table(described, retry=BRIEF_RETRY, timeout=TIMEOUT_SECONDS)
            except exceptions.NotFound as error:
                raise dataset_not_found(table) from error
            except exceptions.GoogleAPICallError as error:
                return lost_race(error)
        return True

    def patch(self, table: TableName, etag: str, changes: Resource) -> bool:
        """Change these fields. Return False if the table no longer has the etag, or is changed too often.

        Raises InvalidArgument for a change that BigQuery refuses.
        """
        changed = Table.from_api_repr({**changes, "tableReference": reference(table).to_api_repr(), "etag": etag})
        with google_errors(f"Change {table}"):
            try:
                self._client.update_table(changed, list(changes), retry=BRIEF_RETRY, timeout=TIMEOUT_SECONDS)
            except exceptions.GoogleAPICallError as error:
                return lost_race(error)
        return True

    def drop(self, table: TableName) -> None:
        """Delete the table, if it exists. Raises NotFound without its dataset."""
        with google_errors(f"Delete {table}"):
            try:
                self._client.delete_table(reference(table), retry=BRIEF_RETRY, timeout=TIMEOUT_SECONDS)
            except exceptions.NotFound:
                self.location_of(table)


def reference(table: TableName) -> TableReference:
    """Return the table's name as a value of the client library."""
    return TableReference(DatasetReference(table.project, table.dataset), table.table)


def table_sql(table: TableName) -> str:
    """Return the table's full name in SQL. A name has no backtick that must be escaped."""
    return f"`{table.project}.{table.dataset}.{table.table}`"


def dataset_not_found(table: TableName) -> NotFound:
    """Return the error for a table whose dataset does not exist."""
    dataset = f"{table.project}.{table.dataset}"
    return NotFound(
        f"Dataset {dataset} was not found; create it, and let the installation's service account edit its data"
    )


def table_not_found(table: TableName) -> NotFound:
    """Return the error for a table that does not exist."""
    return NotFound(f"Table {table} was not found")


def lost_race(error: exceptions.GoogleAPICallError) -> bool:
    """Return False if the table changed meanwhile, or is changed too often. Raises any other error."""
    is_race = isinstance(error, exceptions.PreconditionFailed | exceptions.Conflict)
    if is_race or isinstance(translated("", error), ResourceExhausted):
        return False
    raise error

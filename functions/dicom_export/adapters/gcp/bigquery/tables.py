"""Keep tables in BigQuery, with streams of the Storage Write API that commit their rows exactly once."""

from __future__ import annotations

import random
import re
import time
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dicom_export.errors import Aborted, FailedPrecondition, InvalidArgument, TooManyColumns
from dicom_export.ports import CHANGE_KEY, MAX_STALENESS_HOURS, TableInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa
    from google.cloud.bigquery import Client

    from dicom_export.adapters.gcp.bigquery.jobs import Jobs
    from dicom_export.adapters.gcp.bigquery.table_catalog import Resource, TableCatalog
    from dicom_export.adapters.gcp.bigquery.table_comparison import TableComparisons
    from dicom_export.adapters.gcp.bigquery.table_swap import TableSwaps
    from dicom_export.adapters.gcp.bigquery.table_views import TableViews
    from dicom_export.adapters.gcp.bigquery.write_streams import WriteStreams
    from dicom_export.names import StoreName, TableName
    from dicom_export.operations.counters import DifferenceCounts
    from dicom_export.ports import Version
    from dicom_export.rows.schema import Schema
    from dicom_export.verifying.reconciliation import Difference

STAGING_EXPIRATION = timedelta(days=3)

_CHANGE_SECONDS = 40.0
_TOO_MANY = re.compile("too many (columns|total leaf fields)", re.IGNORECASE)
_LONGEST_PAUSE = 5.0

# The fields that a staging table copies from its target. Not requirePartitionFilter: its rows are counted without a filter.
_LAYOUT = ("timePartitioning", "rangePartitioning", "clustering", "encryptionConfiguration", "defaultCollation")
_KEYED = {"tableConstraints": {"primaryKey": {"columns": [CHANGE_KEY]}}, "clustering": {"fields": [CHANGE_KEY]}}
_DESCRIPTIONS = ("description", "friendlyName", "labels")


class BigQueryTables:
    """The tables of all projects that the installation may write to. Safe to use from several threads.

    `project` runs the jobs; a table's own project is part of its name. `write_endpoint` is the host and port of an emulator,
    which needs no credentials; the address of its REST API is BIGQUERY_EMULATOR_HOST. The client libraries are imported,
    and their clients made, when they are first needed: describing a table needs neither Arrow nor the Write API.
    """

    def __init__(
        self,
        project: str,
        *,
        write_endpoint: str | None = None,
        max_staleness_hours: int = MAX_STALENESS_HOURS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._project = project
        self._max_staleness_hours = max_staleness_hours
        self._write_endpoint = write_endpoint
        self._sleep = sleep

    def describe(self, table: TableName) -> TableInfo | None:
        """Describe the table. Rows of others in a streaming buffer are counted as BigQuery estimates them."""
        from dicom_export.adapters.gcp.bigquery.table_schema import schema_of

        found = self._catalog.find(table)
        if found is None:
            return None
        waiting = found.get("streamingBuffer", {}).get("estimatedRows", 0)
        return TableInfo(schema_of(_fields(found)), int(found.get("numRows", 0)) + int(waiting))

    def prepare(self, table: TableName, schema: Schema) -> None:
        self._create_or_grow(table, schema, dict)

    def prepare_changes(self, table: TableName, schema: Schema) -> None:
        """Prepare the table for changes. A new table is clustered by its key, so that BigQuery finds the rows to change.

        It may also be stale for some hours: otherwise every query merges all changes since the last one, and pays for that.
        """
        # The form in which BigQuery shows the option: https://cloud.google.com/bigquery/docs/change-data-capture
        staleness = {"maxStaleness": f"0-0 0 {self._max_staleness_hours}:0:0"}
        self._create_or_grow(table, schema, lambda: _KEYED | staleness)
        found = self._catalog.find(table) or {}
        key = found.get("tableConstraints", {}).get("primaryKey", {}).get("columns")
        if key != [CHANGE_KEY]:
            raise FailedPrecondition(
                f"{table} has {f'the primary key {key}' if key else 'no primary key'}; change data capture needs"
                f" {CHANGE_KEY}: name a table that is not there yet, or ALTER TABLE … ADD PRIMARY KEY ({CHANGE_KEY}) NOT ENFORCED"
            )

    def prepare_staging(self, table: TableName, schema: Schema, like: TableName) -> None:
        self._create_or_grow(table, schema, lambda: self._like(like))

    def stream(self, table: TableName, batch: pa.RecordBatch) -> None:
        self._streams.append_at_once(table, batch)

    def change(self, table: TableName, batch: pa.RecordBatch, versions: Sequence[Version]) -> None:
        self._streams.append_at_once(table, batch, versions)

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

    def replace(self, table: TableName, staging: TableName, *, expected_rows: int, job: str) -> None:
        self._swaps.replace(table, staging, expected_rows=expected_rows, job=job)

    def annotate(self, table: TableName, *, views: bool) -> None:
        """As the port says. The columns have had their descriptions since they were created."""
        self._views.define(table, create=views)

    def drop(self, staging: TableName) -> None:
        self._catalog.drop(staging)

    def compare(
        self, table: TableName, inventory: TableName, report: TableName, store: StoreName, *, before: datetime, job: str
    ) -> None:
        self._comparisons.compare(table, inventory, report, store, before=before, job=job)

    def differences(self, report: TableName) -> Iterator[Difference]:
        return self._comparisons.differences(report)

    def count_differences(self, report: TableName) -> DifferenceCounts:
        return self._comparisons.count(report)

    def _create_or_grow(self, table: TableName, schema: Schema, made_of: Callable[[], Resource]) -> None:
        """Create the table, or add the columns that it lacks. Try again if somebody else has changed it first."""
        may_require = True
        for _ in self._attempts():
            found = self._catalog.find(table)
            if found is None:
                if self._catalog.create(table, _new_table(schema, made_of())):
                    return
                continue
            try:
                if self._grow(table, found, schema, may_require=may_require):
                    return
            except InvalidArgument as error:
                if _TOO_MANY.search(error.message):
                    raise TooManyColumns(error.message) from error
                if not may_require:
                    raise
                # BigQuery may refuse to add a REQUIRED field in a new RECORD.
                may_require = False
        raise Aborted(f"{table} is being changed by too many others at once; try again")

    def _grow(self, table: TableName, found: Resource, schema: Schema, *, may_require: bool) -> bool:
        """Add the columns that the table lacks. Return False if the table changed meanwhile."""
        from dicom_export.adapters.gcp.bigquery.table_schema import grown

        fields = grown(_fields(found), schema, may_require=may_require)
        return fields == _fields(found) or self._catalog.patch(table, found["etag"], {"schema": {"fields": fields}})

    def _like(self, other: TableName) -> Resource:
        """Return what a staging table copies from its target, such as the layout and the descriptions, and its expiration."""
        expires = datetime.now(UTC) + STAGING_EXPIRATION
        found = self._catalog.find(other) or {}
        kept = {key: found[key] for key in (*_LAYOUT, *_DESCRIPTIONS) if key in found}
        if "encryptionConfiguration" in kept:
            kept["encryptionConfiguration"] = {"kmsKeyName": _without_version(kept["encryptionConfiguration"])}
        return {**kept, "schema": {"fields": _fields(found)}, "expirationTime": str(int(expires.timestamp() * 1000))}

    def _attempts(self) -> Iterator[None]:
        """Yield until the time is up, and pause in between so that others can finish."""
        deadline, pause = time.monotonic() + _CHANGE_SECONDS, 0.1
        while time.monotonic() < deadline:
            yield
            self._sleep(random.uniform(pause / 2, pause))  # noqa: S311 - only to be out of step with others
            pause = min(2 * pause, _LONGEST_PAUSE)

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
    def _streams(self) -> WriteStreams:
        from dicom_export.adapters.gcp.bigquery.write_streams import WriteStreams, write_client

        return WriteStreams(write_client(self._write_endpoint), self._catalog)

    @cached_property
    def _jobs(self) -> Jobs:
        from dicom_export.adapters.gcp.bigquery.jobs import Jobs

        return Jobs(self._client, self._sleep)

    @cached_property
    def _swaps(self) -> TableSwaps:
        from dicom_export.adapters.gcp.bigquery.table_swap import TableSwaps

        return TableSwaps(self._client, self._catalog, self._jobs)

    @cached_property
    def _views(self) -> TableViews:
        from dicom_export.adapters.gcp.bigquery.table_views import TableViews

        return TableViews(self._client, self._catalog)

    @cached_property
    def _comparisons(self) -> TableComparisons:
        from dicom_export.adapters.gcp.bigquery.table_comparison import TableComparisons

        return TableComparisons(self._client, self._catalog, self._jobs)


def _fields(table: Resource) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = table.get("schema", {}).get("fields", [])
    return fields


def _new_table(schema: Schema, made_of: Resource) -> Resource:
    """Return a table with these columns, and with the columns of `made_of` by which it is partitioned or clustered."""
    from dicom_export.adapters.gcp.bigquery.table_schema import annotated, with_fields
    from dicom_export.rows.schema import ordered, to_json

    others = _fields(made_of)
    fields = with_fields(annotated(to_json(ordered(schema)), others), _layout_columns(made_of), others)
    return {**made_of, "schema": {"fields": fields}}


def _without_version(encryption: dict[str, str]) -> str:
    """Return the key without its version, which a description has and a new table must not have."""
    return encryption["kmsKeyName"].partition("/cryptoKeyVersions/")[0]


def _layout_columns(table: Resource) -> list[str]:
    partitions = (table.get(key, {}).get("field") for key in ("timePartitioning", "rangePartitioning"))
    return [name for name in (*partitions, *table.get("clustering", {}).get("fields", ())) if name]

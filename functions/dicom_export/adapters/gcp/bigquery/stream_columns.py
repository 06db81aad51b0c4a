"""Wait until the Storage Write API knows the columns of a table.

A new column takes minutes to reach write streams. Until then an append with the column is refused.
The default stream tells which columns streams know, and asking it costs no quota of streams.

Source: https://cloud.google.com/bigquery/docs/write-api-best-practices#schema-update
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.cloud.bigquery_storage_v1.types import GetWriteStreamRequest, WriteStreamView

from dicom_export.adapters.gcp.bigquery.preparation import fields_of
from dicom_export.adapters.gcp.bigquery.stream_names import default_stream
from dicom_export.adapters.gcp.bigquery.table_catalog import BRIEF_RETRY
from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS, google_errors
from dicom_export.errors import ColumnsNotKnown
from dicom_export.pubsub.attempts import pauses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from google.cloud.bigquery_storage_v1 import BigQueryWriteClient

    from dicom_export.adapters.gcp.bigquery.table_catalog import TableCatalog
    from dicom_export.names import TableName

_WORK_SECONDS = 240.0
"""The time that is left for reading and writing after the longest wait."""

_LONGEST_PAUSE = 15.0
_NAMED_COLUMNS = 3
_MOST_TABLES = 64


class StreamColumns:
    """The columns that write streams know."""

    def __init__(self, client: BigQueryWriteClient, catalog: TableCatalog, sleep: Callable[[float], None]) -> None:
        self._client = client
        self._catalog = catalog
        self._sleep = sleep
        self._known: dict[TableName, frozenset[str]] = {}

    def wait(self, table: TableName) -> None:
        """Return when streams know all columns of the table, or if the table is gone.

        Raises ColumnsNotKnown if that takes longer than the current message may take.
        """
        waiting = pauses(_LONGEST_PAUSE, leaving=_WORK_SECONDS)
        while lacking := self._lacking(table):
            pause = next(waiting, None)
            if pause is None:
                names = ", ".join(lacking[:_NAMED_COLUMNS]) + ("" if len(lacking) <= _NAMED_COLUMNS else ", …")
                raise ColumnsNotKnown(f"The Storage Write API does not know these columns of {table} yet: {names}")
            self._sleep(pause)

    def _lacking(self, table: TableName) -> list[str]:
        """Return the paths of the table's fields that streams do not know."""
        found = self._catalog.find(table)
        wanted = frozenset(_paths(fields_of(found))) if found else frozenset()
        if wanted <= self._known.get(table, frozenset()):
            return []
        known = self._known_to_streams(table)
        if known is None:
            return []
        if len(self._known) >= _MOST_TABLES:
            self._known.clear()
        self._known[table] = known
        return sorted(wanted - known)

    def _known_to_streams(self, table: TableName) -> frozenset[str] | None:
        """Return the paths of the fields that streams know, or None if the service does not tell."""
        with google_errors(f"Look up the columns that streams into {table} know"):
            try:
                stream = self._client.get_write_stream(
                    request=GetWriteStreamRequest(name=default_stream(table), view=WriteStreamView.FULL),
                    retry=BRIEF_RETRY,
                    timeout=TIMEOUT_SECONDS,
                )
            except exceptions.NotFound:
                return frozenset()
        # One page of the documentation says that only CreateWriteStream returns the schema.
        return frozenset(_paths_of_stream(stream.table_schema.fields)) or None


def _paths(fields: Iterable[dict[str, Any]], parent: str = "") -> Iterable[str]:
    for field in fields:
        path = f"{parent}{field['name']}".lower()
        yield path
        yield from _paths(field.get("fields") or (), f"{path}.")


def _paths_of_stream(fields: Iterable[Any], parent: str = "") -> Iterable[str]:
    for field in fields:
        path = f"{parent}{field.name}".lower()
        yield path
        yield from _paths_of_stream(field.fields, f"{path}.")

"""The views of a table in BigQuery: a label says which ones are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.api_core import exceptions
from google.cloud.bigquery import Table

from dicom_export.adapters.gcp.bigquery.table_catalog import BRIEF_RETRY, lost_race, reference, table_sql
from dicom_export.adapters.gcp.bigquery.table_schema import schema_of
from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS, google_errors
from dicom_export.errors import Aborted
from dicom_export.names import TableName
from dicom_export.rows.schema import count_fields
from dicom_export.views.definitions import VIEW_SUFFIXES, View, views_of
from dicom_export.views.dialect import GoogleSql

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

    from dicom_export.adapters.gcp.bigquery.table_catalog import Resource, TableCatalog

LABEL = "dicom-export-columns"
"""The label of our views: how many columns the table had when the view was defined.

BigQuery reports the columns that a view had then, so that a view is defined again for new ones.
"""

_DEFINED = ("view", "description", "labels")


class TableViews:
    """The views of tables."""

    def __init__(self, client: Client, catalog: TableCatalog) -> None:
        self._client = client
        self._catalog = catalog

    def define(self, table: TableName, *, create: bool) -> None:
        """Define the views of the table, as the port's `annotate` says. Raises Aborted if others define them too."""
        found = self._catalog.find(table)
        if found is None:
            return
        schema = schema_of(found.get("schema", {}).get("fields", ()))
        views = {view.name: view for view in views_of(table.table, table_sql(table), schema, GoogleSql())}
        for suffix in VIEW_SUFFIXES:
            name = TableName(table.project, table.dataset, table.table + suffix)
            view = views.get(name.table)
            self._define(name, _resource(view, schema_size=count_fields(schema)) if view else None, create=create)

    def _define(self, name: TableName, wanted: Resource | None, *, create: bool) -> None:
        """Make the view what is wanted. One that is not ours stays; one of ours that is not wanted is dropped."""
        with google_errors(f"Define {name}"):
            existing = self._find(name)
            if existing is None:
                if create and wanted:
                    self._create(name, wanted)
            elif existing.table_type != "VIEW" or LABEL not in existing.labels:
                return
            elif wanted is None:
                self._catalog.drop(name)
            elif _differs(existing, wanted):
                self._update(name, existing, wanted)

    def _find(self, name: TableName) -> Table | None:
        try:
            return self._client.get_table(reference(name), retry=BRIEF_RETRY, timeout=TIMEOUT_SECONDS)
        except exceptions.NotFound:
            return None

    def _create(self, name: TableName, wanted: Resource) -> None:
        try:
            self._client.create_table(_table(name, wanted), retry=BRIEF_RETRY, timeout=TIMEOUT_SECONDS)
        except exceptions.GoogleAPICallError as error:
            _raise_unless_lost(error, name)

    def _update(self, name: TableName, existing: Table, wanted: Resource) -> None:
        changed = _table(name, {**wanted, "etag": existing.etag})
        try:
            self._client.update_table(changed, list(_DEFINED), retry=BRIEF_RETRY, timeout=TIMEOUT_SECONDS)
        except exceptions.GoogleAPICallError as error:
            _raise_unless_lost(error, name)


def _resource(view: View, *, schema_size: int) -> Resource:
    return {
        "view": {"query": view.query, "useLegacySql": False},
        "description": view.description,
        "labels": {LABEL: str(schema_size)},
    }


def _table(name: TableName, resource: Resource) -> Table:
    table: Table = Table.from_api_repr({**resource, "tableReference": reference(name).to_api_repr()})
    return table


def _differs(existing: Table, wanted: Resource) -> bool:
    labels: dict[str, str] = existing.labels
    return bool(existing.view_query != wanted["view"]["query"] or labels.get(LABEL) != wanted["labels"][LABEL])


def _raise_unless_lost(error: exceptions.GoogleAPICallError, name: TableName) -> None:
    """Raise Aborted if somebody else was first, so that the view is looked at again; else raise the error."""
    lost_race(error)
    raise Aborted(f"{name} is being defined by others at the same time") from error

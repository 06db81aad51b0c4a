"""The projects, datasets and tables in BigQuery, as far as the installation may see them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument, NotFound, PermissionDenied
from dicom_export.names import TableName
from dicom_export.operations.reserved_names import is_reserved_dataset, is_reserved_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dicom_export.adapters.gcp.bigquery.tables import BigQueryTables

_MOST = 500


class BigQueryLists:
    """The tables of the installation's project, and of any other one that it may list."""

    def __init__(self, project: str, tables: BigQueryTables) -> None:
        self._project = project
        self._tables = tables

    def projects(self) -> list[str]:
        return [self._project]

    def datasets(self, project: str) -> list[str]:
        from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS

        client = self._tables.client
        found = _seen(
            f"List the datasets of project {project}",
            lambda: (
                each.dataset_id for each in client.list_datasets(project, max_results=_MOST, timeout=TIMEOUT_SECONDS)
            ),
        )
        return sorted(each for each in found if not is_reserved_dataset(each))

    def tables(self, project: str, dataset: str) -> list[str]:
        from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS

        client = self._tables.client
        name = f"{project}.{dataset}"
        found = _seen(
            f"List the tables of {name}",
            lambda: (each.table_id for each in client.list_tables(name, max_results=_MOST, timeout=TIMEOUT_SECONDS)),
        )
        return sorted(each for each in found if not is_reserved_table(each))

    def location(self, project: str, dataset: str) -> str:
        return self._tables.location_of(TableName(project, dataset, "any"))


def _seen(doing: str, listed: Callable[[], Iterable[str]]) -> list[str]:
    """Return the names that a list has, or nothing if it may not be seen: nobody has to choose from a list."""
    from dicom_export.adapters.gcp.calls import google_errors

    try:
        with google_errors(doing):
            return list(islice(listed(), _MOST))
    except (InvalidArgument, NotFound, PermissionDenied):
        return []

"""The projects, datasets and tables on one machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.adapters.local.duckdb.catalogs import dataset_not_found
from dicom_export.errors import NotFound
from dicom_export.operations.reserved_names import is_reserved_dataset, is_reserved_table

if TYPE_CHECKING:
    from dicom_export.adapters.local.duckdb.catalogs import Catalogs


@dataclass(frozen=True, slots=True)
class DuckDbLists:
    """A project is a DuckDB file, a dataset a schema in it."""

    catalogs: Catalogs

    def projects(self) -> list[str]:
        return self.catalogs.projects()

    def datasets(self, project: str) -> list[str]:
        found = "SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? ORDER BY schema_name"
        names = self._names(project, found, [f"project:{project}"])
        return [name for name in names if not is_reserved_dataset(name)]

    def tables(self, project: str, dataset: str) -> list[str]:
        found = (
            "SELECT table_name FROM duckdb_tables() WHERE database_name = $1 AND lower(schema_name) = lower($2)"
            " UNION ALL SELECT view_name FROM duckdb_views() WHERE database_name = $1 AND lower(schema_name) = lower($2)"
            " AND NOT internal ORDER BY ALL"
        )
        names = self._names(project, found, [f"project:{project}", dataset])
        return [name for name in names if not is_reserved_table(name)]

    def location(self, project: str, dataset: str) -> str:
        if dataset.lower() not in map(str.lower, self.datasets(project)):
            raise dataset_not_found(project, dataset)
        return ""

    def _names(self, project: str, sql: str, parameters: list[str]) -> list[str]:
        try:
            with self.catalogs.cursor(project, "main") as cursor:
                return [name for (name,) in cursor.execute(sql, parameters).fetchall()]
        except NotFound:
            return []

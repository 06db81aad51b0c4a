"""Check whether the DuckDB files are still those of the unfinished operations in the state.

If a file was deleted and its state was not, an export must not resume as if its committed rows still existed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from dicom_export.errors import NotFound

if TYPE_CHECKING:
    from dicom_export.adapters.local.duckdb.tables import DuckDbTables
    from dicom_export.names import TableName
    from dicom_export.ports import OperationStore


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """The files of projects when the installation was last opened."""

    state: OperationStore
    tables: DuckDbTables

    def has(self, table: TableName) -> bool:
        """Return whether the table's file is the known one, or no file is known. A deleted file is not the known one."""
        known = self.state.read(_path(table.project))
        try:
            return known is None or known.content == self.tables.identity(table.project, table.dataset).encode()
        except NotFound:
            return False

    def remember(self, project: str, dataset: str) -> None:
        """Make the project's file the known one."""
        identity = self.tables.identity(project, dataset).encode()
        known = self.state.read(_path(project))
        if known is None:
            self.state.create(_path(project), identity)
        elif known.content != identity:
            self.state.replace(_path(project), identity, known.version)


def _path(project: str) -> str:
    return f"destinations/{quote(project, safe='')}"

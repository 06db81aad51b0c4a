"""What the console shows: the service of the API, and what only some installations have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dicom_export.console.estimates import Estimates

if TYPE_CHECKING:
    from dicom_export.console.counts import Counts
    from dicom_export.exporting.service import ExportService
    from dicom_export.ports import FilterFiles, LogLines, Queries, TableLists


@dataclass(frozen=True)
class Installation:
    """An installation, as its console needs it.

    `key` signs the tokens of forms. `region` is empty on one machine. `lists` names the tables that exist. The others are None where an
    installation does not have them: `filters` takes filter files, `queries` reads tables, `log` has the latest log lines.
    """

    service: ExportService
    key: bytes
    counts: Counts
    lists: TableLists
    region: str = ""
    filters: FilterFiles | None = None
    queries: Queries | None = None
    log: LogLines | None = None
    estimates: Estimates = field(default_factory=Estimates)
    version: str = field(default="")

    @property
    def is_local(self) -> bool:
        """Whether everything is on one machine."""
        return not self.region

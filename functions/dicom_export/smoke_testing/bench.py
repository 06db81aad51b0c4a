"""Where a smoke test works: its store, its tables, and the time that it waits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dicom_export.errors import NotFound, Unavailable
from dicom_export.names import TableName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dicom_export.diagnosing.installation import Installation, SmokeTestStore
    from dicom_export.ports import Laboratory

_POLL_SECONDS = 1.0
_STREAMED = "streamed"


@dataclass(frozen=True)
class Bench:
    """The laboratory of one run. `run` is a number that no other run has; it is in the names of all tables and instances.

    `wait_seconds` bounds each wait for something that should happen, `repeats` is how often the time until a new column is
    known is measured, on a table of `columns` columns.
    """

    lab: Laboratory
    installation: Installation
    place: SmokeTestStore
    project: str
    run: int
    wait_seconds: float = 300.0
    repeats: int = 3
    columns: int = 1000
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def prefix(self) -> str:
        """What the names of this run's tables begin with."""
        return f"smoke_{self.run}_"

    def table(self, name: str) -> TableName:
        """Return the name of a table of this run."""
        project, _, dataset = self.place.dataset.rpartition(".")
        return TableName(project, dataset, f"{self.prefix}{name}")

    @property
    def streamed(self) -> TableName:
        """The table of the automatic export of the store, which Terraform names."""
        project, _, dataset = self.place.dataset.rpartition(".")
        return TableName(project, dataset, _STREAMED)

    def create(self, table: TableName, fields: list[dict[str, Any]], **more: Any) -> None:  # noqa: ANN401 - JSON
        """Create a table."""
        resource = {"tableReference": reference(table), "schema": {"fields": fields}, **more}
        self.lab.bigquery("POST", f"{_dataset_path(table)}/tables", resource)

    def describe(self, table: TableName) -> Mapping[str, Any]:
        """Return a table as the REST API describes it."""
        found: Mapping[str, Any] = self.lab.bigquery("GET", path_of(table))
        return found

    def patch(self, table: TableName, changes: Mapping[str, Any]) -> None:
        """Change a table."""
        self.lab.bigquery("PATCH", path_of(table), changes)

    def drop(self, table: TableName) -> None:
        """Delete a table. Does nothing if it does not exist."""
        try:
            self.lab.bigquery("DELETE", path_of(table))
        except NotFound:
            return

    def tables(self) -> Iterator[TableName]:
        """Yield the tables of this run that exist."""
        for name in self.existing():
            if name.startswith(self.prefix):
                yield self.table(name.removeprefix(self.prefix))

    def existing(self) -> list[str]:
        """Return the names of all tables of the dataset."""
        path = f"{_dataset_path(self.streamed)}/tables"
        names: list[str] = []
        page = self.lab.bigquery("GET", path)
        while True:
            names += [str(each["tableReference"]["tableId"]) for each in page.get("tables", [])]
            if not page.get("nextPageToken"):
                return names
            page = self.lab.bigquery("GET", f"{path}?pageToken={quote(page['nextPageToken'], safe='')}")

    def count(self, table: TableName, condition: str = "TRUE") -> int:
        """Return how many rows of a table meet the condition."""
        sql = f"SELECT COUNT(*) AS found FROM {sql_name(table)} WHERE {condition}"
        return int(self.lab.rows(sql)[0]["found"])

    def until(self, is_so: Callable[[], bool], what: str, seconds: float | None = None) -> float:
        """Wait until it is so, and return the seconds that it took. Raises Unavailable after the time to wait."""
        begun = self.clock()
        limit = self.wait_seconds if seconds is None else seconds
        while not is_so():
            if self.clock() - begun >= limit:
                raise Unavailable(f"{what} after {limit:.0f} s")
            self.sleep(_POLL_SECONDS)
        return round(self.clock() - begun, 1)


def reference(table: TableName) -> dict[str, str]:
    """Return a table's name as the REST API has it."""
    return {"projectId": table.project, "datasetId": table.dataset, "tableId": table.table}


def path_of(table: TableName) -> str:
    """Return the path of a table in the REST API."""
    return f"{_dataset_path(table)}/tables/{table.table}"


def default_stream(table: TableName) -> str:
    """Return the name of a table's default stream."""
    return f"projects/{table.project}/datasets/{table.dataset}/tables/{table.table}/streams/_default"


def sql_name(table: TableName) -> str:
    """Return a table's name in SQL."""
    return f"`{table.project}.{table.dataset}.{table.table}`"


def texts(*names: str) -> list[dict[str, Any]]:
    """Return columns of text."""
    return [{"name": name, "type": "STRING"} for name in names]


def _dataset_path(table: TableName) -> str:
    return f"/projects/{table.project}/datasets/{table.dataset}"

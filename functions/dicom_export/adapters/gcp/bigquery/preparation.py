"""Create tables, and add columns to them, while others may change the same tables."""

from __future__ import annotations

import random
import re
import time
from typing import TYPE_CHECKING, Any

from dicom_export.adapters.gcp.bigquery.table_schema import described, grown
from dicom_export.errors import Aborted, InvalidArgument, TooManyColumns
from dicom_export.rows.partitioning import PARTITION_COLUMN, partitioning_from_json
from dicom_export.rows.schema import UID_COLUMNS, ordered, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_export.adapters.gcp.bigquery.table_catalog import Resource, TableCatalog
    from dicom_export.names import TableName
    from dicom_export.rows.partitioning import Partitioning
    from dicom_export.rows.schema import Schema

_CHANGE_SECONDS = 40.0
_LONGEST_PAUSE = 5.0
_TOO_MANY = re.compile("too many (columns|total leaf fields)", re.IGNORECASE)


class Preparation:
    """Gives tables the columns that rows need."""

    def __init__(self, catalog: TableCatalog, sleep: Callable[[float], None] = time.sleep) -> None:
        self._catalog = catalog
        self._sleep = sleep

    def create_or_grow(
        self,
        table: TableName,
        schema: Schema,
        made_of: Callable[[], Resource] | None = None,
        partitioning: Partitioning | None = None,
    ) -> None:
        """Create the table from `made_of`, or add the columns that it lacks.

        Without `made_of` a new table is clustered by the UIDs of its instances, in these partitions.

        If another process creates or changes it first, this looks again. `made_of` may name the
        columns of a new table; otherwise they are those of the schema. Raises TooManyColumns.
        """
        may_require = True
        for _ in self._attempts():
            found = self._catalog.find(table)
            try:
                if found is None:
                    fields = {"fields": described(to_json(ordered(schema)))}
                    new = {"schema": fields, **(made_of() if made_of else _laid_out(schema, partitioning))}
                    is_done = self._catalog.create(table, new)
                else:
                    is_done = self._grow(table, found, schema, may_require=may_require)
            except InvalidArgument as error:
                if _TOO_MANY.search(error.message):
                    raise TooManyColumns(error.message) from error
                if found is None or not may_require:
                    raise
                # BigQuery may refuse to add a REQUIRED field in a new RECORD.
                may_require = False
                continue
            if is_done:
                return
        raise Aborted(f"{table} is being changed by too many others at once; try again")

    def _grow(self, table: TableName, found: Resource, schema: Schema, *, may_require: bool) -> bool:
        """Return whether the table has all columns now."""
        existing = fields_of(found)
        fields = grown(existing, schema, may_require=may_require)
        return fields == existing or self._catalog.patch(table, found["etag"], {"schema": {"fields": fields}})

    def _attempts(self) -> Iterator[None]:
        """Yield until the time is up, with pauses in which others can finish."""
        deadline, pause = time.monotonic() + _CHANGE_SECONDS, 0.1
        while time.monotonic() < deadline:
            yield
            self._sleep(random.uniform(pause / 2, pause))  # noqa: S311 - only to be out of step with others
            pause = min(2 * pause, _LONGEST_PAUSE)


def _laid_out(schema: Schema, partitioning: Partitioning | None) -> Resource:
    """Return the layout of a table of instances: a query for a study or series does not read all of the table."""
    names = {field.name for field in schema}
    clustering = [name for name in UID_COLUMNS if name in names]
    layout: Resource = {"clustering": {"fields": clustering}} if clustering else {}
    if partitioning:
        layout["timePartitioning"] = {**partitioning.to_json(), "field": PARTITION_COLUMN}
    return layout


def partitioning_of(table: Resource) -> Partitioning | None:
    """Return the partitions of a table, as the REST API describes it, if they are those of LastUpdated."""
    described = table.get("timePartitioning", {})
    is_by_update = str(described.get("field", "")).lower() == PARTITION_COLUMN.lower()
    return partitioning_from_json(described) if is_by_update else None


def fields_of(table: Resource) -> list[dict[str, Any]]:
    """Return the columns of a table, as the REST API describes them."""
    fields: list[dict[str, Any]] = table.get("schema", {}).get("fields", [])
    return fields

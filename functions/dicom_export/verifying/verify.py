"""Compare a store with a table: write an inventory of the store next to the table, and report the differences."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from dicom_export.decoding.decoded import DecodedInstance
from dicom_export.errors import FailedPrecondition, NotFound, PermanentError
from dicom_export.operations.cold_reads import is_cold
from dicom_export.operations.failure import Failure, FailureStage
from dicom_export.operations.planning import is_planned
from dicom_export.operations.request import ExportRequest, WriteDisposition
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.inventory import known_row
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.rows.schema import INVENTORY
from dicom_export.verifying.compare import repair_lines
from dicom_export.verifying.known_objects import split_known
from dicom_export.verifying.reconciliation import REPORT, DifferenceKind, layout_like

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_export.decoding.decoded import Row
    from dicom_export.names import GcsUri, StoreName, TableName
    from dicom_export.operations.counters import DifferenceCounts
    from dicom_export.ports import Decode, DicomStore, TableInfo, Warehouse
    from dicom_export.stored_object import StoredObject, Unlisted
    from dicom_export.stores import DeclaredStore
    from dicom_export.verifying.reconciliation import Difference

_OBJECTS_AT_ONCE = 20_000
_READ_AT_ONCE = 1_000
_LAYOUT = RowLayout(SchemaKind.INVENTORY)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a comparison: the number of differences of each kind, and the first ones.

    `unjudged` are the rows without an object where the object may be in a folder that could not be listed.
    """

    counts: DifferenceCounts
    first: tuple[Difference, ...]
    unjudged: int = 0


@dataclass(frozen=True, slots=True)
class Inventory:
    """The table with a row for each instance of the store, its number of rows, and what could not be listed."""

    store: StoreName
    table: TableName
    instances: int
    unlisted: tuple[Unlisted, ...] = ()


@dataclass(frozen=True)
class Verification:
    """Compares a table with a store."""

    table: TableName
    tables: Warehouse
    decode: Decode

    @contextmanager
    def inventory(
        self, name: StoreName, store: DeclaredStore, on_failure: Callable[[Failure], None]
    ) -> Iterator[Inventory]:
        """Yield an inventory of the store, in a table next to the one to verify. It is dropped at the end of the context.

        `on_failure` is called for each instance that cannot be exported and so is not in it. Raises NotFound without the table or the store,
        FailedPrecondition before an object of a cold storage class is read that may not be.
        """
        names_objects = layout_like(self._require_table().schema).has_source_object
        inventory = replace(self.table, table=f"dicom_export_inventory_{secrets.token_hex(8)}")
        self.tables.prepare_staging(inventory, INVENTORY, inventory)
        try:
            unlisted: dict[Unlisted, None] = {}
            listed = store.objects.list(unlisted=unlisted.setdefault)
            planned = (stored for stored in listed if is_planned(stored, store.ignore))
            instances = 0
            while chunk := list(islice(planned, _OBJECTS_AT_ONCE)):
                known, unknown = self._known(store.objects, chunk) if names_objects else ((), chunk)
                _check_classes(store, unknown)
                instances += self._add_rows(inventory, known)
                for start in range(0, len(unknown), _READ_AT_ONCE):
                    some = unknown[start : start + _READ_AT_ONCE]
                    instances += self._add_rows(inventory, self._read(store.objects, some, on_failure))
            yield Inventory(name, inventory, instances, tuple(unlisted))
        finally:
            self.tables.drop(inventory)

    @contextmanager
    def report(self, inventory: Inventory) -> Iterator[TableName]:
        """Yield the report of the differences between the inventory and the table as it is now."""
        report = replace(self.table, table=f"dicom_export_report_{secrets.token_hex(8)}")
        self.tables.prepare_staging(report, REPORT, report)
        try:
            # Nobody else streams into a file that this process has open, so no row is too new to be compared.
            self.tables.compare(
                self.table, inventory.table, report, inventory.store, before=_END_OF_TIME, job=report.table
            )
            yield report
        finally:
            self.tables.drop(report)

    def summary(self, inventory: Inventory, limit: int) -> Report:
        """Return the number of differences, and the first `limit` of them.

        A row does not name the folder of its object. So if a folder could not be listed, no row is reported as orphaned.
        """
        with self.report(inventory) as report:
            counts, found = self.tables.count_differences(report), self.tables.differences(report)
            if not inventory.unlisted:
                return Report(counts, tuple(islice(found, limit)))
            judged = (each for each in found if each.kind is not DifferenceKind.ORPHANED)
            return Report(replace(counts, orphaned=0), tuple(islice(judged, limit)), counts.orphaned)

    def repairs(self, report: TableName) -> Iterator[str]:
        """Yield the lines of a filter that names the instances that an export can repair."""
        return repair_lines(self.tables, report)

    def repair_request(self, store: StoreName, filter_uri: GcsUri) -> ExportRequest:
        """Return the request that exports the instances of the filter, in rows like those of the table."""
        like = layout_like(self._require_table().schema)
        return ExportRequest(
            store,
            self.table,
            WriteDisposition.WRITE_APPEND,
            like.schema,
            like.has_source_store,
            filter_uri,
            include_source_object=like.has_source_object,
            repeats_rows=True,
        )

    def _require_table(self) -> TableInfo:
        found = self.tables.describe(self.table)
        if found is None:
            raise NotFound(f"Table {self.table} was not found; an export creates it")
        return found

    def _known(
        self, objects: DicomStore, chunk: Sequence[StoredObject]
    ) -> tuple[Sequence[Row], Sequence[StoredObject]]:
        """Return the inventory rows of the objects that have a row in the table, and the other objects."""
        known, unknown = split_known(chunk, objects.uri, self.tables, self.table)
        return [known_row(stored, objects.uri(stored.name)) for stored in known], unknown

    def _read(
        self, objects: DicomStore, chunk: Sequence[StoredObject], on_failure: Callable[[Failure], None]
    ) -> Sequence[Row]:
        """Return the inventory rows of the instances among the objects, from their headers."""
        rows = []
        for stored, decoded in zip(chunk, self.decode(objects, chunk, _LAYOUT), strict=True):
            if isinstance(decoded, DecodedInstance):
                rows.append(decoded.row)
            elif isinstance(decoded, PermanentError):
                on_failure(Failure(stored.name, stored.generation, FailureStage.READ, decoded.code, decoded.message))
        return rows

    def _add_rows(self, inventory: TableName, rows: Sequence[Row]) -> int:
        if rows:
            self.tables.stream(inventory, record_batch(rows, INVENTORY))
        return len(rows)


def _check_classes(store: DeclaredStore, objects: Sequence[StoredObject]) -> None:
    """Raise FailedPrecondition if an object is in a cold storage class and may not be read."""
    cold = None if store.allow_cold_reads else next(filter(is_cold, objects), None)
    if cold:
        raise FailedPrecondition(
            f"{store.objects.uri(cold.name)} has no row that names it, and is in the storage class {cold.storage_class}, of which a"
            " read costs more. Nothing of it was read. To have such objects read, add --allow-cold-reads"
        )

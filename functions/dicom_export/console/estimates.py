"""What exports of whole stores would take, estimated on request."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_export.exporting.service import ExportService
    from dicom_export.names import StoreName
    from dicom_export.operations.estimate import Estimate
    from dicom_export.rows.layout import SchemaKind


@dataclass(frozen=True, slots=True)
class Estimated:
    """The estimate of a store, at a time."""

    estimate: Estimate
    time: datetime


@dataclass(frozen=True)
class Estimates:
    """The latest estimate of each store and schema, in the memory of this process."""

    _found: dict[tuple[StoreName, SchemaKind], Estimated] = field(default_factory=dict)

    def latest(self, store: StoreName, kind: SchemaKind) -> Estimated | None:
        """Return the latest estimate, or None."""
        return self._found.get((store, kind))

    def make(self, store: StoreName, kind: SchemaKind, service: ExportService) -> None:
        """Estimate an export of the whole store. Raises the errors of `ExportService.estimate`."""
        self._found[store, kind] = Estimated(service.estimate(store, kind), datetime.now(UTC))

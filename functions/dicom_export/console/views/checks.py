"""What is known of the destination that a form names, before the export is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.console import numbers
from dicom_export.console.texts import t
from dicom_export.console.views.export_form import DISPOSITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from dicom_export.ports import TableInfo

_ICONS = {"ok": "ok", "info": "info", "warn": "warn", "error": "error", "wait": "wait"}


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a field: how it went, and what was found."""

    field: str
    tone: str
    text: Markup | str

    @property
    def icon(self) -> str:
        """The shape that goes with the tone."""
        return _ICONS[self.tone]


@dataclass(frozen=True, slots=True)
class Destination:
    """The checks, and the table if it exists. `is_new` says that a table would be created."""

    checks: tuple[Check, ...]
    table: TableInfo | None = None
    is_new: bool = False

    @property
    def rows(self) -> int:
        """The number of rows that the table has."""
        return self.table.row_count if self.table else 0

    def effect(self, disposition: str) -> Check | None:
        """Return what an export with this write disposition would do to the table, if that is known."""
        if self.is_new:
            return Check(disposition, "ok", t("effect.new"))
        if self.table is None:
            return None
        rows = numbers.count(self.rows)
        if not self.rows:
            return Check(disposition, "ok", t("effect.empty"))
        tone = {"WRITE_EMPTY": "error", "WRITE_APPEND": "ok", "WRITE_TRUNCATE": "warn"}[disposition]
        return Check(disposition, tone, t(f"effect.{disposition}", rows=rows))

    @property
    def effects(self) -> dict[str, Check | None]:
        """What each write disposition would do."""
        return {disposition: self.effect(disposition) for disposition in DISPOSITIONS}


def similar(names: Sequence[str], name: str) -> str:
    """Return the names that exist, for somebody who looks for one."""
    near = [each for each in names if each.lower().startswith(name.lower()[:3])] or list(names)
    return ", ".join(near[:3])

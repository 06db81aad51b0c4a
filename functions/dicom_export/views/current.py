"""The rows of the instances that a store has now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from dicom_export.views.dialect import Dialect

# Two stores may hold the same instance: each has a newest row of its own.
_IDENTITY = ("SOPInstanceUID", "SourceDicomStore")
# Rows of the same time are ordered by what tells them apart, so that every query takes the same one.
_AGE = ("LastUpdated", "SourceGeneration", "SourceObject")


def current_rows(table_sql: str, columns: Collection[str], sql: Dialect) -> str:
    """Return the query of the newest row of each instance, without those of deleted instances.

    A row without SOP Instance UID is its own newest row.
    """
    identity = ", ".join(sql.name(name) for name in _IDENTITY if name in columns)
    age = ", ".join(f"{sql.name(name)} DESC" for name in _AGE if name in columns)
    there = " AND Type IS DISTINCT FROM 'DELETE'" if "Type" in columns else ""
    return (
        f"SELECT *\nFROM {table_sql}\nWHERE TRUE\n"
        f"QUALIFY (SOPInstanceUID IS NULL OR ROW_NUMBER() OVER (PARTITION BY {identity} ORDER BY {age}) = 1){there}"
    )

"""The answers of the functions to check messages.

checks/ID/FUNCTION.json     what one function found, create-once
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_export.state.paths import check_path
from dicom_export.state.records import Records, encode

if TYPE_CHECKING:
    from collections.abc import Sequence


class Checks(Records):
    """The answers to all checks."""

    def create(self, check: str, function: str, answers: Sequence[Any]) -> None:
        """Record the answers of a function. The first of repeated answers counts."""
        self._store.create(check_path(check, function), encode(list(answers)))

    def find(self, check: str, function: str) -> list[Any] | None:
        """Return the answers of a function, or None if it has not answered yet."""
        found = self._read(check_path(check, function))
        return None if found is None else list(found)

"""Copies that take several calls, as those of large objects to another location do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.ports import UnfinishedCopy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_export.ports import CopyFolder, CopyResult
    from dicom_export.stored_object import StoredObject


class SlowCopies:
    """A CopyFolder each of whose copies takes so many calls, each with the token of the one before."""

    def __init__(self, inner: CopyFolder, calls: int) -> None:
        self._inner = inner
        self._calls = calls
        self.copies_at_once = 1
        self.tokens: dict[tuple[str, str], list[str]] = {}
        """The tokens of the calls of each copy, by the names of its object and of the copy."""

    def uri(self, name: str) -> str:
        return self._inner.uri(name)

    def check(self) -> None:
        self._inner.check()

    def adds_to(self, root: str) -> bool:
        return self._inner.adds_to(root)

    def copy(self, source: str, stored: StoredObject, name: str, token: str = "") -> CopyResult | UnfinishedCopy:
        self.tokens.setdefault((stored.name, name), []).append(token)
        done = int(token or 0) + 1
        return UnfinishedCopy(str(done)) if done < self._calls else self._inner.copy(source, stored, name)

    def flush(self, names: Iterable[str]) -> None:
        self._inner.flush(names)

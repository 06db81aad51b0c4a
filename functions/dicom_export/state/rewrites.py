"""The tokens of copies that take several calls, so that another delivery of the message continues them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.state import paths
from dicom_export.state.records import Records, encode

if TYPE_CHECKING:
    from dicom_export.names import OperationName


class Rewrites(Records):
    """The unfinished copies of all operations.

    A copy is named by its position in the task, and by the name that it will have.
    """

    def tokens(self, name: OperationName, page: int, task: int) -> dict[tuple[int, str], str]:
        """Return the tokens of a task, by position and name."""
        prefix = paths.rewrites_prefix(name, page, task)
        found = {}
        for path, data in self._read_all(entry.path for entry in self._store.list(prefix)):
            found[paths.number_of(path), data["copy"]] = data["token"]
        return found

    def keep(self, name: OperationName, page: int, task: int, position: int, copy: str, token: str) -> None:
        """Store the token of a copy in the place of the one before.

        If two workers make the same copy, the token of either continues it.
        """
        path, content = paths.rewrite_path(name, page, task, position), encode({"copy": copy, "token": token})
        if not self._store.create(path, content):
            state = self._store.read(path)
            if state and state.content != content:
                self._store.replace(path, content, state.version)

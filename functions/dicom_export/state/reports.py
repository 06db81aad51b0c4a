"""The claims of failure rows: one stream per page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.state import paths
from dicom_export.state.records import Records, encode, vanished

if TYPE_CHECKING:
    from dicom_export.names import OperationName


class Reports(Records):
    """The reports of all operations."""

    def find(self, name: OperationName, page: int) -> str | None:
        """Return the stream that holds the failure rows of a page, or None if there is none yet."""
        data = self._read(paths.report_path(name, page))
        return str(data["stream"]) if data else None

    def create(self, name: OperationName, page: int, stream: str) -> str:
        """Create the claim of a page's failure rows, and return the claimed stream.

        It is the stream of the first creator.
        """
        if self._store.create(paths.report_path(name, page), encode({"stream": stream})):
            return stream
        return self.find(name, page) or vanished(paths.report_path(name, page))

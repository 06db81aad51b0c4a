"""Filter files in a folder that exports name as a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.adapters.local.folder.files import disk_errors, replaced_file
from dicom_export.names import GcsUri

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class FolderFilterFiles:
    """The files `gs://BUCKET/NAME` of one folder."""

    bucket: str
    folder: Path

    def put(self, name: str, content: bytes) -> GcsUri:
        with disk_errors(self.folder), replaced_file(self.folder / name) as file:
            file.write(content)
        return GcsUri(self.bucket, name)

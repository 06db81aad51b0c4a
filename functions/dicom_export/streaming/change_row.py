"""The row that a change of an instance makes in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.messages import InstanceChanged, ObjectEvent
from dicom_export.ports import Version

if TYPE_CHECKING:
    from dicom_export.decoding.decoded import Row
    from dicom_export.streaming.config import StreamConfig
    from dicom_export.uids import InstanceUids


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """What a change says of one instance in one table. `version` orders the changes of an instance."""

    change: InstanceChanged
    config: StreamConfig
    row: Row
    uids: InstanceUids

    @property
    def version(self) -> Version:
        """Which of the instance's changes it is."""
        return Version(self.change.stored.generation, is_deletion=self.change.event is ObjectEvent.DELETED)

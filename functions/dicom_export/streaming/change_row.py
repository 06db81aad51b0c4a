"""Define the row of a change of an instance in one table."""

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
    """The row of a change of one instance in one table. `version` orders the changes of an instance."""

    change: InstanceChanged
    config: StreamConfig
    row: Row
    uids: InstanceUids

    @property
    def version(self) -> Version:
        """The position of this change among the changes of the instance."""
        return Version(self.change.stored.generation, is_deletion=self.change.event is ObjectEvent.DELETED)

"""The counts of cold and untimely objects of a store, taken before an export reads anything: parts, each created once."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from dicom_export.operations.cold_reads import ColdObjects, Survey
from dicom_export.operations.planning import Cursor, Layout
from dicom_export.rows.partitioning import Untimely
from dicom_export.state import paths
from dicom_export.state.paths import number_of
from dicom_export.state.records import Records, encode, vanished

if TYPE_CHECKING:
    from dicom_export.names import OperationName


class Surveys(Records):
    """The surveys of all operations. Each part has the counts from the beginning to where it ended."""

    def last(self, name: OperationName) -> tuple[int, Survey | None]:
        """Return the number of parts, and the last of them; None if there is no part."""
        entries = list(self._store.list(paths.survey_prefix(name)))
        if not entries:
            return 0, None
        path = entries[-1].path
        data = self._read(path) or vanished(path)
        cursor = data["next"]
        counts = {kind: ColdObjects(**found) for kind, found in data["counts"].items()}
        following = Cursor(Layout(cursor["layout"]), cursor["path"], cursor["start_after"]) if cursor else None
        # Parts of earlier versions, and those without such objects, do not have it.
        untimely = Untimely(**data.get("untimely", {}))
        return number_of(path) + 1, Survey(counts, following, untimely)

    def create(self, name: OperationName, part: int, survey: Survey) -> None:
        """Create a part, unless another process has."""
        counts = {kind: asdict(found) for kind, found in survey.counts.items()}
        untimely = {"untimely": asdict(survey.untimely)} if survey.untimely else {}
        content = encode({"counts": counts, "next": asdict(survey.next) if survey.next else None, **untimely})
        self._store.create(paths.survey_path(name, part), content)

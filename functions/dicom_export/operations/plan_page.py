"""One page of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.operations.planning import Cursor, Layout, Task

if TYPE_CHECKING:
    from dicom_export.operations.failure import Status
    from dicom_export.stored_object import Unlisted


@dataclass(frozen=True, slots=True)
class PlanPage:
    """The tasks of one page, and where the next one begins; the last page has no `next`.

    A page that could not be planned has the reason in `error`, no tasks and no next page.
    `applies_filter` says that the workers have to apply the filter of the operation, because the
    names of the objects do not tell. `unlisted` are the entries that could not be listed; one
    between two pages may be in both. `sender` is that of the message that planned the page.
    `known_tasks` are the numbers of the tasks whose objects have a row in the table that a
    verification compares. `unchanged` counts the objects that an export left out because they have
    a row.
    """

    tasks: tuple[Task, ...] = ()
    next: Cursor | None = None
    layout: Layout = Layout.FOLDERS
    applies_filter: bool = False
    error: Status | None = None
    unlisted: tuple[Unlisted, ...] = ()
    sender: str = ""
    known_tasks: tuple[int, ...] = ()
    unchanged: int = 0

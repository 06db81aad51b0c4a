"""The pages of an operation's plan, each created once, before its messages are published."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dicom_export.messages import object_from_json, object_to_json
from dicom_export.operations.failure import Status
from dicom_export.operations.plan_page import PlanPage
from dicom_export.operations.planning import Cursor, Layout
from dicom_export.state import paths
from dicom_export.state.paths import number_of
from dicom_export.state.records import Records, encode, vanished
from dicom_export.stored_object import Unlisted

if TYPE_CHECKING:
    from dicom_export.names import OperationName


class Plans(Records):
    """The plans of all operations."""

    def page(self, name: OperationName, page: int) -> PlanPage | None:
        """Return a page of the plan, or None if it is not planned yet."""
        data = self._read(paths.plan_path(name, page))
        return _plan_page_from_json(data) if data else None

    def has_page(self, name: OperationName, page: int) -> bool:
        """Say whether the page is planned."""
        return next(self._store.list(paths.plan_path(name, page)), None) is not None

    def pages(self, name: OperationName) -> list[int]:
        """Return the pages that have been planned so far."""
        return [number_of(entry.path) for entry in self._store.list(paths.plan_prefix(name))]

    def defer(self, name: OperationName, page: int) -> None:
        """Record that the page will be planned when more results are there."""
        self._store.create(paths.deferred_path(name, page), b"")

    def is_deferred(self, name: OperationName, page: int) -> bool:
        """Say whether the planning of the page was deferred at some time."""
        return self._store.read(paths.deferred_path(name, page)) is not None

    def tasks(self, name: OperationName) -> dict[int, int]:
        """Return the number of tasks of each page that has been planned so far."""
        return {
            number_of(entry.path): int(entry.metadata["tasks"]) for entry in self._store.list(paths.plan_prefix(name))
        }

    def create_page(self, name: OperationName, page: int, planned: PlanPage) -> PlanPage:
        """Create the page, and return the stored one: ours, or that of the first creator."""
        metadata = {"tasks": str(len(planned.tasks)), "planned": str(sum(map(len, planned.tasks)))}
        if planned.unlisted:
            metadata["unlisted"] = str(len(planned.unlisted))
        if planned.unchanged:
            metadata["unchanged"] = str(planned.unchanged)
        content = encode(_plan_page_to_json(planned))
        if self._store.create(paths.plan_path(name, page), content, metadata):
            return planned
        return self.page(name, page) or vanished(paths.plan_path(name, page))

    def unlisted(self, name: OperationName) -> list[Unlisted]:
        """Return the entries that could not be listed in the plan so far, by name."""
        pages = [entry.path for entry in self._store.list(paths.plan_prefix(name)) if entry.metadata.get("unlisted")]
        found = {each.name: each for _, data in self._read_all(pages) for each in _plan_page_from_json(data).unlisted}
        return [found[each] for each in sorted(found)]


def _plan_page_to_json(page: PlanPage) -> dict[str, Any]:
    return {
        "tasks": [[object_to_json(stored) for stored in task] for task in page.tasks],
        "next": asdict(page.next) if page.next else None,
        "layout": page.layout.value,
        "appliesFilter": page.applies_filter,
        "error": page.error.to_json() if page.error else None,
        **({"unlisted": page.unlisted} if page.unlisted else {}),
        **({"sender": page.sender} if page.sender else {}),
        **({"unchanged": page.unchanged} if page.unchanged else {}),
        **({"knownTasks": page.known_tasks} if page.known_tasks else {}),
    }


def _plan_page_from_json(data: dict[str, Any]) -> PlanPage:
    following, error = data["next"], data["error"]
    return PlanPage(
        tuple(tuple(map(object_from_json, task)) for task in data["tasks"]),
        Cursor(Layout(following["layout"]), following["path"], following["start_after"]) if following else None,
        Layout(data["layout"]),
        data["appliesFilter"],
        Status.from_json(error) if error else None,
        tuple(Unlisted(*each) for each in data.get("unlisted", ())),
        data.get("sender", ""),
        tuple(data.get("knownTasks", ())),
        data.get("unchanged", 0),
    )

"""The state of an installation: one repository per kind of object, over one OperationStore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.state.dead_letters import DeadLetters
from dicom_export.state.filters import Filters
from dicom_export.state.operations import Operations
from dicom_export.state.overwrites import Overwrites
from dicom_export.state.pages import Pages
from dicom_export.state.plans import Plans
from dicom_export.state.progress import ProgressOfPages
from dicom_export.state.reports import Reports
from dicom_export.state.rewrites import Rewrites
from dicom_export.state.surveys import Surveys
from dicom_export.state.tables import ExclusiveTables
from dicom_export.state.tasks import Tasks
from dicom_export.state.uploads import Uploads

if TYPE_CHECKING:
    from dicom_export.ports import OperationStore


class Journal:
    """The repositories of the state of an installation."""

    def __init__(self, store: OperationStore) -> None:
        self.operations = Operations(store)
        self.plans = Plans(store)
        self.surveys = Surveys(store)
        self.tasks = Tasks(store)
        self.pages = Pages(store, self.tasks)
        self.progress = ProgressOfPages(store)
        self.reports = Reports(store)
        self.rewrites = Rewrites(store)
        self.tables = ExclusiveTables(store, self.operations)
        self.dead_letters = DeadLetters(store)
        self.filters = Filters(store)
        self.overwrites = Overwrites(store, self.operations.find)
        self.uploads = Uploads(store)

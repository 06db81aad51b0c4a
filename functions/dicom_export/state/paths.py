"""The paths of the state objects."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_export.names import DatasetName, OperationName, TableName

_LONGEST_IN_PATH = 240


_END_OF_TIME = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)


def operation_path(name: OperationName) -> str:
    """Return the path of the operation itself."""
    return f"{name}/operation.json"


def index_path(name: OperationName, create_time: datetime) -> str:
    """Return the path of the operation's index entry; the index is ordered newest first."""
    age = _END_OF_TIME - int(create_time.timestamp() * 1_000_000)
    return f"{index_prefix(name.parent)}{age:018d}-{name.operation}"


def index_prefix(parent: DatasetName) -> str:
    """Return the prefix of the index of a dataset's operations."""
    return f"{parent}/operations-by-time/"


def plan_path(name: OperationName, page: int) -> str:
    """Return the path of a page of the plan."""
    return f"{name}/plan/{page:06d}.json"


def claims_prefix(name: OperationName) -> str:
    """Return the prefix of the claims of an operation."""
    return f"{name}/claims/"


def claim_path(name: OperationName, page: int, task: int) -> str:
    """Return the path of the claim of a task."""
    return f"{claims_prefix(name)}{page:06d}/{task:03d}.json"


def results_prefix(name: OperationName, page: int | None = None) -> str:
    """Return the prefix of the results of a page, or of all of them."""
    return f"{name}/results/" if page is None else f"{name}/results/{page:06d}/"


def result_path(name: OperationName, page: int, task: int) -> str:
    """Return the path of the result of a task."""
    return f"{results_prefix(name, page)}{task:03d}.json"


def rewrites_prefix(name: OperationName, page: int, task: int) -> str:
    """Return the prefix of the unfinished copies of a task."""
    return f"{name}/rewrites/{page:06d}/{task:03d}/"


def rewrite_path(name: OperationName, page: int, task: int, position: int) -> str:
    """Return the path of an unfinished copy."""
    return f"{rewrites_prefix(name, page, task)}{position:06d}.json"


def pages_prefix(name: OperationName) -> str:
    """Return the prefix of the pages' sums."""
    return f"{name}/pages/"


def page_path(name: OperationName, page: int) -> str:
    """Return the path of the sum of a page."""
    return f"{pages_prefix(name)}{page:06d}.json"


def survey_prefix(name: OperationName) -> str:
    """Return the prefix of the parts of the survey."""
    return f"{name}/survey/"


def survey_path(name: OperationName, part: int) -> str:
    """Return the path of a part of the survey."""
    return f"{survey_prefix(name)}{part:06d}.json"


def deferred_path(name: OperationName, page: int) -> str:
    """Return the path of the mark that the planning of a page waits for workers."""
    return f"{name}/deferred/{page:06d}"


def plan_prefix(name: OperationName) -> str:
    """Return the prefix of the plan's pages."""
    return f"{name}/plan/"


def filter_index_path(name: OperationName) -> str:
    """Return the path of the filter's index: the first path of each chunk."""
    return f"{name}/filter/index.json"


def filter_path(name: OperationName, chunk: int) -> str:
    """Return the path of a chunk of the filter's sorted paths."""
    return f"{name}/filter/{chunk:06d}.json"


def report_path(name: OperationName, page: int) -> str:
    """Return the path of the claim of a page's failure rows."""
    return f"{name}/reports/{page:06d}.json"


def dead_letters_prefix(parent: DatasetName) -> str:
    """Return the prefix of the dead letters of a dataset's operations."""
    return f"{parent}/dead-letters/"


def dead_letter_path(name: OperationName, letter: str) -> str:
    """Return the path of a dead letter of the operation."""
    return f"{dead_letters_prefix(name.parent)}{name.operation}/{letter}.json"


def exclusive_path(table: TableName) -> str:
    """Return the path of the object that names the export with exclusive use of the table."""
    return f"exclusive/{table_path(table)}.json"


def table_path(table: TableName) -> str:
    """Return the table as a part of a path.

    A long name becomes a digest, because file systems allow no name of 1,024 bytes.
    """
    return "/".join(
        name if len(name.encode()) <= _LONGEST_IN_PATH else f"~{sha256(name.encode()).hexdigest()}"
        for name in (table.project, table.dataset, table.table)
    )


def heal_path(name: OperationName, period: int) -> str:
    """Return the path of the mark that an operation was announced again in a period."""
    return f"{name}/heals/{period}"


def check_path(check: str, function: str) -> str:
    """Return the path of the answer of a function to a check."""
    return f"checks/{check}/{function}.json"


def number_of(path: str) -> int:
    """Return the number of the object's page."""
    return int(path.rpartition("/")[2].removesuffix(".json"))

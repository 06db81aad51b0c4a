"""Names that requests may not use: the program keeps its own books under them, or the warehouse does."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from dicom_export.names import TableName

BOOKKEEPING_DATASET = "dicom_export"
"""The dataset of a project in which commits, replacements and schemas are kept on one machine."""

# DuckDB's own, of which BigQuery has the first. `main` is not one of them: `dicom-export export` writes there.
_CATALOGS = ("information_schema", "pg_catalog")
_DATASETS = frozenset({BOOKKEEPING_DATASET, *_CATALOGS})
# Tables of an overwrite or a comparison that runs, and BigQuery's lists of a dataset's tables.
_TABLES = re.compile(r"dicom_export_(staging|inventory|report)_.*|__tables(_summary)?__|information_schema", re.DOTALL)


def check_table(table: TableName) -> TableName:
    """Return the table. Raises InvalidArgument if its dataset or its own name is reserved, however that is spelt."""
    check_dataset_name(table.project, table.dataset)
    if _TABLES.fullmatch(_folded(table.table)):
        raise InvalidArgument(
            f"Table name {table.table!r} is reserved: this program or the database keeps its own data under such a name."
            " Choose another table name."
        )
    return table


def check_dataset_name(project: str, dataset: str) -> None:
    """Raise InvalidArgument if the dataset's name is reserved, however it is spelt."""
    if _folded(dataset) in _DATASETS:
        raise InvalidArgument(
            f"Dataset {project}.{dataset} is reserved: this program or the database keeps its own data there."
            " Choose another dataset."
        )


def _folded(name: str) -> str:
    """Return the name in the spelling that all names share which a database may take for the same one."""
    return unicodedata.normalize("NFKC", name).casefold().strip()

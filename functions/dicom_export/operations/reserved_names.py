"""Names that requests may not use, because this program or the warehouse keeps data there."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from dicom_export.names import TableName

BOOKKEEPING_DATASET = "dicom_export"
"""The dataset of commits, replacements and schemas in each project on a single machine."""

# DuckDB reserves both; BigQuery reserves the first. `main` is allowed: `dicom-export export` writes there.
_CATALOGS = ("information_schema", "pg_catalog")
_DATASETS = frozenset({BOOKKEEPING_DATASET, *_CATALOGS})
# Tables of an overwrite or a comparison, and BigQuery's lists of the tables of a dataset.
_TABLES = re.compile(
    r"dicom_export_(staging|inventory|report|objects)_.*|__tables(_summary)?__|information_schema", re.DOTALL
)


def check_table(table: TableName) -> TableName:
    """Return the table.

    Raises InvalidArgument if the name of its dataset or its own name is reserved, in any spelling.
    """
    check_dataset_name(table.project, table.dataset)
    if is_reserved_table(table.table):
        raise InvalidArgument(
            f"Table name {table.table!r} is reserved: this program or the database keeps its own data under such a name."
            " Choose another table name."
        )
    return table


def check_dataset_name(project: str, dataset: str) -> None:
    """Raise InvalidArgument if the name of the dataset is reserved, in any spelling."""
    if is_reserved_dataset(dataset):
        raise InvalidArgument(
            f"Dataset {project}.{dataset} is reserved: this program or the database keeps its own data there."
            " Choose another dataset."
        )


def is_reserved_table(name: str) -> bool:
    """Say whether no request may name a table this way."""
    return _TABLES.fullmatch(_folded(name)) is not None


def is_reserved_dataset(name: str) -> bool:
    """Say whether no request may name a dataset this way."""
    return _folded(name) in _DATASETS


def _folded(name: str) -> str:
    """Return the spelling that all names share which a database may treat as the same."""
    return unicodedata.normalize("NFKC", name).casefold().strip()

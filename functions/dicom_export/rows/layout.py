"""The layout of the rows of a table.

This module imports nothing of the project, so that a request can be read without loading a DICOM
parser.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_ROW_BYTES = 8_000_000
"""Bytes of a request to a table, and so of the largest row."""


class SchemaKind(StrEnum):
    """The kind of a schema.

    FLATTENED has one column per element, JSON has all elements in one JSON column, INVENTORY has no
    elements but the UIDs.
    """

    FLATTENED = "flattened"
    JSON = "json"
    INVENTORY = "inventory"


TABLE_SCHEMAS = (SchemaKind.FLATTENED, SchemaKind.JSON)
"""The kinds that a table of a user can have."""


OBJECT_COLUMNS = ("SourceObject", "SourceGeneration", "BlobStorageSize")
"""The columns that together tell one version of an object from all others."""


def names_objects(columns: Collection[str]) -> bool:
    """Say whether the rows of a table with these columns tell which version of which object they are of."""
    return all(name in columns for name in OBJECT_COLUMNS)


@dataclass(frozen=True, slots=True)
class RowLayout:
    """The layout of the rows of a table.

    `source_store` is the resource name of the store if the rows have SourceDicomStore.
    `has_source_object` tells whether they have SourceObject and SourceGeneration.
    """

    kind: SchemaKind
    source_store: str | None = None
    has_source_object: bool = False

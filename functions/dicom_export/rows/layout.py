"""What the rows of a table are like. Needs nothing, so that a request can be read without loading a parser of DICOM."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SchemaKind(StrEnum):
    """One column an element, all elements in one JSON column, or no elements but who the instance is."""

    FLATTENED = "flattened"
    JSON = "json"
    INVENTORY = "inventory"


TABLE_SCHEMAS = (SchemaKind.FLATTENED, SchemaKind.JSON)
"""What a user's table can be like."""


@dataclass(frozen=True, slots=True)
class RowLayout:
    """What a table's rows are like; `source_store` is the store's resource name if they have SourceDicomStore."""

    kind: SchemaKind
    source_store: str | None = None

"""A call of a function."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dicom_export.adapters.local.bigquery_sql.values import Value, fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.adapters.local.bigquery_sql.types import Type


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the arguments as the function takes them, and whether it is SAFE.

    `distinct`, `order` and `window` are the clauses of an aggregate function, in DuckDB's SQL.
    """

    name: str
    arguments: Sequence[Value]
    result: Type
    safe: bool = False
    distinct: str = ""
    order: str = ""
    window: str = ""
    required: set[str] = field(default_factory=set)
    """Gets the names of the macros that the SQL calls."""

    def __getitem__(self, position: int) -> Value:
        return self.arguments[position]

    def sql(self, position: int) -> str:
        return self.arguments[position].sql

    def fail(self, message: str) -> str:
        return fail(message, safe=self.safe)

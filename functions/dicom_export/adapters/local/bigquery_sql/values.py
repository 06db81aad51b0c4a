"""A translated expression, and the errors that it may raise while the query runs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_export.adapters.local.bigquery_sql.types import NULL

if TYPE_CHECKING:
    from dicom_export.adapters.local.bigquery_sql.types import Type

MARK = f"BigQuery {secrets.token_hex(8)}: "
"""Begins the errors of a translation. No value of a table can pass for one, because nobody knows it before the process starts."""

NOT_CONSTANT: Any = object()


@dataclass(frozen=True, slots=True)
class Value:
    """An expression in DuckDB's SQL, its type, and its value if it is written in the query.

    `stored_sql` is an array as the table holds it: NULL if it is empty. `parts` are the fields of a STRUCT that the query makes.
    """

    sql: str
    type: Type
    constant: Any = NOT_CONSTANT
    stored_sql: str | None = None
    parts: tuple[tuple[str, Value], ...] = ()

    @property
    def is_constant(self) -> bool:
        return self.constant is not NOT_CONSTANT


NULL_VALUE = Value("NULL", NULL, None)


def text(value: str) -> str:
    """Return a text as a literal."""
    return "'" + value.replace("'", "''") + "'"


def fail(message: str, *, safe: bool = False) -> str:
    """Return SQL that ends the query with an error, or in a SAFE call is NULL."""
    return "NULL" if safe else f"error({text(MARK + message)})"


def cast_keyword(*, safe: bool) -> str:
    """Return what makes NULL, or an error, of a value that does not fit."""
    return "TRY_CAST" if safe else "CAST"

"""Recognise BigQuery's legacy SQL, which cannot be run."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import TokenError, TokenType

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot import Token

_PREFIX = re.compile(r"\s*#legacySQL\b", re.IGNORECASE)
_BEFORE_TABLES = {TokenType.FROM, TokenType.JOIN}


def check_not_legacy(sql: str) -> None:
    """Raise InvalidArgument if the SQL is legacy: a table in square brackets, `[project:dataset.table]`, or the prefix."""
    if _PREFIX.match(sql) or _has_table_in_brackets(sql):
        raise InvalidArgument(
            "Legacy SQL, such as [project:dataset.table], cannot be run: "
            "write the query in GoogleSQL, with `project.dataset.table` for the table"
        )


def _has_table_in_brackets(sql: str) -> bool:
    try:
        tokens = sqlglot.tokenize(sql, read="bigquery")
    except TokenError:
        return False
    return any(
        second.token_type is TokenType.L_BRACKET
        and (first.token_type in _BEFORE_TABLES or _names_project(tokens[position + 2 :]))
        for position, (first, second) in enumerate(pairwise(tokens))
    )


def _names_project(tokens: Sequence[Token]) -> bool:
    """Return whether `project:dataset.table]` follows a bracket: no expression of GoogleSQL has a colon."""
    for token in tokens:
        match token.token_type:
            case TokenType.COLON:
                return True
            case TokenType.VAR | TokenType.DASH | TokenType.NUMBER | TokenType.DOT:
                continue
        return False
    return False

"""Explain names in a query that do not exist, with suggestions from those that do."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from dicom_export.adapters.local.duckdb.suggestions import did_you_mean
from dicom_export.adapters.local.duckdb.table_columns import Column, columns_of, table_names, table_not_found
from dicom_export.dicom.dictionary import Entry, entry_named
from dicom_export.errors import InvalidArgument
from dicom_export.rows.schema import FieldType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_COLUMN = re.compile(
    r'(?:Referenced c|C)olumn "(?P<a>[^"]+)" (?:in \w+ list )?(?:was )?not found'
    r'|does not have a column named "(?P<b>[^"]+)"'
)
_FIELD = re.compile(r'Could not find key "(?P<a>[^"]+)" in struct')
_TABLE = re.compile(r'Table with name (?P<a>"[^"]+"|\S+) does not exist')
_ALIAS = re.compile(r'Referenced table "(?P<a>[^"]+)" not found')
_CANDIDATES = re.compile(r"Candidate [^:]+:(.*)", re.DOTALL)
_QUOTED = re.compile(r'"([^"]+)"')
_LISTED = 3


@dataclass(frozen=True, slots=True)
class Queried:
    """A query: its SQL as the user wrote it, and its file, attached to a connection as `catalog`.

    `is_translated` says that DuckDB runs something else, whose text means nothing to the user.
    """

    sql: str
    file: Path
    connection: duckdb.DuckDBPyConnection
    catalog: str
    is_translated: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that does not exist, the names that are possible there, and its place, such as ` (line 1, column 8)`."""

    name: str
    candidates: tuple[str, ...]
    place: str


class UnknownName(InvalidArgument):
    """A name that the translation does not find; `sentence` says the rest once the file is known."""

    def __init__(self, unknown: Unknown, sentence: Callable[[Unknown, Queried], str]) -> None:
        super().__init__(f"{unknown.name} was not found{unknown.place}")
        self.unknown = unknown
        self.sentence = sentence


def explained(error: duckdb.Error, queried: Queried) -> str | None:
    """Return the sentence for a name that does not exist, with those that resemble it, or None for another mistake."""
    text = str(error)
    for pattern, sentence in _SENTENCES.items():
        if found := pattern.search(text):
            name = next(each for each in found.groups() if each).strip('"').removeprefix(f"{queried.catalog}.")
            return sentence(Unknown(name, _candidates(text), place_of(name.rpartition(".")[2], queried.sql)), queried)
    return None


def place_of(name: str, sql: str) -> str:
    """Return the first place of the name in the SQL, or an empty text if it cannot be found."""
    word = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql, re.IGNORECASE)
    if not word:
        return ""
    before = sql[: word.start()]
    return f" (line {before.count(chr(10)) + 1}, column {len(before) - (before.rfind(chr(10)) + 1) + 1})"


def column_not_found(unknown: Unknown, queried: Queried) -> str:
    """Return why there is no such column, or which ones resemble it."""
    columns = _columns_named(queried)
    top = [each for each in columns if len(each.path) == 1]
    name = unknown.name
    start = f"Column {name} was not found{unknown.place}"
    if any(each.name.lower() == name.lower() for each in top):
        return f"{start}: the table has it, but not the subquery or alias that is read there"
    if nested := [each.name for each in columns if each.path[-1].lower() == name.lower()]:
        return f"{start}. It is a nested field: {_listed(nested)}"
    if entry := entry_named(name):
        return start + _why_there_is_no_column(entry, top)
    suggestion = did_you_mean(name, [*unknown.candidates, *(each.name for each in top)])
    return start + (suggestion or "; `dicom-export columns --from FILE` lists the columns")


def field_not_found(unknown: Unknown, _queried: Queried) -> str:
    """Return why there is no such field in a record, or which ones resemble it."""
    start = f"Field {unknown.name} was not found in its record{unknown.place}"
    if entry_named(unknown.name):
        return f"{start}: no exported instance has this element there"
    return start + did_you_mean(unknown.name, unknown.candidates)


def no_such_table(unknown: Unknown, queried: Queried) -> str:
    """Return which tables there are, and which ones resemble the name."""
    tables = table_names(queried.connection, queried.catalog)
    return table_not_found(unknown.name, queried.file, tables, unknown.place)


def _alias(unknown: Unknown, _queried: Queried) -> str:
    start = f"{unknown.name} is neither a table nor an alias in the FROM clause{unknown.place}"
    return start + did_you_mean(unknown.name, unknown.candidates)


def _why_there_is_no_column(entry: Entry, columns: list[Column]) -> str:
    if any(each.name == "Metadata" and each.type == FieldType.JSON for each in columns):
        part = ".Alphabetic" if entry.vr == "PN" else ""
        return f": the table has the JSON schema, read it with JSON_VALUE(Metadata, '$.{entry.tag:08X}.Value[0]{part}')"
    return ": no exported instance has this element"


_SENTENCES: dict[re.Pattern[str], Callable[[Unknown, Queried], str]] = {
    _COLUMN: column_not_found,
    _FIELD: field_not_found,
    _TABLE: no_such_table,
    _ALIAS: _alias,
}


def _candidates(text: str) -> tuple[str, ...]:
    found = _CANDIDATES.search(text)
    return tuple(_QUOTED.findall(found[1])) if found else ()


def _columns_named(queried: Queried) -> list[Column]:
    """Return the columns of the tables that the query mentions."""
    tables = table_names(queried.connection, queried.catalog)
    found: list[Column] = []
    for table in tables:
        if place_of(table.rpartition(".")[2], queried.sql):
            with suppress(duckdb.ProgrammingError):  # a view whose table has changed, which may be the mistake itself
                found += columns_of(queried.connection, queried.catalog, table)
    return found


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")

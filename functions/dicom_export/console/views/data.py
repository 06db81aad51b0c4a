"""Columns, results and charts as the page Data shows them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from dicom_export.console import numbers
from dicom_export.errors import InvalidArgument
from dicom_export.names import TableName
from dicom_export.operations.reserved_names import check_dataset_name
from dicom_export.rows.descriptions import description
from dicom_export.rows.result_values import plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from dicom_export.ports import QueryAnswer, TableColumn

CHARTS = ("Modality", "Manufacturer", "BodyPartExamined")
MONTHS = "StudyDate"
MOST_BARS = 8
MOST_MONTHS = 60

FIRST_SAMPLE = "newest-studies"

_SUFFIX = "View"
_VIEW = re.compile(r"\bFROM dicomView\b")
_TABLE = re.compile(r"\bFROM dicom\b")
# Comments, strings, the names of results, also where the rows are sorted by them, and the fields of records.
_NO_WORDS = re.compile(r"--[^\n]*|'[^']*'|\bAS \w+|\bORDER BY [\w, ]+|\.\w+")
_WORD = re.compile(r"\b[A-Z]\w+")
_MOST_COLUMNS = 200
_LONGEST_CELL = 300
_LEVELS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_PATH_PARTS = ("studies", "series", "instances")
_PATH = re.compile(r"(?:/dicomWeb)?(/studies/[^,\s]+)")


def parse_table(text: str) -> TableName:
    """Return the table of `PROJECT.DATASET.TABLE`. Raises InvalidArgument."""
    found = TableName.parse(f"bq://{text}")
    check_dataset_name(found.project, found.dataset)
    return found


def table_text(table: TableName) -> str:
    """Return the table as `parse_table` reads it."""
    return f"{table.project}.{table.dataset}.{table.table}"


def in_query(table: TableName) -> str:
    """Return the table as a query names it."""
    return f"`{table.table}`" if table.dataset == "main" else f"`{table.dataset}.{table.table}`"


@cache
def _samples() -> Mapping[str, str]:
    found = files("dicom_export.console").joinpath("queries").iterdir()
    return {each.name.removesuffix(".sql"): each.read_text() for each in sorted(found, key=lambda file: file.name)}


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample query: its name, and the columns that it needs and the table lacks."""

    name: str
    lacks: tuple[str, ...]


def samples(
    table: TableName, known: Sequence[TableName], columns_of: Callable[[TableName], Collection[str]]
) -> list[Sample]:
    """Return the sample queries about the table, the most useful first. Those about a view need it."""
    found = [
        Sample(name, _missing(text, columns_of(view_of(table) if _VIEW.search(text) else _whole(table))))
        for name, text in _samples().items()
        if not _VIEW.search(text) or view_of(table) in known
    ]
    return sorted(found, key=lambda each: (each.name != FIRST_SAMPLE, each.name))


def _missing(sql: str, names: Collection[str]) -> tuple[str, ...]:
    """Return the columns of an exported table that the query reads, and that are not among the names."""
    words = _WORD.findall(_NO_WORDS.sub(" ", sql))
    return tuple(word for word in dict.fromkeys(words) if description((word,)) and word not in names)


def view_of(table: TableName) -> TableName:
    """Return the view of a table's instances."""
    return table if table.table.endswith(_SUFFIX) else replace(table, table=f"{table.table}{_SUFFIX}")


def _whole(table: TableName) -> TableName:
    """Return the table of a view of instances."""
    return replace(table, table=table.table.removesuffix(_SUFFIX) or table.table)


def first_rows(table: TableName) -> str:
    """Return the query for some rows of any table."""
    return f"SELECT *\nFROM {in_query(table)}\nLIMIT 20"


def sample(name: str, table: TableName) -> str:
    """Return a sample query about the table, or an empty text."""
    whole = _whole(table)
    text = _VIEW.sub(lambda _: f"FROM {in_query(view_of(table))}", _samples().get(name, ""))
    return _TABLE.sub(lambda _: f"FROM {in_query(whole)}", text)


def studies_where(table: TableName, column: str, value: str) -> str:
    """Return the query that lists the studies with a value in a column."""
    text = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    condition = f"{column} = '{text}'" if value else f"{column} IS NULL"
    if column == MONTHS:
        condition = f"DATE_TRUNC({column}, MONTH) = DATE '{text}'"
    return (
        f"SELECT StudyInstanceUID, COUNT(*) AS Instances\nFROM {in_query(table)}\nWHERE {condition}\n"
        "GROUP BY StudyInstanceUID\nORDER BY Instances DESC"
    )


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """A column with its type and its description."""

    name: str
    type: str
    is_repeated: bool
    text: str


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that match what was looked for. `total` are all, `left_out` matched and are not shown."""

    shown: tuple[ColumnRow, ...]
    total: int
    left_out: int


def columns(found: Sequence[TableColumn], word: str) -> Columns:
    """Return the columns that have the word in their name, or in their description, which has the tag."""
    rows = [
        ColumnRow(".".join(each.path), each.type, each.mode == "REPEATED", description(each.path))
        for each in found
        if len(each.path) == 1 or word
    ]
    wanted = word.lower()
    matching = [row for row in rows if wanted in row.name.lower() or wanted in row.text.lower()]
    total = sum(len(each.path) == 1 for each in found)
    return Columns(tuple(matching[:_MOST_COLUMNS]), total, max(len(matching) - _MOST_COLUMNS, 0))


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as text. NULL is not an empty text."""

    text: str
    is_null: bool
    is_number: bool


@dataclass(frozen=True, slots=True)
class ResultView:
    """The first rows of a result, and how long the query took."""

    answer: QueryAnswer
    seconds: float

    @property
    def rows(self) -> Iterator[list[Cell]]:
        """The rows."""
        return ([_cell(value) for value in row] for row in self.answer.rows)

    @property
    def can_export(self) -> bool:
        """Whether the rows name studies."""
        names = set(self.answer.columns)
        return _LEVELS[0] in names or any(self._has_paths(number) for number in range(len(self.answer.columns)))

    def _has_paths(self, number: int) -> bool:
        values = [row[number] for row in self.answer.rows[:5]]
        return bool(values) and all(isinstance(value, str) and _PATH.fullmatch(value) for value in values)


def _cell(value: object) -> Cell:
    text = plain_text(value)
    shown = text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]} …"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(shown, value is None, is_number)


def filter_lines(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a filter file that names what the rows are about, each once.

    These are the studies, series or instances whose UIDs are in the columns, or the paths in the first column that has some.
    """
    levels = [names.index(level) for level in _LEVELS if level in names]
    if not levels or _LEVELS[0] not in names:
        yield from _path_lines(rows)
        return
    seen: set[str] = set()
    for row in rows:
        line = ""
        for part, position in zip(_PATH_PARTS, levels, strict=False):
            if not row[position]:
                break
            line += f"/{part}/{quote(str(row[position]), safe='')}"
        if line and line not in seen:
            seen.add(line)
            yield line


def _path_lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    seen: set[str] = set()
    for row in rows:
        found = next((match[1] for value in row if isinstance(value, str) and (match := _PATH.fullmatch(value))), "")
        if found and found not in seen:
            seen.add(found)
            yield found


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart: what it is about, how many, and its length in percent of the longest. `href` opens its studies."""

    name: str
    count: int
    share: str
    length: str
    href: str


def bars(table: TableName, column: str, rows: Sequence[Sequence[object]], total: int) -> list[Bar]:
    """Return the bars of a chart."""
    counts = [(plain_text(name), int(str(number))) for name, number in rows]
    longest = max((number for _, number in counts), default=1)
    return [
        Bar(name, number, numbers.percent(number, total), f"{100 * number / longest:.1f}", _where(table, column, name))
        for name, number in counts
    ]


def _where(table: TableName, column: str, value: str) -> str:
    return f"data?{urlencode({'table': table_text(table), 'column': column, 'value': value})}#query"


def check_column(column: str) -> str:
    """Return the column of a chart. Raises InvalidArgument for any other one."""
    if column not in (*CHARTS, MONTHS):
        raise InvalidArgument(f"{column[:100]!r} has no chart; expected {', '.join((*CHARTS, MONTHS))}")
    return column

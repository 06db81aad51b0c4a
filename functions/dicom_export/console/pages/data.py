"""Data: the tables of one machine, queries over them, and charts."""

from __future__ import annotations

import re
import secrets
import tempfile
import time
from contextlib import suppress
from functools import cache
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlencode

from dicom_export.console import security
from dicom_export.console.exchange import Page, see_other
from dicom_export.console.latest import latest_tables
from dicom_export.console.pages.export import filter_name
from dicom_export.console.shell import page
from dicom_export.console.texts import t
from dicom_export.console.views import data
from dicom_export.console.views.data import ResultView
from dicom_export.errors import DicomExportError, FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.console.exchange import PageRequest
    from dicom_export.console.installation import Installation
    from dicom_export.names import TableName
    from dicom_export.ports import Queries, TableColumn

MOST_SECONDS = 60
_CHART_SECONDS = 5
_ROWS = 100
_MOST_STUDIES = 50_000
_MANY_ROWS = 2_000_000
_CHUNK = 1 << 16
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_TO_THE_COMMAND = re.compile(r"[;,] (?:--dialect duckdb|`dicom-export columns).*")


def show(request: PageRequest, installation: Installation) -> Page:
    """Show a table, with a query to run."""
    query = request.query
    tables = _tables(installation)
    table = data.parse_table(query["table"]) if query.get("table") else _latest(tables, installation)
    if installation.queries is None or table is None:
        return page(request, installation, "data.html", tables=tables, table=None)
    if query.get("column"):
        sql = data.studies_where(table, data.check_column(query["column"]), query.get("value", ""))
    elif query.get("sample"):
        sql = data.sample(query["sample"], table)
    else:
        usable = next((each.name for each in _samples(installation.queries, table, tables) if not each.lacks), "")
        sql = data.sample(usable, table) if usable == data.FIRST_SAMPLE else data.first_rows(table)
    return _page(request, installation, table, sql=sql, chosen=query.get("sample", ""))


def run(request: PageRequest, installation: Installation) -> Page:
    """Run a query, or stop one."""
    queries = _queries(installation)
    form = request.form
    if form.get("intent") == "stop":
        queries.stop(form.get("ticket", ""))
        return Page(204, b"", headers={**security.HEADERS, **security.NOT_STORED})
    table = data.parse_table(form.get("table", ""))
    sql = form.get("sql", "").replace("\r\n", "\n")
    begun = time.monotonic()
    try:
        answer = queries.answer(sql, table.project, rows=_ROWS, seconds=MOST_SECONDS, ticket=form.get("ticket", ""))
    except DicomExportError as error:
        return _page(request, installation, table, sql=sql, problem=_TO_THE_COMMAND.sub("", error.message))
    return _page(request, installation, table, sql=sql, result=ResultView(answer, time.monotonic() - begun))


def download(request: PageRequest, installation: Installation) -> Page:
    """Return all rows of a query as a file, or make a filter file of its studies and open the form of an export."""
    queries = _queries(installation)
    form = request.form
    table, sql, kind = data.parse_table(form.get("table", "")), form.get("sql", ""), form.get("kind", "")
    try:
        if kind == "filter":
            return see_other(_filter(queries, sql, table, installation))
        if kind not in _TYPES:
            raise InvalidArgument(str(t("error.kind", kind=kind)))
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer reads and closes it
        queries.write(sql, table.project, kind, file, seconds=5 * MOST_SECONDS)
    except DicomExportError as error:
        return _page(request, installation, table, sql=sql, problem=_TO_THE_COMMAND.sub("", error.message))
    headers = {
        **security.HEADERS,
        **security.NOT_STORED,
        "Content-Disposition": f'attachment; filename="result.{kind}"',
    }
    return Page(200, _content(file), _TYPES[kind], headers)


def _filter(queries: Queries, sql: str, table: TableName, installation: Installation) -> str:
    answer = queries.answer(sql, table.project, rows=_MOST_STUDIES, seconds=MOST_SECONDS)
    if not ResultView(answer, 0).can_export or installation.filters is None:
        raise InvalidArgument(str(t("error.no_uids")))
    lines = "".join(f"{line}\n" for line in data.filter_lines(answer.columns, answer.rows))
    if not lines:
        raise InvalidArgument(str(t("error.no_rows_to_export")))
    values = {"take": "filter", "filter_uri": str(installation.filters.put(filter_name(), lines.encode()))}
    service = installation.service
    stores = [each for parent in service.datasets() for each in service.list_stores(parent)]
    if len(stores) == 1:
        return f"export?{urlencode({'store': str(stores[0]), **values})}"
    return f"./?{urlencode(values)}"


def _content(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while part := file.read(_CHUNK):
            yield part


def _queries(installation: Installation) -> Queries:
    if installation.queries is None:
        raise FailedPrecondition(str(t("error.data_off")))
    return installation.queries


def _tables(installation: Installation) -> list[TableName]:
    if installation.queries is None:
        return []
    lists = installation.lists
    found = []
    for project in lists.projects():
        for dataset in lists.datasets(project):
            for table in lists.tables(project, dataset):
                # Somebody else may have made a table that no export could name.
                with suppress(InvalidArgument):
                    found.append(data.parse_table(f"{project}.{dataset}.{table}"))
    return found


def _latest(tables: list[TableName], installation: Installation) -> TableName | None:
    """Return the table of the latest export, else the first one."""
    exported = latest_tables(installation.service, installation.service.datasets())
    return next((each for each in exported if each in tables), next(iter(tables), None))


def _samples(queries: Queries, table: TableName, tables: list[TableName]) -> list[data.Sample]:
    @cache
    def columns_of(table: TableName) -> frozenset[str]:
        return frozenset(each.path[0] for each in queries.columns(table)) if table in tables else frozenset()

    return data.samples(table, tables, columns_of)


def _page(request: PageRequest, installation: Installation, table: TableName, **values: Any) -> Page:  # noqa: ANN401 - what the template names
    queries = _queries(installation)
    found = queries.columns(table)
    rows = _count(queries, table)
    tables = _tables(installation)
    word = request.value.get("find", "").strip()
    samples = _samples(queries, table, tables)
    is_slow = rows > _MANY_ROWS and not request.query.get("charts")
    frame: dict[str, Any] = {
        "tables": tables,
        "table": table,
        "text": data.table_text(table),
        "rows": rows,
        "columns": data.columns(found, word),
        "find": word,
        "samples": [each.name for each in samples if not each.lacks],
        "unusable": [each for each in samples if each.lacks],
        "chosen": "",
        "result": None,
        "problem": "",
        "charts": [] if is_slow or "result" in values else _charts(queries, table, found, rows),
        "is_slow": is_slow,
        "ticket": secrets.token_urlsafe(16),
        "seconds": MOST_SECONDS,
    }
    return page(request, installation, "data.html", **(frame | values))


def _count(queries: Queries, table: TableName) -> int:
    sql = f"SELECT COUNT(*) AS n FROM {data.in_query(table)}"  # noqa: S608 - a parsed name
    return int(queries.answer(sql, table.project, rows=1, seconds=_CHART_SECONDS).rows[0][0])


def _charts(queries: Queries, table: TableName, found: Sequence[TableColumn], rows: int) -> list[dict[str, Any]]:
    """Return the charts of the columns that the table has. One that cannot be made is left out: the table may be anybody's."""
    types = {each.path[0]: each.type for each in found if len(each.path) == 1}
    named = [
        (column, column, "n DESC, name", data.MOST_BARS) for column in data.CHARTS if types.get(column) == "STRING"
    ]
    if types.get(data.MONTHS) == "DATE":
        named.append((data.MONTHS, f"DATE_TRUNC({data.MONTHS}, MONTH)", "name DESC", data.MOST_MONTHS))
    charts = []
    for column, expression, order, most in named if rows else []:
        condition = f" WHERE {column} IS NOT NULL" if column == data.MONTHS else ""
        sql = (
            f"SELECT {expression} AS name, COUNT(*) AS n FROM {data.in_query(table)}{condition}"  # noqa: S608 - a parsed name
            f" GROUP BY 1 ORDER BY {order} LIMIT {most}"
        )
        answer = queries.answer(sql, table.project, rows=most, seconds=_CHART_SECONDS)
        bars = data.bars(table, column, answer.rows, rows)
        charts.append({"column": column, "bars": bars[::-1] if column == data.MONTHS else bars})
    return [chart for chart in charts if chart["bars"]]

"""Data: what a query may read, and how its result leads to an export."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import BytesIO
from threading import Timer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import duckdb
import pytest
from pyarrow import parquet

from dicom_export.adapters.local.duckdb import reading
from dicom_export.adapters.local.duckdb.reading import DuckDbQueries
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.console.texts import TEXTS
from dicom_export.errors import Cancelled, DicomExportError
from dicom_export.operations.request import ExportRequest, WriteDisposition
from dicom_export.rows.layout import SchemaKind
from support.command_line import make_folder
from support.console import Browser, check_markup, installation_of
from support.factories import STORE
from support.factories import TABLE as FACTORY_TABLE
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE = "local.main.dicom"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("data")
    world = World(root, make_folder(root / "scans", 6))
    world.export(WriteDisposition.WRITE_APPEND, schema=SchemaKind.FLATTENED)
    world.drain()
    yield world
    world.close()


@pytest.fixture
def browser(world: World) -> Browser:
    return Browser(installation_of(world, world._root))


def run(browser: Browser, sql: str, **fields: str) -> int:
    browser.open("/data")
    return browser.send("/data", {"table": TABLE, "sql": sql, **fields})


def test_the_page_has_tables_columns_samples_and_whose_rights_it_uses(browser: Browser) -> None:
    assert browser.open("/data") == 200
    check_markup(browser.page)
    assert "Queries run with the rights of the person who started the server, and only read." in browser.text
    assert TABLE in browser.text
    assert "Rows 6" in browser.text
    assert "PatientID" in browser.text
    for sample in ("newest-studies", "dicomweb-paths", "latest-instances", "private-element"):
        assert browser.open(f"/data?{urlencode({'table': TABLE, 'sample': sample})}") == 200
        assert "FROM `dicom`" in next(each["sql"] for each in browser.forms if "ticket" in each)
        assert browser.send("/data", next(each for each in browser.forms if "ticket" in each)) == 200
        assert "The query was not run" not in browser.text


def test_columns_are_found_by_keyword_tag_and_word(browser: Browser) -> None:
    for word in ("patientid", "(0010,0020)", "Patient ID"):
        browser.open(f"/data?{urlencode({'table': TABLE, 'find': word})}")
        assert "Patient ID (0010,0020), LO, VM 1" in browser.text
        assert "StudyInstanceUID STRING" not in browser.text
    browser.open("/data?find=nothing+like+it")
    assert "No column matches." in browser.text


def test_a_result_is_a_table_and_three_kinds_of_files(browser: Browser) -> None:
    sql = "SELECT PatientID, COUNT(*) AS n, CAST(NULL AS STRING) AS nothing, '<b>' AS markup FROM dicom GROUP BY PatientID ORDER BY 1"
    assert run(browser, sql) == 200
    check_markup(browser.page)
    assert "NULL" in browser.text
    assert "<b>" in browser.text
    for kind, read in (
        ("csv", lambda text: text.decode().splitlines()[0].split(",")),
        ("json", lambda text: list(json.loads(text)[0])),
        ("parquet", lambda text: parquet.read_table(BytesIO(text)).column_names),
    ):
        assert browser.send("/result", {"table": TABLE, "sql": sql, "kind": kind}) == 200
        assert f'filename="result.{kind}"' in browser.page.headers["Content-Disposition"]
        body = browser.page.body
        assert read(body if isinstance(body, bytes) else b"".join(body)) == ["PatientID", "n", "nothing", "markup"]
        run(browser, sql)
    assert browser.send("/result", {"table": TABLE, "sql": sql, "kind": "exe"}) == 200
    assert "exe is not a format" in browser.text


def test_only_the_first_rows_are_shown(browser: Browser) -> None:
    assert run(browser, "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 5000)) AS n ORDER BY n") == 200
    assert "The first 100 rows" in browser.text
    assert browser.html.count('<td class="num">') == 100


@pytest.mark.parametrize(
    "sql",
    [
        *("DROP TABLE dicom", "DELETE FROM dicom WHERE TRUE", "INSERT INTO dicom (PatientID) VALUES ('x')", "SELECT 1; DROP TABLE dicom"),
        *("CREATE TABLE x AS SELECT 1 AS a", "CREATE TEMP TABLE x AS SELECT 1 AS a", "UPDATE dicom SET PatientID = 'x' WHERE TRUE"),
        *("ATTACH '{file}' AS x", "COPY dicom TO '{file}'", "INSTALL httpfs", "LOAD httpfs", "SET enable_external_access = true"),
        *("EXPORT DATA OPTIONS (uri = '{file}') AS SELECT 1", "PRAGMA database_list", "CHECKPOINT", "VACUUM", "CALL pragma_version()"),
        *("SELECT * FROM '{file}'", "SELECT * FROM `{file}`", "SELECT * FROM main.`{file}`", "SELECT * FROM read_csv('{file}')"),
        *("SELECT * FROM read_text('{file}')", "SELECT * FROM glob('/*')", "SELECT getenv('HOME')", "SELECT * FROM duckdb_settings()"),
        *("SELECT * FROM 's3://bucket/x.parquet'", "SELECT * FROM 'https://example.com/x.csv'", "SELECT current_setting('temp_directory')"),
        *("WITH x AS (SELECT * FROM read_blob('{file}')) SELECT * FROM x", "SELECT (SELECT content FROM read_text('{file}'))"),
    ],
)  # fmt: skip
def test_a_query_changes_nothing_and_reads_no_file(browser: Browser, world: World, tmp_path: Path, sql: str) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("SECRET\n1\n")
    assert run(browser, sql.format(file=file)) == 200
    assert "The query was not run" in browser.text
    assert "Results" not in browser.text
    assert len(world.rows()) == 6
    assert file.read_text() == "SECRET\n1\n"


def test_a_transaction_of_a_query_cannot_write(world: World) -> None:
    """What stands after the translation: DuckDB itself refuses."""
    queries = DuckDbQueries(world.tables.catalogs)
    with queries._result("SELECT 1 AS n", "local", 5, "t") as result:
        assert list(result.rows) == [(1,)]
        cursor = queries._running["t"].cursor
        with pytest.raises(duckdb.TransactionException, match="read-only"):
            cursor.execute('DELETE FROM "project:local".main.dicom')


def test_a_server_opens_no_file_but_those_of_its_folder(tmp_path: Path) -> None:
    with DuckDbTables(streams=tmp_path / "streams", directory=tmp_path) as tables:
        tables.create_dataset("p", "d")
        with tables.catalogs.cursor("p", "d") as cursor:
            for sql in (
                "ATTACH '/tmp/x.duckdb'",
                "COPY (SELECT 1) TO '/tmp/x.csv'",
                "FROM read_text('/etc/hostname')",
                "INSTALL httpfs",
            ):
                with pytest.raises(Exception, match="Permission"):
                    cursor.execute(sql)
            with pytest.raises(Exception, match="external access"):
                cursor.execute("SET enable_external_access = true")


def test_a_query_sees_no_other_project(tmp_path: Path) -> None:
    with DuckDbTables(streams=tmp_path / "streams", directory=tmp_path) as tables:
        for project in ("one", "two"):
            tables.create_dataset(project, "d")
            with tables.catalogs.cursor(project, "d") as cursor:
                cursor.execute(f'CREATE TABLE "project:{project}".d.{project}_only AS SELECT 1 AS n')
        queries = DuckDbQueries(tables.catalogs)
        assert queries.answer("SELECT n FROM d.one_only", "one", rows=1, seconds=5).rows == [(1,)]
        for sql in (
            "SELECT n FROM two.d.two_only",
            "SELECT n FROM `project:two`.d.two_only",
            "SELECT n FROM d.two_only",
        ):
            with pytest.raises(DicomExportError):
                queries.answer(sql, "one", rows=1, seconds=5)


LONG_QUERY = (
    "SELECT SUM(MOD(a * b, 7)) AS n FROM UNNEST(GENERATE_ARRAY(1, 200000)) AS a, UNNEST(GENERATE_ARRAY(1, 200000)) AS b"
)


def test_a_query_has_a_time_limit(world: World) -> None:
    queries = DuckDbQueries(world.tables.catalogs)
    with pytest.raises(Cancelled, match=r"took longer than 0\.2 seconds"):
        queries.answer(LONG_QUERY, "local", rows=1, seconds=0.2)


@pytest.mark.parametrize("step", ["parse", "translation", "opened"])
def test_a_query_is_stopped_by_one_stop_in_any_of_its_steps(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = DuckDbQueries(world.tables.catalogs)
    do = getattr(reading, step)

    def stop_and_do(*arguments: Any) -> Any:
        queries.stop("ticket")
        return do(*arguments)

    monkeypatch.setattr(reading, step, stop_and_do)
    with pytest.raises(Cancelled, match="was stopped"):
        queries.answer(LONG_QUERY, "local", rows=1, seconds=60, ticket="ticket")


def test_a_query_is_stopped_while_it_runs_and_before_it_runs(world: World) -> None:
    queries = DuckDbQueries(world.tables.catalogs)
    Timer(0.3, queries.stop, ["ticket"]).start()
    with pytest.raises(Cancelled, match="was stopped"):
        queries.answer(LONG_QUERY, "local", rows=1, seconds=60, ticket="ticket")
    queries.stop("early")
    with pytest.raises(Cancelled, match="was stopped"):
        queries.answer("SELECT 1 AS n", "local", rows=1, seconds=5, ticket="early")
    assert queries.answer("SELECT 1 AS n", "local", rows=1, seconds=5).rows == [(1,)]


def test_an_export_goes_on_while_a_query_is_read(browser: Browser, world: World) -> None:
    queries = DuckDbQueries(world.tables.catalogs)
    with queries._result("SELECT PatientID FROM dicom", "local", 5, "") as result:
        rows = result.rows
        next(rows)
        world.export(WriteDisposition.WRITE_APPEND, schema=SchemaKind.FLATTENED)
        world.drain()
        assert len(list(rows)) == 5
    run(browser, "SELECT COUNT(*) AS n FROM dicom")
    assert "12" in browser.text
    with world.tables.transaction(FACTORY_TABLE) as cursor:
        cursor.execute('DELETE FROM "project:local".main.dicom WHERE rowid >= 6')


def test_the_studies_of_a_query_are_exported_by_a_filter(browser: Browser, world: World) -> None:
    run(browser, "SELECT StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID FROM dicom LIMIT 2")
    assert "Export these studies" in browser.text
    form = next(each for each in browser.forms if "ticket" not in each and "sql" in each)
    assert browser.send("/result", {**form, "kind": "filter"}) == 200
    assert "Export archive" in browser.text
    assert "The filter file exists" in browser.text
    (stored,) = (world._root / "filters").iterdir()
    assert len(stored.read_text().splitlines()) == 2
    assert browser.forms[0]["filter_uri"] == f"gs://filters/{stored.name}"
    run(browser, "SELECT COUNT(*) AS n FROM dicom")
    assert "Export these studies" not in browser.text
    browser.send("/result", {"table": TABLE, "sql": "SELECT 1 AS n", "kind": "filter"})
    assert "The result has no column StudyInstanceUID" in browser.text


def test_a_bar_of_a_chart_leads_to_its_studies(browser: Browser) -> None:
    browser.open("/data")
    for part in [part for part in browser.html.split('"') if part.startswith("data?") and "column=" in part]:
        browser.open(part.replace("&amp;", "&").partition("#")[0])
        assert browser.send("/data", next(each for each in browser.forms if "ticket" in each)) == 200
        assert "The query was not run" not in browser.text
    assert browser.open(f"/data?{urlencode({'table': TABLE, 'column': 'x', 'value': 'y'})}") == 400


def test_mistakes_say_what_to_do(browser: Browser) -> None:
    for sql, words in (
        ("SELECT PatientIDD FROM dicom", "did you mean PatientID"),
        ("SELECT x FROM none", "Table none was not found"),
        ("SELEC 1", "line 1"),
        ("", "The query was not run"),
        ("SELECT getenv('x')", "The function GETENV is not supported"),
    ):
        assert run(browser, sql) == 200
        assert words.lower() in browser.text.lower(), browser.text
        assert "--dialect" not in browser.text
    assert browser.open("/data?table=none.main.x") == 404
    assert browser.open("/data?table=x") == 400
    assert browser.open("/data?table=local.dicom_export.files") == 400


def test_no_form_of_another_page_reads_rows(browser: Browser) -> None:
    browser.open("/data")
    for path in ("/data", "/result"):
        assert browser.send(path, {"table": TABLE, "sql": "SELECT 1 AS n", "kind": "csv", "token": ""}) == 403
        browser.open("/data")


def test_a_server_for_others_shows_no_rows(world: World, tmp_path: Path) -> None:
    closed = Browser(replace(installation_of(world, tmp_path), queries=None))
    assert closed.open("/data") == 200
    assert "This server shows no rows" in closed.text
    for path in ("/data", "/result"):
        closed.open("/")
        assert closed.send(path, {"table": TABLE, "sql": "SELECT 1 AS n", "kind": "csv"}) == 400


@pytest.mark.parametrize("schema", SchemaKind)
def test_exactly_the_samples_are_offered_that_the_table_can_answer(tmp_path: Path, schema: SchemaKind) -> None:
    world = World(tmp_path, make_folder(tmp_path / "scans", 2))
    try:
        world.export(WriteDisposition.WRITE_APPEND, schema=schema)
        world.drain()
        browser = Browser(installation_of(world, tmp_path))
        assert browser.open("/data") == 200
        offered = set(re.findall(r"sample=([\w-]+)", browser.html))
        assert "need columns that this table lacks" in browser.text
        if schema is not SchemaKind.INVENTORY:
            assert "Duplicates: SourceObject" in browser.text
        assert browser.send("/data", next(each for each in browser.forms if "ticket" in each)) == 200
        assert "The query was not run" not in browser.text, "the first query that the page shows can be run"
        known = {key.removeprefix("query.sample.") for key in TEXTS if key.startswith("query.sample.")}
        able = set()
        for name in known:
            browser.open(f"/data?{urlencode({'table': TABLE, 'sample': name})}")
            browser.send("/data", next(each for each in browser.forms if "ticket" in each))
            if "The query was not run" not in browser.text:
                able.add(name)
        assert offered == able
    finally:
        world.close()


def test_data_opens_the_table_of_the_latest_export(tmp_path: Path) -> None:
    world = World(tmp_path, make_folder(tmp_path / "scans", 2))
    try:
        browser = Browser(installation_of(world, tmp_path))
        for name in ("b", "a", "c"):
            world.service.create_export(ExportRequest(STORE, replace(FACTORY_TABLE, table=name)))
            world.drain()
        assert browser.open("/data") == 200
        assert next(each["table"] for each in browser.forms if "ticket" in each) == "local.main.c"
    finally:
        world.close()


@pytest.mark.parametrize("sql", ["", "  ", "-- nothing"])
def test_an_empty_query_says_what_to_write(browser: Browser, sql: str) -> None:
    assert run(browser, sql) == 200
    assert "The query is empty: write a query" in browser.text

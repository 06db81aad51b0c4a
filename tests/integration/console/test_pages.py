"""The pages of the console: what they show, what they refuse, and that nothing in them is taken for markup."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest

from dicom_export.bootstrap.wiring import dead_letters_on
from dicom_export.console import security
from dicom_export.console.estimates import Estimated
from dicom_export.console.exchange import PageRequest
from dicom_export.console.pages import operations
from dicom_export.console.router import answer
from dicom_export.console.views.estimate import view_of
from dicom_export.errors import ConfigurationError, Unavailable
from dicom_export.messages import decode
from dicom_export.names import GcsFolder, GcsUri, TableName
from dicom_export.operations.counters import Counters
from dicom_export.operations.estimate import Found, Sample, on_google_cloud
from dicom_export.operations.request import FilesRequest, WriteDisposition
from dicom_export.rows.layout import SchemaKind
from dicom_export.streaming.config import StreamConfig
from support.command_line import make_folder
from support.console import KEY, Browser, check_markup, installation_of
from support.factories import PARENT, STORE, TABLE, make_operation
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_export.operations.operation import Operation


PAGES = ("/", f"/export?store={STORE}", "/operations", "/uploads")
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{1234*5678}}&amp;"
BAD_NAME = "a\"'<b onclick=x>&lt;{{7*7}}.dcm"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder = make_folder(tmp_path / "scans", 12)
    (folder / BAD_NAME).write_bytes(b"\0" * 200 + b"no DICOM")
    streams = (StreamConfig(TableName("local", "main", "up loads")),)
    world = World(tmp_path, folder, streams=streams)
    yield world
    world.close()


@pytest.fixture
def browser(world: World, tmp_path: Path) -> Browser:
    return Browser(installation_of(world, tmp_path))


def page_of(operation: Operation) -> str:
    return f"/operation?{urlencode({'name': str(operation.name)})}"


def table_fields(table: str = "pacs", **fields: str) -> dict[str, str]:
    return {"store": str(STORE), "project": "local", "dataset": "main", "table": table, "intent": "start", **fields}


def finished(world: World, disposition: WriteDisposition = WriteDisposition.WRITE_APPEND) -> Operation:
    operation = world.export(disposition)
    world.drain()
    return world.ended(operation)


@pytest.mark.parametrize("address", PAGES)
def test_every_page_is_ours_alone(browser: Browser, address: str) -> None:
    assert browser.open(address) == 200
    check_markup(browser.page)
    headers = browser.page.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert browser.page.content_type == "text/html; charset=utf-8"
    assert '<html lang="en">' in browser.html
    assert all(each.get("token") for each in browser.forms if each and "q" not in each)


FIELDS = {
    "/export": (
        "store",
        "project",
        "dataset",
        "table",
        "disposition",
        "take",
        "filter_uri",
        "filter_text",
        "schema",
        "show_as",
    ),
    "/operations": ("status", "q", "store", "after"),
    "/operation": ("name", "reason", "object", "after", "ask", "log"),
    "/": ("filter_uri",),
}


@pytest.mark.parametrize("page", FIELDS)
def test_what_an_address_says_is_never_markup(browser: Browser, world: World, page: str) -> None:
    operation = finished(world)
    known = {"store": str(STORE), "name": str(operation.name), "take": "filter"} if page != "/operations" else {}
    for name in FIELDS[page]:
        assert browser.open(f"{page}?{urlencode({**known, name: HOSTILE})}") in (200, 400, 404)
        check_markup(browser.page)
        assert "<script>alert" not in browser.html
        assert "<img" not in browser.html
        assert "7006652" not in browser.text


def test_names_of_files_and_tables_are_never_markup(browser: Browser, world: World) -> None:
    operation = finished(world)
    assert browser.open(page_of(operation)) == 200
    check_markup(browser.page)
    assert "onclick=x" in browser.text
    assert BAD_NAME in browser.text
    assert "With failures" in browser.text
    assert browser.open("/uploads") == 200
    assert "local.main.up loads" in browser.text


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/", {}),
        ("/export", table_fields()),
        ("/operation", {"intent": "cancel"}),
        ("/operation", {"intent": "repair"}),
        ("/operation", {"intent": "replay"}),
        ("/uploads", {}),
    ],
)
def test_no_form_of_another_page_changes_anything(
    browser: Browser, world: World, path: str, fields: dict[str, str]
) -> None:
    operation = world.export()
    browser.open("/")
    fields = {"name": str(operation.name), **fields}
    token = browser.forms[0]["token"]
    others = security.token_of(security.new_session(), KEY)
    for sent, headers in (
        ({**fields, "token": ""}, {}),
        ({**fields, "token": others}, {}),
        ({**fields, "token": token}, {"sec-fetch-site": "cross-site"}),
    ):
        assert browser.send(path, sent, headers) == 403
        check_markup(browser.page)
    browser.cookies.clear()
    assert browser.send(path, {**fields, "token": token}) == 403
    assert [each for _, each in world.service.list_operations(PARENT)] == [world.service.get_operation(operation.name)]
    assert not world.service.get_operation(operation.name).cancel_requested
    assert browser.installation.counts.latest(STORE) is None


def test_other_verbs_and_other_paths_are_refused(browser: Browser) -> None:
    for method, path in (("PUT", "/"), ("DELETE", "/operation"), ("POST", "/operations"), ("OPTIONS", "/export")):
        page = answer(PageRequest(method, path), lambda: browser.installation)
        assert page.status == 405
        assert page.headers["Allow"]
    assert browser.open("/static/../texts.py") == 404
    assert browser.open("/operation?name=x") == 400
    assert browser.open(f"/operation?name={PARENT}/operations/1") == 404
    assert browser.open("/export?store=x") == 400


def test_style_and_scripts_are_fetched_again_only_if_they_changed(browser: Browser) -> None:
    for name in ("console.css", "console.js", "mark.svg"):
        assert browser.open(f"/static/{name}") == 200
        tag = browser.page.headers["ETag"]
        again = PageRequest("GET", f"/static/{name}", headers={"if-none-match": tag})
        assert answer(again, lambda: browser.installation).status == 304


def test_a_store_is_counted_on_request(browser: Browser) -> None:
    browser.open("/")
    assert "Not counted" in browser.text
    assert browser.send("/", {}) == 200
    assert "13 counted today" in browser.text
    assert "local.main.up loads" in browser.text


def test_a_store_that_cannot_be_read_says_so(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "scans").rename(tmp_path / "elsewhere")
    browser.open("/")
    assert browser.send("/", {"store": str(STORE)}) == 200
    assert str(tmp_path / "scans") in browser.text
    (tmp_path / "elsewhere").rename(tmp_path / "scans")
    browser.send("/", {})
    assert "13 counted today" in browser.text


def test_an_export_is_estimated_on_request_before_it_is_started(browser: Browser) -> None:
    browser.open(f"/export?store={STORE}")
    assert "says what an export of all of it takes" in browser.text
    form = {**browser.forms[0], **table_fields()}
    assert browser.send("/export", {**form, "intent": "estimate"}) == 200
    assert re.search(
        r"Objects 13, [\d.]+ KB Instances about 13 Read about [\d.]+ KB Rows about [\d.]+ KB Time about 1 s",
        browser.text,
    )
    assert "For the whole store, today" in browser.text
    assert browser.forms[0]["table"] == "pacs"
    browser.open(f"/export?store={STORE}")
    assert "Instances about 13" in browser.text
    browser.open(f"/export?store={STORE}&schema=json")
    assert "Instances about 13" not in browser.text


def test_a_store_that_cannot_be_estimated_says_why(browser: Browser, tmp_path: Path) -> None:
    browser.open(f"/export?store={STORE}")
    form = {**browser.forms[0], **table_fields()}
    (tmp_path / "scans").rename(tmp_path / "elsewhere")
    assert browser.send("/export", {**form, "intent": "estimate"}) == 200
    assert f"The estimate was not made: Folder '{tmp_path}/scans' was not found" in browser.text


def test_the_estimate_of_a_bucket_has_its_price_and_its_cold_objects() -> None:
    found = Found(Counter({"STANDARD": 1, "COLDLINE": 2}), stored_bytes=3_000_000, is_complete=False)
    estimate = replace(on_google_cloud(found, Sample(3, 3, 3, 30_000, 3_000, 0.1, 0.01)), price=12.345)
    view = view_of(Estimated(estimate, datetime.now(UTC)))
    assert dict(view.facts) == {
        "Objects": "more than 3, 3.0 MB",
        "Instances": "about 3",
        "Read": "about 30.0 KB",
        "In cold classes": "2",
        "Rows": "about 3.0 KB",
        "Time": "about 1 s",
        "US dollars": "about 12.35",
    }
    assert view.note.startswith("Listing took too long")


def test_an_export_is_started_watched_and_repeated(browser: Browser, world: World) -> None:
    browser.open(f"/export?store={STORE}")
    form = browser.forms[0]
    assert (form["project"], form["disposition"]) == ("local", "WRITE_EMPTY")
    assert browser.send("/export", {**form, **table_fields()}) == 200
    assert "Planning" in browser.text
    assert "Looking for files" in browser.text
    while world.mailbox.waiting[0][0] != "study-exported":
        world.deliver()
    browser.open("/operations")
    name = next(each for _, each in world.service.list_operations(PARENT)).name
    browser.open(f"/operation?{urlencode({'name': str(name)})}")
    assert 'data-refresh="1000"' in browser.html
    assert 'role="progressbar"' in browser.html
    world.drain()
    browser.open(f"/operation?{urlencode({'name': str(name)})}")
    assert "12 of 13 instances" in browser.text
    assert 'data-refresh="0"' in browser.html
    repeat = next(part for part in browser.html.split('"') if part.startswith("export?"))
    browser.open(repeat.replace("&amp;", "&"))
    assert browser.forms[0]["table"] == "pacs"
    assert "The table has 12 rows, so this export would be refused." in browser.text


def test_a_form_that_is_sent_twice_starts_one_export(browser: Browser, world: World) -> None:
    browser.open(f"/export?store={STORE}")
    form = {**browser.forms[0], **table_fields()}
    assert browser.send("/export", form) == 200
    world.drain()
    assert browser.send("/export", form) == 200
    assert form["operation"] in browser.text
    assert len(list(world.service.list_operations(PARENT))) == 1


def test_a_refused_export_keeps_what_was_entered(browser: Browser, world: World) -> None:
    finished(world)
    browser.open(f"/export?store={STORE}")
    for fields, words in (
        (table_fields("dicom"), "has 12 rows"),
        (table_fields("x.y"), "The name of the table has a dot"),
        (table_fields("x/y"), "is not a BigQuery table name"),
        (table_fields("x" * 2000), "characters; expected at most"),
        (table_fields("x" * 1100), "The table name has 1,100 bytes; expected at most 1,024"),
        (table_fields("pacs", dataset="my-dataset"), "Dataset name 'my-dataset' is invalid; expected letters, digits"),
        (table_fields("pacs", dataset="none"), "Dataset local.none was not found"),
        (table_fields("pacs", project="none"), "Dataset none.main was not found"),
        (table_fields("dicom_export_staging_1"), "is reserved"),
        (table_fields(""), "Table is empty; expected the name of a table"),
        (table_fields("pacs", take="filter"), "The filter is empty"),
        (table_fields("pacs", take="filter", filter_uri="gs://filters/none.txt"), "was not found"),
        (table_fields("pacs", take="filter", filter_uri="filters/x"), "is not a Cloud Storage URI"),
    ):
        browser.open(f"/export?store={STORE}")
        assert browser.send("/export", fields) == 200
        assert "The export was not started" in browser.text
        assert words in browser.text
        assert 'aria-invalid="true"' in browser.html or "data-invalid" in browser.html
        assert browser.forms[0]["table"] == fields["table"]
    assert len(list(world.service.list_operations(PARENT))) == 1


def test_rows_are_replaced_only_after_a_question(browser: Browser, world: World) -> None:
    finished(world)
    browser.open(f"/export?store={STORE}")
    fields = table_fields("dicom", disposition="WRITE_TRUNCATE")
    assert browser.send("/export", {**browser.forms[0], **fields}) == 200
    assert "Replace 12 rows?" in browser.text
    assert len(list(world.service.list_operations(PARENT))) == 1
    assert browser.send("/export", {**browser.forms[0], "intent": "start"}) == 200
    assert "Replace all rows" in browser.text
    world.drain()
    assert len(world.rows()) == 12


def test_a_pasted_filter_is_stored_and_used(browser: Browser, world: World, tmp_path: Path) -> None:
    operation = finished(world)
    (row, *_) = world.rows()
    study, series, instance = (row[f"{level}InstanceUID"] for level in ("Study", "Series", "SOP"))
    lines = f"/studies/{study}/series/{series}/instances/{instance}\r\n"
    browser.open(f"/export?store={STORE}")
    fields = table_fields("part", take="filter", filter_text=lines)
    assert browser.send("/export", {**browser.forms[0], **fields}) == 200
    (stored,) = (tmp_path / "filters").iterdir()
    assert stored.read_text() == lines.strip()
    assert f"gs://filters/{stored.name}" in browser.text.replace("\u200b", "")
    world.drain()
    part = next(each for _, each in world.service.list_operations(PARENT) if each.name != operation.name)
    assert part.error is None
    assert part.counters
    assert part.counters.success == 1


def test_a_chosen_file_of_any_bytes_is_a_filter_or_refused(browser: Browser, world: World) -> None:
    browser.open(f"/export?store={STORE}")
    fields = table_fields("part", take="filter", filter_upload="\udcfdPATIENT")
    assert browser.send("/export", {**browser.forms[0], **fields}) == 200
    world.drain()
    ended = next(each for _, each in world.service.list_operations(PARENT))
    assert ended.error
    browser.open(page_of(ended))
    assert "PATIENT" not in browser.text
    long = table_fields("part", take="filter", filter_text="/studies/1\n" * 100_000)
    browser.open(f"/export?store={STORE}")
    assert browser.send("/export", {**browser.forms[0], **long}) == 200
    assert "larger than 1.0 MB" in browser.text


def test_the_checks_say_what_is_there(browser: Browser, world: World, tmp_path: Path) -> None:
    finished(world)
    (tmp_path / "filters" / "c.csv").write_text("/studies/1\n")
    for values, words in (
        ({}, "Table archive does not exist. The export creates it."),
        ({"project": "local"}, "Name a dataset."),
        ({"project": "none"}, "Project none is not on this machine. There is: local."),
        ({"project": "local", "dataset": "x"}, "Dataset local.x was not found"),
        ({"project": "local", "dataset": "main"}, "Name a table."),
        ({"project": "local", "dataset": "my-data"}, "Dataset name 'my-data' is invalid; expected letters, digits"),
        ({"project": "local", "dataset": "main", "table": "new"}, "Table new does not exist. The export creates it."),
        ({"project": "local", "dataset": "main", "table": "dicom"}, "Table dicom exists with 12 rows"),
        ({"project": "local", "dataset": "main", "table": "a.b"}, "The name of the table has a dot"),
        ({"project": "local", "dataset": "dicom_export", "table": "commits"}, "was not found"),
        ({"take": "filter", "filter_uri": "gs://filters/c.csv"}, "The filter file exists: 11 bytes."),
        ({"take": "filter", "filter_uri": "gs://filters/x.csv"}, "The filter file was not found."),
        ({"take": "filter", "filter_uri": "gs://other/x.csv"}, "The filter file was not found."),
        ({"take": "filter", "filter_uri": "gs://filters/*.csv"}, "The name is a pattern."),
        ({"take": "filter", "filter_text": "a\nb"}, "2 lines were pasted."),
    ):
        assert browser.open(f"/export?{urlencode({'store': str(STORE), **values})}") == 200
        assert words in browser.text, values
    assert len(list(world.service.list_operations(PARENT))) == 1


def test_an_export_is_cancelled_after_a_question(browser: Browser, world: World) -> None:
    operation = world.export()
    world.deliver()
    browser.open(page_of(operation))
    assert "Cancel export" in browser.text
    browser.open(f"{page_of(operation)}&ask=cancel")
    assert "Cancel this export?" in browser.text
    form = next(each for each in browser.forms if each.get("intent") == "cancel")
    assert browser.send("/operation", form) == 200
    assert "Cancelling" in browser.text
    world.drain()
    browser.open(page_of(operation))
    assert "Cancelled" in browser.text
    browser.open("/operations?status=cancelled")
    assert operation.name.operation in browser.text
    assert browser.send("/operation", form) == 200, "a second time changes nothing"


def test_a_table_is_repaired(browser: Browser, world: World) -> None:
    operation = finished(world)
    with world.tables.transaction(TABLE) as cursor:
        cursor.execute(
            'DELETE FROM "project:local".main.dicom WHERE SOPInstanceUID = (FROM (SELECT min(SOPInstanceUID) FROM "project:local".main.dicom))'
        )
    assert len(world.rows()) == 11
    browser.open(page_of(operation))
    form = next(each for each in browser.forms if each.get("intent") == "repair")
    assert browser.send("/operation", form) == 200
    assert "Verify local.main.dicom with archive" in browser.text
    verification = next(each for _, each in world.service.list_operations(PARENT)).name
    address = f"/operation?{urlencode({'name': str(verification)})}"
    repair = replace(verification, operation=f"{verification.operation}-repair")
    while world.service.journal.operations.find(repair) is None:
        world.deliver()
    while not world.service.get_operation(verification).is_done:
        world.deliver()
    browser.open(address)
    assert "The repair runs" in browser.text
    assert 'data-refresh="1000"' in browser.html
    world.drain()
    browser.open(address)
    assert "Repaired: 1 Nothing is left to do." in browser.text
    assert 'data-refresh="0"' in browser.html
    following = browser.html.partition('id="outcome"')[2].partition('class="button" href="')[2].partition('"')[0]
    assert browser.open(following.replace("&amp;", "&")) == 200
    assert "Repair local.main.dicom from archive" in browser.text
    assert len(world.rows()) == 12
    browser.open("/operations")
    assert "Repair local.main.dicom from archive" in browser.text
    assert "12 compared, 1 differ" in browser.text


def test_an_unknown_action_is_refused(browser: Browser, world: World) -> None:
    operation = world.export()
    browser.open("/")
    assert browser.send("/operation", {"name": str(operation.name), "intent": HOSTILE}) == 400
    check_markup(browser.page)
    browser.open("/")
    assert browser.send("/operation", {"name": str(operation.name), "intent": "repair"}) == 400
    assert "wait for its end" in browser.text


def test_failures_are_paged_filtered_and_a_file(browser: Browser, world: World, tmp_path: Path) -> None:
    for number in range(120):
        (tmp_path / "scans" / f"bad{number:03d}.dcm").write_bytes(b"\0" * 200)
    operation = finished(world)
    browser.open(page_of(operation))
    assert "bad000.dcm" in browser.text
    assert "Next page" in browser.text
    following = [part for part in browser.html.split('"') if "after=" in part]
    browser.open(following[-1].replace("&amp;", "&").partition("#")[0])
    assert "bad000.dcm" not in browser.text
    assert "First page" in browser.text
    browser.open(f"{page_of(operation)}&object=bad007")
    assert "bad007.dcm" in browser.text
    assert "bad008.dcm" not in browser.text
    browser.open(f"{page_of(operation)}&object=nothing")
    assert "No failed object matches" in browser.text
    assert browser.open(f"/failures.csv?{urlencode({'name': str(operation.name), 'object': 'bad11'})}") == 200
    assert browser.page.content_type.startswith("text/csv")
    assert "attachment" in browser.page.headers["Content-Disposition"]
    assert len(browser.html.splitlines()) == 11


def test_the_list_is_filtered_and_paged(browser: Browser, world: World) -> None:
    browser.open("/operations")
    assert "No exports yet" in browser.text
    done = finished(world)
    for _ in range(55):
        world.export()
    browser.open("/operations")
    assert browser.html.count('class="name"') == 50
    older = next(part for part in browser.html.split('"') if "after=" in part)
    browser.open(older.replace("&amp;", "&"))
    assert browser.html.count('class="name"') == 6
    assert done.name.operation in browser.text
    for query, number in (
        ("status=failures", 1),
        ("status=ok", 0),
        (f"q={done.name.operation}", 1),
        (f"store={quote(str(STORE))}", 50),
        ("store=x", 0),
        ("status=none", 50),
    ):
        browser.open(f"/operations?{query}")
        assert browser.html.count('class="name"') == number, query
    assert browser.open("/operations?q=nothing") == 200
    assert "No operation matches" in browser.text


def test_a_filter_looks_further_back_page_by_page(
    browser: Browser, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = finished(world)
    for _ in range(5):
        world.export()
    monkeypatch.setattr(operations, "_LOOKED_AT", 3)
    browser.open("/operations?status=failures")
    assert "There are older ones." in browser.text
    further = next(part for part in browser.html.split('"') if "after=" in part)
    browser.open(further.replace("&amp;", "&"))
    assert done.name.operation in browser.text


def test_an_export_of_files_is_shown_with_its_folder(browser: Browser, world: World) -> None:
    folder = GcsFolder("cohorts", "nodules/")
    operation = replace(
        make_operation("77"), requested=FilesRequest(STORE, folder), end_time=datetime.now(UTC), counters=Counters()
    )
    world.service.journal.operations.create(operation)
    for address in ("/", "/operations", page_of(operation)):
        assert browser.open(address) == 200
        check_markup(browser.page)
    assert str(folder) in browser.text
    repeat = next(part for part in browser.html.split('"') if part.startswith("export?"))
    browser.open(repeat.replace("&amp;", "&"))
    assert (browser.forms[0]["destination"], browser.forms[0]["prefix"]) == ("files", str(folder))
    assert "Bucket cohorts was not found." in browser.text
    assert browser.send("/export", {**browser.forms[0], "prefix": "gs://filters/x/", "intent": "check"}) == 200
    assert "Bucket filters is there." in browser.text
    assert browser.send("/export", {**browser.forms[0], "prefix": "", "intent": "start"}) == 200
    assert "Folder is empty; expected gs://BUCKET/FOLDER" in browser.text


def test_dead_letters_are_replayed(browser: Browser, world: World) -> None:
    operation = world.export(schema=SchemaKind.JSON)
    world.deliver()
    topic, data = next(each for each in world.mailbox.waiting if each[0] == "export-study")
    world.mailbox.waiting.remove((topic, data))
    dead_letters_on(world.ports)(decode(topic, data), Unavailable("The table did not answer"))
    world.drain()
    browser.open("/uploads")
    assert "The table did not answer" in browser.text
    form = next(each for each in browser.forms if "name" in each)
    assert browser.send("/uploads", form) == 200
    world.drain()
    assert len(world.rows()) == 12
    browser.open("/uploads")
    assert "See the replay" in browser.text
    browser.open(page_of(operation))
    assert "Some messages failed on every attempt" in browser.text


def test_an_installation_that_cannot_be_opened_says_so() -> None:
    def broken() -> None:
        raise ConfigurationError("DICOM_EXPORT_STATE is malformed <b>")

    page = answer(PageRequest("GET", "/"), broken)  # type: ignore[arg-type]
    assert page.status == 400
    check_markup(page)
    assert isinstance(page.body, bytes)
    assert b"DICOM_EXPORT_STATE is malformed &lt;b&gt;" in page.body


def test_a_defect_is_a_page_without_the_text_of_the_exception(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("PATIENT^NAME")

    monkeypatch.setattr(browser.installation.service.journal.operations, "newest_first", broken)
    assert browser.open("/operations") == 500
    assert "PATIENT" not in browser.text


def test_a_filter_of_a_request_is_shown(browser: Browser, world: World, tmp_path: Path) -> None:
    (tmp_path / "filters" / "c.csv").write_text("/studies/1\n")
    operation = world.export(filter_uri=GcsUri("filters", "c.csv"))
    browser.open(page_of(operation))
    assert "gs://filters/c.csv" in browser.text


def test_a_new_form_can_be_sent_as_it_is(browser: Browser, world: World) -> None:
    browser.open(f"/export?store={STORE}")
    form = browser.forms[0]
    assert (form["project"], form["dataset"], form["table"]) == ("local", "main", "archive")
    assert browser.send("/export", {**form, "intent": "start"}) == 200
    world.drain()
    (operation,) = (each for _, each in world.service.list_operations(PARENT))
    assert operation.counters
    assert operation.counters.success == 12


def test_of_several_datasets_a_new_form_has_that_of_the_latest_export(browser: Browser, world: World) -> None:
    for dataset in ("a", "b"):
        world.tables.create_dataset("local", dataset)
    browser.open(f"/export?store={STORE}")
    assert (browser.forms[0]["project"], browser.forms[0]["dataset"]) == ("local", "")
    finished(world)
    browser.open(f"/export?store={STORE}")
    assert (browser.forms[0]["project"], browser.forms[0]["dataset"]) == ("local", "main")


def test_no_list_of_projects_is_empty(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(browser.installation.lists), "projects", lambda _: [])
    browser.open(f"/export?store={STORE}&project=my-project")
    assert "No project is on this machine yet. Start the server with --bq-dataset my-project.DATASET" in browser.text
    assert "There is:" not in browser.text


def test_only_a_new_form_has_the_box_of_files_ticked(browser: Browser) -> None:
    browser.open(f"/export?store={STORE}")
    form = {**browser.forms[0], "intent": "check"}
    assert form.pop("source_object") == "on"
    assert "includeSourceObject" in browser.text
    assert browser.send("/export", form) == 200
    assert "source_object" not in browser.forms[0]
    assert "includeSourceObject" not in browser.text
    browser.open(f"/export?{urlencode({'store': str(STORE), 'project': 'local', 'dataset': 'main', 'table': 'pacs'})}")
    assert "source_object" not in browser.forms[0], "a request that is repeated had it not"


def test_a_filter_has_no_command_of_gcloud_and_shows_that_of_curl(browser: Browser) -> None:
    fields = {"take": "filter", "filter_uri": "gs://filters/c.csv"}
    browser.open(f"/export?{urlencode({'store': str(STORE), **fields})}")
    assert "gcloud healthcare dicom-stores export" not in browser.text
    assert "gcloud has no flag for: the filter file" in browser.text
    assert browser.forms[0]["show_as"] == "curl"
    assert "gs://filters/c.csv" in browser.html.partition('id="text-curl"')[2].partition("</pre>")[0]


def test_a_repair_of_a_complete_table_says_that_nothing_is_to_do(browser: Browser, world: World) -> None:
    operation = finished(world)
    browser.open(page_of(operation))
    assert browser.send("/operation", next(each for each in browser.forms if each.get("intent") == "repair")) == 200
    world.drain()
    verification = next(each for _, each in world.service.list_operations(PARENT))
    browser.open(page_of(verification))
    assert "Nothing to repair Every instance of the store has its row." in browser.text


def test_a_repair_deletes_no_rows_and_says_so(browser: Browser, world: World, tmp_path: Path) -> None:
    operation = finished(world)
    (tmp_path / "scans" / "000000.dcm").unlink()
    browser.open(page_of(operation))
    assert browser.send("/operation", next(each for each in browser.forms if each.get("intent") == "repair")) == 200
    world.drain()
    browser.open(page_of(next(each for _, each in world.service.list_operations(PARENT))))
    assert "Nothing that a repair can correct" in browser.text


def test_an_export_without_a_match_says_why(browser: Browser, world: World, tmp_path: Path) -> None:
    (tmp_path / "filters" / "c.csv").write_text("/studies/9.9.9\n")
    for options, said in (
        ({"since": datetime(2100, 1, 1, tzinfo=UTC)}, "No file was written since then"),
        ({"filter_uri": GcsUri("filters", "c.csv")}, "No file matches the filter"),
    ):
        operation = world.export(**options)
        world.drain()
        browser.open(page_of(operation))
        assert f"{said} The" in browser.text, world.ended(operation).counters
        assert "0 of 0 instances" not in browser.text
        assert "Repair" not in browser.text
    for file in (tmp_path / "scans").iterdir():
        file.unlink()
    operation = world.export()
    world.drain()
    browser.open(page_of(operation))
    assert "The store has no DICOM files" in browser.text


def test_an_export_of_files_that_have_a_row_says_so(browser: Browser, world: World, tmp_path: Path) -> None:
    (tmp_path / "scans" / BAD_NAME).unlink()
    for _ in range(2):
        operation = world.export(include_source_object=True)
        world.drain()
    browser.open(page_of(operation))
    assert "12 files have a row already" in browser.text
    assert "0 of 0 instances" not in browser.text


def test_what_is_passed_over_is_listed_by_kind(browser: Browser, world: World, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "scans" / f"picture{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 200)
    operation = finished(world)
    browser.open(page_of(operation))
    check_markup(browser.page)
    assert 'href="#passed-over"' in browser.html
    section = browser.html.partition('id="passed-over"')[2].partition("</section>")[0]
    assert "PNG" in section
    assert '<td class="num" data-label="Files">4</td>' in section
    assert section.count("picture") == 3


def test_what_next_comes_before_the_failures_and_the_way_to_ignore_files_is_named(
    browser: Browser, world: World
) -> None:
    browser.open(page_of(finished(world)))
    assert browser.text.index("What next") < browser.text.index("Failures by reason")
    assert "--ignore PATTERN" in browser.text


def test_enter_in_a_field_of_the_form_checks_and_starts_nothing(browser: Browser) -> None:
    browser.open(f"/export?store={STORE}")
    form = browser.html.partition('<form class="columns"')[2]
    first = re.search(r"<button[^>]*>", form)
    assert first, "Enter presses the first button of a form"
    assert 'value="check"' in first[0]


def test_the_fields_of_the_page_of_data_follow_the_order_of_use(browser: Browser, world: World) -> None:
    finished(world)
    browser.open("/data")
    places = [browser.html.index(f'id="{each}"') for each in ("table", "sql", "find")]
    assert places == sorted(places)

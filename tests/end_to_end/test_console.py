"""docs/how-to/console.md is followed in Chromium: with scripts, without them, by keyboard, in two tabs, across a restart."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from pydicom import dcmread
from pydicom.data import get_testdata_file

from support.command_line import run
from support.dicom_files import element, make_file, make_instance
from support.emulators.process import free_port
from support.local_server import serving
from support.pages import (
    NARROWEST,
    SIZES,
    ConsoleArchive,
    Visits,
    chromium_browser,
    evaluated,
    scrolls_sideways,
    violations,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Route

LARGE = 15_000
ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "console.png"
GOOD = ("CT_small.dcm", "MR_small.dcm")

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as browser:
        yield browser


@pytest.fixture(scope="module")
def archive(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> ConsoleArchive:  # noqa: ARG001 - without it there is no test
    folder = tmp_path_factory.mktemp("console")
    for name in ("good", "mixed", "large"):
        (folder / name).mkdir()
    for name in GOOD:
        shutil.copy(str(get_testdata_file(name)), folder / "good")
    shutil.copy(str(get_testdata_file(GOOD[0])), folder / "mixed")
    (folder / "mixed" / "<b>cut.dcm").write_bytes((folder / "good" / GOOD[0]).read_bytes()[:2000])
    (folder / "mixed" / "other.dcm").write_bytes(b"\0" * 200)
    for number in range(LARGE):
        uid = f"1.2.3.{number}".encode()
        content = make_file(
            *(element(tag, "UI", uid + b"\0" * (len(uid) % 2)) for tag in (0x00080018, 0x0020000D, 0x0020000E)),
        )
        (folder / "large" / f"{number:05d}.dcm").write_bytes(content)
    return ConsoleArchive(folder, free_port())


@pytest.fixture(scope="module")
def endpoint(archive: ConsoleArchive) -> Iterator[str]:
    with serving(archive) as (endpoint, _):
        yield endpoint


@pytest.fixture
def visits(endpoint: str) -> Iterator[Visits]:
    """Whatever a test does, no page logs an error, and no request leaves this machine."""
    found = Visits(endpoint)
    yield found
    assert found.errors == []
    assert found.foreign == []


@pytest.fixture
def open_context(browser: Browser, visits: Visits) -> Iterator[Callable[..., BrowserContext]]:
    opened: list[BrowserContext] = []

    def open_one(**options: object) -> BrowserContext:
        opened.append(visits.watch(browser.new_context(viewport={"width": 1280, "height": 900}, **options)))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for context in opened:
        context.close()


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    return open_context().new_page()


def fill_form(page: Page, endpoint: str, store: str, table: str) -> None:
    """Follow steps 1 to 3 of the page: from the stores to a filled form, whose checks have answered."""
    page.goto(endpoint)
    page.get_by_role("link", name=f"Export {store}").click()
    expect(page.get_by_label("Project")).to_have_value("research")
    expect(page.get_by_label("Dataset")).to_have_value("imaging")
    page.get_by_label("Table", exact=True).fill(table)
    expect(page.locator("#checks")).to_contain_text(f"Table {table}")


def start(page: Page) -> None:
    page.get_by_role("button", name="Export", exact=True).click()


def status(page: Page) -> str:
    return page.locator("#head .status").inner_text()


def small_targets(page: Page) -> list[str]:
    """Return the links in rows that are lower than 24 CSS pixels (WCAG 2.2, 2.5.8)."""
    script = "[...document.querySelectorAll(':is(td, th, dd) a')].filter(a => a.offsetHeight && a.offsetHeight < 24).map(a => a.outerHTML)"
    return list(evaluated(page, script))


def test_an_export_is_watched_to_its_green_check_mark(page: Page, endpoint: str) -> None:
    page.goto(endpoint)
    page.get_by_role("button", name="Count good").click()
    expect(page.get_by_role("row", name="good")).to_contain_text("counted today")
    fill_form(page, endpoint, "good", "scans")
    expect(page.locator("#checks")).to_contain_text("does not exist. The export creates it.")
    page.get_by_role("button", name="Estimate").click()
    expect(page.locator("#estimate")).to_contain_text(re.compile(r"Instances\s*about 2"))
    page.get_by_role("radio", name="curl").check(force=True)
    expect(page.locator("#text-curl")).to_contain_text("bq://research.imaging.scans")
    start(page)
    expect(page.locator("#head .status")).to_have_text("OK")
    expect(page).to_have_title(re.compile("^OK"))
    expect(page.locator("#head .status.ok use")).to_have_attribute("href", "#i-ok")
    expect(page.locator("#figures")).to_contain_text(re.compile(r"Exported\s*2 1 study|Exported\s*2 2 studies"))
    expect(page.locator("#announcement")).to_contain_text("Ended: OK")
    expect(page.get_by_role("heading", name="What next")).to_be_visible()
    page.goto(f"{endpoint}operations")
    expect(page.get_by_role("row", name="good to research.imaging.scans").first).to_contain_text("OK")


def test_failures_are_named_with_their_reason_and_in_a_file(page: Page, endpoint: str) -> None:
    fill_form(page, endpoint, "mixed", "failures")
    start(page)
    expect(page.locator("#head .status")).to_have_text("With failures")
    expect(page.locator("#failures")).to_contain_text(
        "The file ends too early. Copy it again from its source, then repair."
    )
    expect(page.locator("#failures")).to_contain_text(
        "Not a DICOM file. To leave such files out, name them with --ignore PATTERN"
    )
    page.get_by_role("link", name=re.compile("^Show ?: Cut short")).click()
    expect(page.locator("#objects")).to_contain_text("<b>cut.dcm")
    expect(page.locator("#objects")).not_to_contain_text("other.dcm")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="CSV of all 2").click()
    assert len(downloading.value.path().read_text().splitlines()) == 3
    page.keyboard.press("/")
    expect(page.locator("#object")).to_be_focused()


def test_an_export_is_cancelled_in_one_of_two_tabs(page: Page, endpoint: str, archive: ConsoleArchive) -> None:
    fill_form(page, endpoint, "large", "cancelled")
    start(page)
    cancel = page.get_by_role("link", name="Cancel export")
    cancel.click()
    safe = page.get_by_role("button", name="Keep running")
    expect(safe).to_be_focused()
    page.keyboard.press("Escape")
    expect(safe).to_be_hidden()
    expect(cancel).to_be_focused()
    other = page.context.new_page()
    other.goto(page.url)
    cancel.click()
    page.get_by_role("button", name="Cancel export").click()
    for tab in (page, other):
        expect(tab.locator("#head .status")).to_have_text("Cancelled")
    assert "CANCELLED" in run("operations", "list", "--data", archive.folder / "data").stdout


def test_what_is_typed_before_the_script_runs_is_checked_once_it_does(page: Page, endpoint: str) -> None:
    page.goto(endpoint)
    held: list[Route] = []
    page.route("**/form.js", lambda route: held.append(route))  # noqa: PLW0108 - Playwright cannot wrap a method of a list
    page.get_by_role("link", name="Export good").click(no_wait_after=True)
    page.get_by_label("Table", exact=True).fill("early")
    held[0].continue_()
    expect(page.locator("#checks")).to_contain_text("Table early")


def test_enter_in_a_field_checks_and_starts_nothing(page: Page, endpoint: str) -> None:
    fill_form(page, endpoint, "good", "entered")
    page.get_by_label("Table", exact=True).fill("entered_too")
    page.get_by_label("Table", exact=True).press("Enter")
    expect(page.locator("#checks")).to_contain_text("Table entered_too does not exist")
    assert "/export?" in page.url
    page.goto(f"{endpoint}operations?q=entered")
    expect(page.get_by_role("heading", name="No operation matches")).to_be_visible()


def test_a_repair_is_followed_from_the_page_of_its_verification(
    page: Page, endpoint: str, archive: ConsoleArchive
) -> None:
    fill_form(page, endpoint, "good", "repaired")
    start(page)
    expect(page.locator("#head .status")).to_have_text("OK")
    later = archive.folder / "good" / "later.dcm"
    later.write_bytes(make_instance(SOPInstanceUID="1.2.3.99999"))
    try:
        page.get_by_role("link", name="Repair", exact=True).click()
        page.get_by_role("button", name="Start the repair").click()
        expect(page.locator("#outcome")).to_contain_text("Repaired: 1")
    finally:
        later.unlink()
    page.get_by_role("link", name="Open the repair").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Repair research.imaging.repaired from good")


def test_a_refused_export_says_at_the_field_what_is_wrong(page: Page, endpoint: str) -> None:
    fill_form(page, endpoint, "good", "twice")
    start(page)
    expect(page.locator("#head .status")).to_have_text("OK")
    fill_form(page, endpoint, "good", "twice")
    expect(page.locator("#checks")).to_contain_text("exists with 2 rows")
    expect(page.locator("#WRITE_EMPTY-effect")).to_contain_text("this export would be refused")
    start(page)
    expect(page.locator("#errors")).to_be_focused()
    expect(page.locator("#errors")).to_contain_text("has 2 rows")
    page.get_by_label("Table", exact=True).fill("a.b")
    expect(page.locator("#checks")).to_contain_text("The name of the table has a dot")
    start(page)
    expect(page.locator("#table-error")).to_contain_text("The name of the table has a dot")
    expect(page.get_by_label("Table", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Table", exact=True).fill("twice")
    page.get_by_label("Replace all rows").check()
    expect(page.locator("#WRITE_TRUNCATE-effect")).to_contain_text("2 rows would be replaced")
    start(page)
    page.get_by_role("button", name="Replace 2 rows").click()
    expect(page.locator("#head .status")).to_have_text("OK")


def test_a_query_leads_to_the_rows_and_the_files_of_its_studies(
    page: Page, endpoint: str, archive: ConsoleArchive
) -> None:
    fill_form(page, endpoint, "good", "queried")
    start(page)
    page.get_by_role("link", name="Look at the rows, and query them").click()
    page.get_by_role("link", name="CT", exact=True).click()
    page.wait_for_url("**value=CT*")  # until its scripts have run: the page before has an editor too
    page.get_by_label("SQL").press("Control+Enter")
    expect(page.get_by_role("region", name="Rows of the result")).to_contain_text("1 row in")
    page.get_by_role("button", name="Export these studies").click()
    expect(page.get_by_role("heading", name="Choose the store that the studies are in")).to_be_visible()
    page.get_by_role("link", name="Export good").click()
    expect(page.locator("#checks")).to_contain_text("The filter file exists")
    form = page.url
    page.get_by_label("Table", exact=True).fill("part")
    start(page)
    expect(page.locator("#head .status")).to_have_text("OK")
    expect(page.locator("#figures")).to_contain_text(re.compile(r"Exported\s*1 1 study"))
    page.goto(form)
    page.get_by_role("radio", name="Files").check(force=True)
    page.get_by_label("Folder").fill("gs://cohorts/ct/")
    expect(page.locator("#checks")).to_contain_text("cohorts")
    start(page)
    expect(page.locator("#head .status")).to_have_text("OK")
    (copied,) = (archive.folder / "cohorts").rglob("*.dcm")
    header = dcmread(archive.folder / "good" / GOOD[0])
    study, series, name = copied.relative_to(archive.folder / "cohorts" / "ct").parts
    assert (study, series, name) == (
        header.StudyInstanceUID,
        header.SeriesInstanceUID,
        f"{header.SOPInstanceUID}.dcm",
    )


def test_a_slow_query_is_stopped(page: Page, endpoint: str) -> None:
    fill_form(page, endpoint, "good", "slow")
    start(page)
    expect(page.locator("#head .status")).to_have_text("OK")
    page.goto(f"{endpoint}data?table=research.imaging.slow")
    page.get_by_label("SQL").fill(
        "SELECT SUM(MOD(a * b, 7)) AS n FROM UNNEST(GENERATE_ARRAY(1, 300000)) AS a, UNNEST(GENERATE_ARRAY(1, 300000)) AS b"
    )
    # Playwright would wait for the answer to Run before it presses Stop.
    evaluated(page, "document.querySelector('#run [data-busy]').click(); document.getElementById('stop').click()")
    expect(page.locator("#problem")).to_contain_text("The query was stopped")


def test_without_scripts_everything_is_a_link_or_a_form(
    open_context: Callable[..., BrowserContext], endpoint: str
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    page.goto(endpoint)
    page.get_by_role("link", name="Export good").click()
    page.get_by_label("Table", exact=True).fill("plain")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#checks")).to_contain_text("does not exist. The export creates it.")
    start(page)
    deadline = time.monotonic() + 60
    while status(page) != "OK" and time.monotonic() < deadline:
        page.reload()
    assert status(page) == "OK"
    page.get_by_role("link", name="Repair").click()
    page.get_by_role("button", name="Start the repair").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Verify research.imaging.plain with good")
    page.goto(f"{endpoint}data?table=research.imaging.plain")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Results")).to_be_visible()


def test_pages_can_be_used_by_everybody(
    open_context: Callable[..., BrowserContext], endpoint: str, axe: str, tmp_path: Path
) -> None:
    page = open_context().new_page()
    fill_form(page, endpoint, "mixed", "seen")
    start(page)
    expect(page.locator("#head .status")).to_have_text("With failures")
    operation = page.url
    form = f"{endpoint}export?store=projects/local/locations/local/datasets/local/dicomStores/good"
    filled = f"{form}&project=research&dataset=imaging&table=seen&take=filter&filter_text=x"
    addresses = {
        "stores": endpoint,
        "export": filled,
        "operations": f"{endpoint}operations",
        "no-match": f"{endpoint}operations?q=nothing",
        "operation": operation,
        "question": f"{operation}&ask=repair",
        "data": f"{endpoint}data?table=research.imaging.seen",
        "uploads": f"{endpoint}uploads",
    }
    found = {}
    for name, address in addresses.items():
        page.goto(address)
        for width, scheme in SIZES:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png", full_page=True)
            if scheme == "dark" or width == min(SIZES)[0]:
                found[name, width, scheme] = violations(page, axe) + small_targets(page)
        page.set_viewport_size({"width": NARROWEST, "height": 900})
        assert not scrolls_sideways(page), name
    assert {place: each for place, each in found.items() if each} == {}
    assert len(list(tmp_path.glob("*.png"))) == len(addresses) * len(SIZES)


def test_the_readme_shows_the_console(browser: Browser, tmp_path: Path) -> None:
    """Write the picture if `make picture` asks for it."""
    (tmp_path / "scans").symlink_to(Path(str(get_testdata_file("CT_small.dcm"))).parent)
    context = browser.new_context(viewport={"width": 1280, "height": 860}, device_scale_factor=1.5)
    page = context.new_page()
    with serving(ConsoleArchive(tmp_path, free_port(), ("scans",))) as (endpoint, _):
        fill_form(page, endpoint, "scans", "instances")
        start(page)
        expect(page.locator("#head .status")).to_have_text("With failures")
        expect(page.get_by_role("heading", name="What next")).to_be_visible()
        picture = page.screenshot()
    context.close()
    if os.environ.get("DICOM_EXPORT_PICTURE"):
        PICTURE.write_bytes(picture)
    assert PICTURE.read_bytes()[:24] == picture[:24], "another size"
    assert f"]({PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text()


def test_a_page_goes_on_when_the_server_was_restarted(
    browser: Browser, archive: ConsoleArchive, tmp_path: Path
) -> None:
    other = ConsoleArchive(tmp_path, free_port())
    for name in ("good", "mixed", "large"):
        (tmp_path / name).symlink_to(archive.folder / name)
    context = browser.new_context()
    page = context.new_page()
    with serving(other) as (endpoint, process):
        fill_form(page, endpoint, "large", "restarted")
        start(page)
        expect(page.locator("#announcement")).not_to_be_empty()
        process.kill()
        process.wait()
        expect(page.locator("#lost")).to_be_visible()
    with serving(other):
        expect(page.locator("#lost")).to_be_hidden()
        expect(page.locator("#head .status")).to_have_text("OK")
        expect(page.locator("#figures")).to_contain_text(re.compile(rf"Exported\s*{LARGE:,}"))
    context.close()

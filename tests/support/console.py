"""The console of a world, used as a browser without scripts would."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from dicom_export.adapters.local.duckdb.reading import DuckDbQueries
from dicom_export.adapters.local.duckdb.table_lists import DuckDbLists
from dicom_export.adapters.local.folder.filter_files import FolderFilterFiles
from dicom_export.console import security
from dicom_export.console.counts import Counts
from dicom_export.console.exchange import Page, PageRequest
from dicom_export.console.installation import Installation
from dicom_export.console.router import answer
from dicom_export.logs import RecentLines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.worlds import World

KEY = b"k" * 32
_BLOCKS = {"dt", "dd", "li", "p", "div", "td", "th", "h1", "h2", "label", "button"}


def installation_of(world: World, root: Path) -> Installation:
    """Return what the console shows of the world; `gs://filters` takes filter files."""
    (root / "filters").mkdir(exist_ok=True)
    return Installation(
        world.service,
        KEY,
        Counts(),
        DuckDbLists(world.tables.catalogs),
        filters=FolderFilterFiles("filters", root / "filters"),
        queries=DuckDbQueries(world.tables.catalogs),
        log=RecentLines(),
        version="1",
    )


@dataclass
class Browser:
    """A browser without scripts: it keeps the cookie, and sends the forms of the page that it shows."""

    installation: Installation
    cookies: dict[str, str] = field(default_factory=dict)
    page: Page = field(default_factory=lambda: Page(0, b""))

    @property
    def html(self) -> str:
        """The page as text."""
        body = self.page.body
        return body.decode() if isinstance(body, bytes) else b"".join(body).decode()

    @property
    def text(self) -> str:
        """The words of the page."""
        reader = _Words()
        reader.feed(self.html)
        return " ".join("".join(reader.found).split())

    @property
    def forms(self) -> list[dict[str, str]]:
        """The fields of each form, as they are."""
        reader = _Forms()
        reader.feed(self.html)
        return reader.found

    def open(self, address: str) -> int:
        """Open a page, and return its status."""
        parts = urlsplit(address)
        path = parts.path if parts.path.startswith("/") else "/" + parts.path.removeprefix("./")
        return self._go(
            PageRequest("GET", path, dict(parse_qsl(parts.query, keep_blank_values=True)), cookies=self.cookies)
        )

    def send(self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> int:
        """Send a form, follow the page that it leads to, and return the status of the last page."""
        token = {"token": next((each["token"] for each in self.forms if "token" in each), "")}
        status = self._go(PageRequest("POST", path, {}, {**token, **fields}, self.cookies, headers or {}))
        return self.open(self.page.headers["Location"]) if status == 303 else status

    def _go(self, request: PageRequest) -> int:
        self.page = answer(request, lambda: self.installation)
        if set_cookie := self.page.headers.get("Set-Cookie"):
            name, value = set_cookie.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return self.page.status


def check_markup(page: Page) -> None:
    """Fail if a page could run or load what is not ours: the policy forbids it, and nothing in the page asks for it."""
    assert isinstance(page.body, bytes)
    html = page.body.decode()
    assert page.headers["Content-Security-Policy"] == security.HEADERS["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    reader = _Tags()
    reader.feed(html)
    for tag, attributes in reader.found:
        assert tag != "style"
        assert not any(name == "style" or name.startswith("on") for name in attributes), (tag, attributes)
        if tag == "script":
            assert attributes["src"].startswith("static/")
        for name in ("src", "href", "action"):
            value = attributes.get(name, "")
            assert not re.match(r"\s*(javascript|data|vbscript):", value, re.IGNORECASE), value


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - as HTMLParser calls
        if tag in _BLOCKS:
            self.found.append(" ")

    def handle_data(self, data: str) -> None:
        self.found.append(data)


class _Forms(HTMLParser):
    """Collects what a browser would send: inputs, what is chosen, texts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append({})
        elif tag == "input" and self.found and "name" in values:
            is_sent = values.get("type") not in ("radio", "checkbox", "file") or "checked" in values
            if is_sent:
                self.found[-1][values["name"]] = values.get("value", "on")
        elif tag == "textarea" and self.found:
            self._area = values.get("name", "")
            self.found[-1][self._area] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.found[-1][self._area] += data

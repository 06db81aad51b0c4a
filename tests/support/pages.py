"""A real browser on the console: what it may not do, and what its pages are checked for."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from playwright.sync_api import sync_playwright

from support.local_server import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

SIZES: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (1280, "light"),
    (1280, "dark"),
    (360, "light"),
    (360, "dark"),
)
NARROWEST = 320


@dataclass(frozen=True)
class ConsoleArchive(Archive):
    """An archive whose stores are folders of these names, with the bucket `cohorts`, at a port that stays the same."""

    port: int = 0
    stores: tuple[str, ...] = ("good", "mixed", "large")

    @property
    def command(self) -> list[str]:
        (self.folder / "cohorts").mkdir(exist_ok=True)
        stores = [f"--store={name}={self.folder / name}" for name in self.stores]
        program = super().command[:2]
        return [
            *program,
            *stores,
            f"--bucket=cohorts={self.folder / 'cohorts'}",
            f"--data={self.folder / 'data'}",
            "--bq-dataset=research.imaging",
            f"--port={self.port}",
        ]


@dataclass
class Visits:
    """All that the pages did: each must be empty at the end."""

    endpoint: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> BrowserContext:
        """Note errors in the console, and requests to any other server."""
        context.on("request", lambda request: self._request(request.url))
        context.on("console", lambda message: self._message(message.type, message.text))
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        return context

    def _request(self, url: str) -> None:
        if not url.startswith((self.endpoint, "data:", "blob:")):
            self.foreign.append(url)

    def _message(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)


@contextmanager
def chromium_browser(path: str) -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def evaluated(page: Page, expression: str) -> Any:
    """Return a value of the page. Playwright's own way is `eval`, which the policy of the pages forbids."""
    session = page.context.new_cdp_session(page)
    try:
        found = session.send(
            "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
        )
    finally:
        session.detach()
    assert "exceptionDetails" not in found, found
    return found["result"].get("value")


def violations(page: Page, axe: str) -> list[str]:
    """Return what axe-core finds on the page."""
    evaluated(page, axe + ";0")
    return list(
        evaluated(
            page,
            "axe.run().then(found => found.violations.map(each => each.id + ': ' + each.nodes.map(node => node.html).join(' | ')))",
        )
    )


def scrolls_sideways(page: Page) -> bool:
    """Say whether a part of the page is out of sight to the side."""
    return bool(evaluated(page, "document.documentElement.scrollWidth > document.documentElement.clientWidth"))

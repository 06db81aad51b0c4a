"""Define a request for a page, and the page, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A decoded request for a page.

    `form` has the fields of a form that was sent, and the text of the files in it. `cookies` and `headers` are the client's; the
    names of headers are in lower case. `host_url` is the server's address as the client sees it.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    host_url: str = "http://127.0.0.1:8080/"

    @property
    def value(self) -> Mapping[str, str]:
        """The fields that were sent, in the body or in the address."""
        return {**self.query, **self.form}


@dataclass(frozen=True, slots=True)
class Page:
    """The answer: a status, a body that may be read in parts, and headers."""

    status: int
    body: bytes | Iterator[bytes]
    content_type: str = HTML
    headers: Mapping[str, str] = field(default_factory=dict)


def see_other(address: str) -> Page:
    """Return the answer to a form that was carried out: the page that shows its result."""
    return Page(303, b"", headers={"Location": address})

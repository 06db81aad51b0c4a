"""Reference pages and parts of pages that follow from the code: `make reference` writes them, a test compares them."""

from __future__ import annotations

import re

from support.doc_pages import ROOT
from support.reference_pages.api import messages, methods
from support.reference_pages.command_line import command_line
from support.reference_pages.errors import error_table
from support.reference_pages.example import example
from support.reference_pages.settings import functions_settings, limits
from support.reference_pages.table import flattened_columns, json_columns, types

PAGES = {"docs/reference/command-line.md": command_line, "docs/reference/errors.md": error_table}
"""What writes each page that follows from the code as a whole."""

PARTS = {
    "README.md": {"example": example},
    "docs/reference/api.md": {"methods": methods, "messages": messages},
    "docs/reference/settings.md": {"functions": functions_settings, "limits": limits},
    "docs/reference/table.md": {"types": types, "flattened columns": flattened_columns, "JSON columns": json_columns},
}
"""What writes each marked part of a page whose other text is written by hand."""


def page(name: str) -> str:
    """Return the page as it follows from the code, with the text that was written by hand as it is."""
    if name in PAGES:
        return PAGES[name]()
    text = (ROOT / name).read_text()
    for part, write in PARTS[name].items():
        text = filled(text, part, write())
    return text


def filled(text: str, part: str, content: str) -> str:
    """Return the text with the content between the marks of a part. Raises ValueError if it has not exactly one such part."""
    begin, end = f"<!-- make reference: {part} -->", f"<!-- end of {part} -->"
    pattern = rf"(?<={re.escape(begin)}\n).*?(?={re.escape(end)})"
    replaced, count = re.subn(pattern, lambda _: f"\n{content}\n", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{count} parts are marked {begin}: expected one")
    return replaced

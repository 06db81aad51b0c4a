"""Write the reference pages."""

from __future__ import annotations

from support.reference_pages import FOLDER, PAGES, PARTS, page

for name in (*PAGES, *PARTS):
    (FOLDER / name).write_text(page(name))

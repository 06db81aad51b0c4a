"""Write the reference pages."""

from __future__ import annotations

from support.doc_pages import ROOT
from support.reference_pages import PAGES, PARTS, page

for name in (*PAGES, *PARTS):
    (ROOT / name).write_text(page(name))

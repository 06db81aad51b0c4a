"""SECURITY.md names tests for what it claims: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()
SOURCES = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
CLAIMED = sorted(set(re.findall(r"`(test_\w+(?:\.py)?)`", TEXT)))


@pytest.mark.parametrize("name", CLAIMED)
def test_each_test_that_is_named_is_there(name: str) -> None:
    assert name in SOURCES or any(f"\ndef {name}(" in source for source in SOURCES.values())


def test_what_a_reader_looks_for_has_a_heading() -> None:
    headings = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
    assert headings[:4] == [
        "Supported versions",
        "Report a vulnerability",
        "Where a patient's data may be",
        "Who can call what",
    ]
    assert "What may remain on disk" in headings
    assert len(CLAIMED) > 15


def test_every_row_of_what_can_be_tried_names_a_test_or_what_the_user_has_to_do() -> None:
    (tables,) = re.findall(r"^## What an attacker can try.*?(?=^## )", TEXT, re.MULTILINE | re.DOTALL)
    rows: list[str] = re.findall(r"^\| (?!attempt|---)(.*) \|$", tables, re.MULTILINE)
    untested = [row for row in rows if "`test_" not in row]
    assert len(rows) > 12
    assert [row.partition(" |")[0] for row in untested] == ["a symbolic link out of the folder"]


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", TEXT))
def test_each_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()

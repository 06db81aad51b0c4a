"""Words that made our text hard to read do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCOPE = ("*.md", "infra/README.md", "docs/**/*.md")
"""The files whose text is held to the list, as patterns."""

ELSEWHERE = {"docs/benchmarks.md"}  # `make bench` writes it
PAGES = sorted(
    name
    for pattern in SCOPE
    for path in ROOT.glob(pattern)
    if (name := path.relative_to(ROOT).as_posix()) not in ELSEWHERE
)
UNWANTED = {
    r"\bhouses?\b": "deployment",
    r"\banew\b": "again",
    r"\b(?:there|it|is) no more\b": "gone",
    r"(?<!there )\bis no (?!longer\b)": "is not a",
    r"\b(?:is|are) none\b": "is not a",
    r"\b(?:it|they|that|which) would be\b": "expected",
    r"\bbehind\b": "after",
    r"\b(?:lies|lie) (?:in|at|on|beside|behind|below|there)\b": "is in",
    r"\blies\b": "is",
    r"\bbeside\b": "next to",
    r"\b(?:told|tells?|hears?|heard) of\b": "is notified",
    r"\b(?:row|column|message|line|file|stream) an? (?:instance|element|study|object|process|task)\b": "one row per instance",
    r"\b(?:seconds?|minutes?|times?|at most|at least) so many\b": "the number",
}
"""Words that must not come back, as regular expressions, and what to write instead."""

IN_CODE = ("functions/**/*.py", "infra/*.tf")
"""The files in which these words are neither in a text nor in a name."""

UNWANTED_IN_CODE = (r"\bhouses?\b", r"\banew\b", r"\bthere no more\b", r"\b(?:it|each|they) would be\b")

EXCEPTIONS = ("lag behind", "behind a proxy")
"""Where one of the words is the right one."""


def found_in(text: str) -> dict[str, str]:
    """Return the unwanted words of a text of Markdown, with what to write instead."""
    text = re.sub(r"^```.*?^```$|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)
    text = " ".join(text.split())
    for exception in EXCEPTIONS:
        text = text.replace(exception, "")
    words = ((re.search(word, text, re.IGNORECASE), instead) for word, instead in UNWANTED.items())
    return {word[0]: instead for word, instead in words if word}


@pytest.mark.parametrize("page", PAGES)
def test_no_unwanted_word_is_on_a_page(page: str) -> None:
    assert found_in((ROOT / page).read_text()) == {}


@pytest.mark.parametrize("word", UNWANTED_IN_CODE)
def test_no_unwanted_word_is_in_the_code(word: str) -> None:
    sources = [path for pattern in IN_CODE for path in ROOT.glob(pattern)]
    assert sources
    assert [path.name for path in sources if re.search(word, path.read_text(), re.IGNORECASE)] == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("It is no tag.", "is no "),
        ("the bytes\nbehind Pixel Data", "behind"),
        ("The state lies in a folder.", "lies in"),
        ("a row\nan instance", "row an instance"),
        ("one row an instance", "row an instance"),
        ("There is no column, and it is no longer there.", None),
        ("A replica may lag behind.", None),
        ("`behind` is an option.", None),
    ],
)
def test_the_list_finds_what_it_is_for(text: str, word: str | None) -> None:
    assert list(found_in(text))[:1] == ([word] if word else [])

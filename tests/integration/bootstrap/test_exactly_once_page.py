"""The tables of docs/explanation/exactly-once.md are what the functions write to the state."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.everything import record_everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.recorded import Recorded

PAGE = (Path(__file__).parents[3] / "docs" / "explanation" / "exactly-once.md").read_text()
ROWS = re.findall(r"^\| (`[^|]+`) \| (c[^|]+) \| ([a-z_, ]+) \|$", PAGE, re.MULTILINE)
COMPARED = "compare-and-set"
_DATASET = "projects/[^/]+/locations/[^/]+/datasets/[^/]+"
_PLACEHOLDERS = {"DATASET": _DATASET, "STORE": f"{_DATASET}/dicomStores/[^/]+", "TABLE": "[^/]+/[^/]+/[^/]+"}
"""The placeholders of the page that stand for more than one part of a path."""


def pattern(shown: str) -> str:
    """Return the regular expression of the paths that the page shows as one. Without a prefix it is below an operation."""
    path = re.sub(r"[A-Z]{2,}", lambda word: _PLACEHOLDERS.get(word[0], "[^/]+"), shown)
    is_elsewhere = re.match(r"DATASET|STORE|exclusive|overwrites|checks", shown)
    return path if is_elsewhere else f"{_DATASET}/operations/[^/]+/{path}"


PATHS = {path: (how, set(who.split(", "))) for shown, how, who in ROWS for path in re.findall(r"`([^`]+)`", shown)}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[tuple[str, str]]]]:
    """Yield who wrote what, by the first path of the page that stands for it, else by the path itself."""
    installation: Recorded = record_everything(tmp_path_factory.mktemp("recorded"))
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for path, writes in installation.written.items():
        shown = next((each for each in PATHS if re.fullmatch(pattern(each), path)), path)
        found[shown] |= {(function, method) for function, method in writes if function}
    yield found
    installation.world.close()


def test_each_object_of_the_state_is_on_the_page_and_no_other(written: dict[str, set[tuple[str, str]]]) -> None:
    assert set(written) == set(PATHS)


@pytest.mark.parametrize("path", PATHS)
def test_an_object_is_written_by_the_functions_that_the_page_names(
    written: dict[str, set[tuple[str, str]]], path: str
) -> None:
    assert {function for function, _ in written[path]} == PATHS[path][1]


@pytest.mark.parametrize("path", PATHS)
def test_an_object_is_changed_only_if_the_page_says_so(written: dict[str, set[tuple[str, str]]], path: str) -> None:
    is_changed = "replace" in {method for _, method in written[path]}
    assert is_changed == PATHS[path][0].startswith(COMPARED)

"""The Terraform of infra/, as tests read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


INFRA = ROOT / "infra"


LOCALS = (INFRA / "locals.tf").read_text()


MAIN = (ROOT / "functions" / "dicom_export" / "entry_points.py").read_text()


def declared(kind: str, file: str) -> dict[str, str]:
    """Return the text of each block of a kind (variable, output) in a file, by its name."""
    text = (INFRA / file).read_text()
    return dict(re.findall(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', text, re.MULTILINE | re.DOTALL))


def entry_points() -> dict[str, str]:
    """Return the text of each entry of `locals.entry_points`."""
    (block,) = re.findall(r"^  entry_points = \{\n(.*?)^  \}", LOCALS, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^    (\w+) = \{\n(.*?)^    \}", block, re.MULTILINE | re.DOTALL))


class Size(NamedTuple):
    """What Terraform gives an instance of a function: memory in bytes, and how many requests it takes at once."""

    memory: int
    concurrency: int


def sizes() -> dict[str, Size]:
    """Return the size of each entry point."""
    return {name: _size(text) for name, text in entry_points().items()}


def _size(entry_point: str) -> Size:
    found = re.search(r'memory = "(\d+)(Mi|Gi)".*?concurrency = (\d+)', entry_point)
    assert found, entry_point
    return Size(int(found[1]) << {"Mi": 20, "Gi": 30}[found[2]], int(found[3]))

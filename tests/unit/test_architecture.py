"""ARCHITECTURE.md is the map of the package: what it names is there, and what is there has a line."""

from __future__ import annotations

import re
from pathlib import Path

from dicom_export import ports

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "functions" / "dicom_export"
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
NOT_ON_THE_MAP = {"__init__.py", "__main__.py", "__pycache__", "py.typed"}
MOST_LINES = 100  # a page


def test_each_folder_and_module_of_the_package_has_one_line() -> None:
    lines = re.findall(r"^\| `([a-z_]+(?:/|\.py))` \|", TEXT, re.MULTILINE)
    there = {path for path in PACKAGE.iterdir() if path.name not in NOT_ON_THE_MAP}
    assert sorted(lines) == sorted(f"{path.name}/" if path.is_dir() else path.name for path in there)


def test_each_handler_is_named() -> None:
    (handlers,) = re.findall(r"^\| `handlers/` \|.*: (.*) \|$", TEXT, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", handlers)) == {
        path.stem for path in (PACKAGE / "handlers").glob("*.py") if path.stem != "__init__"
    }


def test_each_module_that_is_named_is_there() -> None:
    named = re.findall(r"`([a-z]+\.[a-z_]+)`", TEXT)
    modules = [name for name in named if not name.endswith((".py", ".tf"))]
    assert modules
    for name in modules:
        assert (PACKAGE / name.replace(".", "/")).with_suffix(".py").exists(), name


def test_each_port_that_is_named_is_declared() -> None:
    named = re.findall(r"^\| ((?:`[A-Z]\w+`(?:, )?)+)", TEXT, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", " ".join(named)):
        assert hasattr(ports, name), name


def test_the_page_is_one_page() -> None:
    assert len(TEXT.splitlines()) <= MOST_LINES

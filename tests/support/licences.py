"""The page of the licences of what is installed with dicom-export: `make lock` writes it, a test compares it.

What a package says of its licence itself: https://packaging.python.org/specifications/core-metadata/#license-expression
"""

from __future__ import annotations

import re
from importlib.metadata import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "licences.md"

_EVERYWHERE, _ON_ONE_MACHINE = ROOT / "requirements.txt", ROOT / "requirements-local.txt"
_FOR_S3 = ROOT / "requirements-s3.txt"
_LOCKED = re.compile(r"^([a-z0-9._-]+)==", re.MULTILINE)
_INTRODUCTION = """\
# Licences

dicom-export is under the [Apache License 2.0](../../LICENSE). It installs the packages below, whose versions the lock files say; none of their
code is part of this repository. The licences are those that the packages state themselves.
"""
# What older packages write, as SPDX has it: https://spdx.org/licenses/
_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
_LONGEST_NAME = 40


def locked(path: Path) -> list[str]:
    """Return the names of the packages in a lock file."""
    return _LOCKED.findall(path.read_text())


def licence_of(package: str) -> str:
    """Return the licence of an installed package, in SPDX's terms as far as the package is that exact."""
    stated = metadata(package).json
    name = str(stated.get("license_expression", "")) or _short(str(stated.get("license", "")))
    if name:
        return _SPDX.get(name, name)
    classifiers = [each.rpartition(" :: ")[2] for each in stated.get("classifier", []) if "License ::" in each]
    return " OR ".join(_SPDX.get(each, each) for each in classifiers)


def _short(text: str) -> str:
    """Return what the old field says, unless it is a whole licence, an address, or no licence's name."""
    is_name = len(text) <= _LONGEST_NAME and "\n" not in text and "://" not in text
    return text if is_name and text not in {"BSD", "Dual License"} else ""


def page() -> str:
    """Return the whole page."""
    everywhere = locked(_EVERYWHERE)
    on_one_machine = locked(_ON_ONE_MACHINE)
    beside = [package for package in on_one_machine if package not in everywhere]
    for_s3 = [package for package in locked(_FOR_S3) if package not in {*everywhere, *on_one_machine}]
    parts = [
        _INTRODUCTION,
        *_table("With every installation", everywhere),
        *_table("On one machine besides (`dicom-export[local]`)", beside),
        *_table("For S3 buckets besides (`dicom-export[s3]`)", for_s3),
    ]
    return "\n".join(parts)


def _table(heading: str, packages: list[str]) -> list[str]:
    rows = [f"| [{package}](https://pypi.org/project/{package}/) | {licence_of(package)} |" for package in packages]
    return [f"## {heading}\n", "| package | licence |", "| --- | --- |", *rows, ""]


if __name__ == "__main__":
    PAGE.write_text(page())

"""What tests need that is not in every checkout: `../shared` (specification, corpus, oracle) and the real gcloud.

A test that needs such a part says so with a marker or asks for the fixture. Where the part is missing the test is
skipped, with the reason; with DICOM_EXPORT_REQUIRE_STACK=1, as in CI, it fails.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires_shared(path): the test needs this file or folder of ../shared")
    config.addinivalue_line("markers", "requires_gcloud: the test runs the real gcloud")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires_shared"):
        _shared(*marker.args)
    if item.get_closest_marker("requires_gcloud"):
        _gcloud()


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder `shared` beside the checkout."""
    return _shared(".")


@pytest.fixture(scope="session")
def gcloud() -> str:
    """Return the path of the real gcloud."""
    return _gcloud()


def _shared(path: str) -> Path:
    found = SHARED / path
    if not found.exists():
        _missing(f"{found} is not there; put the folder `shared` beside the checkout")
    return found


def _gcloud() -> str:
    return shutil.which("gcloud") or _missing("gcloud is not on the PATH; install the Google Cloud CLI")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("DICOM_EXPORT_REQUIRE_STACK") == "1":
        pytest.fail(reason)
    pytest.skip(reason)

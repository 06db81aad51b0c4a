"""Google's how-to pages about the export are followed: every command in them, with placeholders and endpoint replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.how_to_pages import Reader, commands, is_of_windows
from support.local_server import STORE, Archive, make_archive, running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.requires_shared("seeds"), pytest.mark.requires_gcloud]

ELSEWHERE = "other-project.dicom"
PARENT = STORE.parent
PLACEHOLDERS = {
    **{f"{prefix}PROJECT_ID": PARENT.project for prefix in ("", "SOURCE_")},
    **{f"{prefix}LOCATION": PARENT.location for prefix in ("", "SOURCE_")},
    **{f"{prefix}DATASET_ID": PARENT.dataset for prefix in ("", "SOURCE_")},
    **{f"{prefix}DICOM_STORE_ID": STORE.store for prefix in ("", "SOURCE_")},
    **{f"{prefix}BIGQUERY_DATASET_ID": "dicom" for prefix in ("", "DESTINATION_")},
    "DESTINATION_PROJECT_ID": "other-project",
    "BUCKET": "filters",
    "DIRECTORY": "lists",
    "FILTER_FILE": "ct.txt",
}


@dataclass(frozen=True)
class TwoProjects(Archive):
    @property
    def command(self) -> list[str]:
        return [*super().command, f"--bq-dataset={ELSEWHERE}"]


def read(shared: Path) -> dict[str, list[str]]:
    return {path.stem[:3]: list(commands(path.read_text())) for path in sorted((shared / "seeds").glob("*.txt"))}


def test_the_commands_of_both_pages_are_found(shared: Path) -> None:
    found = read(shared)
    kinds = {page: [command.split()[0] for command in each] for page, each in found.items()}
    assert {page: len(each) for page, each in found.items()} == {"000": 19, "001": 37}
    assert {page: each.count("curl") for page, each in kinds.items()} == {"000": 6, "001": 6}
    assert {page: each.count("$cred") for page, each in kinds.items()} == {"000": 6, "001": 6}
    assert {page: each.count("gsutil") for page, each in kinds.items()} == {"000": 1, "001": 1}


def test_commands_for_windows_are_those_for_linux(shared: Path) -> None:
    for found in read(shared).values():
        own = [command for command in found if command.startswith("gcloud") and not is_of_windows(command)]
        for command in filter(is_of_windows, found):
            assert command.replace("`", "\\").replace("^", "\\") in own


# Thirty runs of gcloud, of which each takes seconds, and more on a machine that does something else besides.
@pytest.mark.timeout(900)
def test_a_reader_of_both_pages_exports(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    archive = TwoProjects(make_archive(tmp_path / "archive").folder)
    (archive.folder / "filters" / "lists").mkdir()
    (archive.folder / "filters" / "ct.txt").rename(archive.folder / "filters" / "lists" / "ct.txt")
    with running(archive) as endpoint, ThreadPoolExecutor() as pool:
        readers = {page: make_reader(endpoint, tmp_path / page, page) for page in ("000", "001")}

        def follow(page: str) -> list[dict[str, str]]:
            for command in read(shared)[page]:
                if not is_of_windows(command):
                    readers[page].follow(command)
            return readers[page].counters

        counters = dict(zip(readers, pool.map(follow, readers), strict=True))
    # Two whole exports and then a filtered one, by each of three ways: gcloud, curl and PowerShell.
    whole, filtered = {"success": "2"}, {"success": "1"}
    assert counters == {"000": [*[whole] * 6, *[filtered] * 3], "001": [*[whole] * 6, *[filtered] * 3]}


def make_reader(endpoint: str, folder: Path, page: str) -> Reader:
    folder.mkdir()
    gcloud = {
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_PROJECT": PARENT.project,
        "CLOUDSDK_HEALTHCARE_LOCATION": PARENT.location,
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_HEALTHCARE": endpoint,
    }
    # One of the pages has the filter in a folder of the bucket, the other lets the file's name be its path.
    where = {} if page == "000" else {"FILTER_FILE": "lists/ct.txt"}
    return Reader(endpoint, gcloud, folder, PLACEHOLDERS | where, tables=0 if page == "000" else 100)

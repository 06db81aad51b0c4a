"""The pages about one machine are followed: each of their commands is run as it is printed, in order."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from pydicom.data import get_testdata_file

from support.command_line import operation_ids, rows, run
from support.doc_pages import ROOT, PageReader, code
from support.emulators.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.emulators.s3 import S3
    from support.emulators.storage import Storage

_WAIT_SECONDS = 60
CONSOLE, SERVE, WATCH = "docs/how-to/console.md", "docs/how-to/serve.md", "docs/how-to/watch.md"
FILES = "docs/how-to/export-files.md"
BUCKETS = "docs/how-to/buckets-on-one-machine.md"
ENDED_BY_THEMSELVES = [
    "README.md",
    "docs/tutorial.md",
    *(f"docs/how-to/{name}.md" for name in ("export", "query", "verify", "shell-completion")),
]
"""The pages of which each command ends."""


def make_scans(folder: Path) -> Path:
    folder.mkdir()
    for number, name in enumerate(("MR_small.dcm", "CT_small.dcm")):
        shutil.copy(str(get_testdata_file(name)), folder / f"00000{number}.dcm")
    return folder


def commands(page: str) -> list[str]:
    """Return the shell blocks of a page, without those for make: CI runs these, and a test below `make run`."""
    return [block for block in code(page, "sh") if not block.startswith("make ")]


def wait_for(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("page", ENDED_BY_THEMSELVES)
def test_each_command_of_a_page_succeeds(page: str, tmp_path: Path) -> None:
    reader = PageReader(tmp_path)
    scans = make_scans(tmp_path / "scans")
    for file in {"query": ["run/dicom.duckdb"], "verify": ["scans.duckdb"]}.get(Path(page).stem, []):
        assert run("export", scans, "--to", _made(tmp_path / file)).exit_code == 0
    blocks = [block for block in commands(page) if not is_serving(block)]
    assert blocks
    for block in blocks:
        reader.follow(block)


def is_serving(block: str) -> bool:
    return "dicom-export serve " in block


def test_the_readme_opens_the_console(tmp_path: Path) -> None:
    port = str(free_port())
    reader = PageReader(tmp_path, {"--data data": f"--data data --port {port}"})
    make_scans(tmp_path / "scans")
    (serve,) = [block for block in commands("README.md") if is_serving(block)]
    with reader.following(serve) as printed:
        wait_for(lambda: "Listening on" in printed.read_text())
        with urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert "dicomStores%2Fscans" in answer.read().decode()


def test_the_page_about_buckets_exports_from_cloud_storage_and_s3(
    tmp_path: Path, storage_emulator: Storage, s3_server: S3
) -> None:
    reader = PageReader(tmp_path)
    for service in (storage_emulator, s3_server):
        service.make_bucket("my-bucket")
        for path in make_scans(tmp_path / type(service).__name__).iterdir():
            service.put("my-bucket", f"scans/{path.name}", path.read_bytes())
    export, verify, from_s3 = commands(BUCKETS)
    assert "2 of 2 instances (2 studies) exported" in reader.follow(export)
    assert "2 instances compared with table dicom of scans.duckdb: 0 missing" in reader.follow(verify)
    assert "2 of 2 instances (2 studies) exported" in reader.follow(from_s3)
    assert rows(tmp_path / "s3.duckdb", "SELECT SourceObject FROM dicom ORDER BY 1") == [
        ("s3://my-bucket/scans/000000.dcm",),
        ("s3://my-bucket/scans/000001.dcm",),
    ]


def _made(file: Path) -> Path:
    file.parent.mkdir(exist_ok=True)
    return file


def test_the_tutorial_ends_with_the_files_that_its_query_found(tmp_path: Path) -> None:
    reader = PageReader(tmp_path)
    make_scans(tmp_path / "scans")
    for block in commands("docs/tutorial.md"):
        reader.follow(block)
    assert rows(tmp_path / "scans.duckdb", "SELECT Modality FROM dicom ORDER BY 1") == [("CT",), ("MR",)]
    assert rows(tmp_path / "ct.duckdb", "SELECT Modality FROM dicom") == [("CT",)]


def test_watch_keeps_the_table_in_sync_until_ctrl_c(tmp_path: Path) -> None:
    reader = PageReader(tmp_path)
    scans = make_scans(tmp_path / "scans")
    watch, *queries = commands(WATCH)
    with reader.following(watch) as printed:
        wait_for(lambda: "2 new" in printed.read_text())
        (scans / "000000.dcm").unlink()
        wait_for(lambda: "1 deleted" in printed.read_text())
    (shown,) = [reader.follow(block) for block in queries]
    assert "(1 row)" in shown


@contextmanager
def serving(folder: Path, page: str = SERVE, **environment: str) -> Iterator[tuple[PageReader, list[str]]]:
    """Serve the folder as the page says, and return the reader with the other blocks of the page."""
    replaced = {"/path/to": str(folder), "8080": str(free_port())}
    reader = PageReader(folder, replaced, environment)
    make_scans(folder / "scans")
    (folder / "data").mkdir()
    serve, *others = commands(page)
    with reader.following(serve) as printed:
        wait_for(lambda: "Listening on" in printed.read_text())
        yield reader, others


def wait_for_exports(folder: Path, count: int) -> None:
    """Return once so many operations of the server have exported both instances."""

    def listed() -> str:
        return run("operations", "list", "--data", folder / "data").stdout

    wait_for(lambda: listed().count("done: 2 exported, 0 failed") == count)


def test_the_console_is_where_its_page_says(tmp_path: Path) -> None:
    """tests/end_to_end/test_console.py follows its steps in a browser."""
    with serving(tmp_path, CONSOLE) as (reader, others):
        (operations,) = others
        assert reader.follow(operations) == ""
        port = reader.replaced["8080"]
        with urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.headers.get_content_type() == "text/html"
            assert "Stores" in answer.read().decode()


def test_curl_and_python_export_from_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as (reader, others):
        (curl,) = [block for block in others if block.startswith("curl ")]
        assert "operations/" in reader.follow(curl)
        (program,) = code(SERVE, "python")
        reader.follow(program, is_python=True)
        wait_for_exports(tmp_path, 2)
        (operations,) = [block for block in others if "operations list --data /" in block]
        assert len(reader.follow(operations).splitlines()) == 2
    assert rows(tmp_path / "data" / "my-project.duckdb", "SELECT COUNT(*) FROM my_dataset.dicom") == [(4,)]


def test_the_command_exports_from_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as (reader, others):
        (block,) = [each for each in others if "--endpoint" in each]
        printed = reader.follow(block)
        assert "2 of 2 instances (2 studies) exported to table bq://my-project.my_dataset.dicom in " in printed
        assert "done: 2 exported, 0 failed" in printed


@pytest.mark.requires_gcloud
def test_gcloud_exports_from_the_server(tmp_path: Path) -> None:
    settings = {"CLOUDSDK_CONFIG": str(tmp_path / "gcloud"), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    with serving(tmp_path, **settings) as (reader, others):
        (block,) = [each for each in others if "gcloud " in each]
        assert re.search(r"^\d+ +local +True$", reader.follow(block), re.MULTILINE)
    assert rows(tmp_path / "data" / "my-project.duckdb", "SELECT COUNT(*) FROM my_dataset.dicom") == [(2,)]


@pytest.mark.requires_gcloud
def test_files_of_a_cohort_are_exported_by_the_command_gcloud_and_curl(tmp_path: Path) -> None:
    settings = {"CLOUDSDK_CONFIG": str(tmp_path / "gcloud"), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    reader = PageReader(tmp_path, {"/path/to": str(tmp_path), "8080": str(free_port())}, settings)
    scans = make_scans(tmp_path / "scans")
    for name in ("data", "cohorts"):
        (tmp_path / name).mkdir()
    cohort, failures, serve, gcloud, curl, _ = commands(FILES)
    assert "1 of 1 instances (1 study) exported to folder cohort" in reader.follow(cohort)
    (copy,) = (tmp_path / "cohort").rglob("*.dcm")
    assert copy.samefile(scans / "000001.dcm")
    assert reader.follow(failures) == ""
    shutil.copy(tmp_path / "cohort.csv", tmp_path / "cohorts/ct.csv")
    with reader.following(serve) as printed:
        wait_for(lambda: "Listening on" in printed.read_text())
        assert "name: projects/local/" in reader.follow(gcloud)
        assert len(list((tmp_path / "cohorts/all").rglob("*.dcm"))) == 2
        assert "operations/" in reader.follow(curl)
        wait_for(lambda: list((tmp_path / "cohorts/ct").rglob("*.dcm")))
    (copy,) = (tmp_path / "cohorts/ct").rglob("*.dcm")
    assert copy.read_bytes() == (scans / "000001.dcm").read_bytes()


def test_every_page_about_one_machine_is_followed() -> None:
    """A new page has to be named here, or in test_cloud_pages.py."""
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "how-to").glob("*.md")}
    on_google_cloud = {
        f"docs/how-to/{name}.md"
        for name in ("deploy", "batch-jobs", "new-uploads", "dead-letters", "check-an-installation")
    }
    ended = {page for page in ENDED_BY_THEMSELVES if "how-to" in page}
    assert pages - on_google_cloud == ended | {BUCKETS, CONSOLE, SERVE, WATCH, FILES}


def test_make_run_exports_and_queries(tmp_path: Path) -> None:
    (tmp_path / "queries").symlink_to(ROOT / "queries")
    store = make_scans(tmp_path / "scans")
    makefile, folder = ROOT / "Makefile", Path(sys.executable).parent
    assert any(block.startswith("make run ") for block in code("README.md", "sh"))
    done = subprocess.run(
        # Nothing is installed: this environment is there.
        ["make", "-f", str(makefile), "-o", ".venv/.local", "run", f"BIN={folder}", f"STORE={store}"],  # noqa: S607
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^2 of 2 instances \(2 studies\) exported", done.stdout, re.MULTILINE)
    assert "(2 rows)" in done.stdout
    assert len(operation_ids(tmp_path / "run" / "dicom.duckdb")) == 1

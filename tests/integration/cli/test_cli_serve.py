from __future__ import annotations

import json
import re
import signal
import socket
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from support.command_line import make_folder, run, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "store")


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    store = f"scans={folder}"
    process = start("serve", "--store", store, "--data", tmp_path / "data", "--port", 0, "--bq-dataset", "p.d")
    yield process
    process.kill()
    process.communicate()


def announced(process: subprocess.Popen[str]) -> str:
    """Return what is printed once the server listens: three lines."""
    assert process.stderr is not None
    return "".join(process.stderr.readline() for _ in range(3))


def endpoint_of(text: str) -> str:
    match = re.search(r"http://127\.0\.0\.1:\d+/", text)
    assert match, text
    return match[0]


def get(url: str) -> Any:
    with urllib.request.urlopen(url) as response:  # noqa: S310 - the server just started
        return json.load(response)


def test_it_says_where_it_listens_and_what_to_type(server: subprocess.Popen[str]) -> None:
    text = announced(server)
    assert f"CLOUDSDK_API_ENDPOINT_OVERRIDES_HEALTHCARE={endpoint_of(text)}" in text
    assert (
        "gcloud healthcare dicom-stores export bq scans --project=local --location=local --dataset=local"
        " --bq-table=bq://p.d.dicom"
    ) in text


def test_it_answers_as_the_healthcare_api_does(server: subprocess.Popen[str]) -> None:
    parent = "v1/projects/local/locations/local/datasets/local"
    stores = get(f"{endpoint_of(announced(server))}{parent}/dicomStores")
    assert stores == {"dicomStores": [{"name": "projects/local/locations/local/datasets/local/dicomStores/scans"}]}


def exported(endpoint: str, table: str) -> Any:
    """Return the operation of an export to the table after its end."""
    store = "v1/projects/local/locations/local/datasets/local/dicomStores/scans"
    body = json.dumps({"bigqueryDestination": {"tableUri": table}}).encode()
    headers = {"Content-Type": "application/json"}
    started = urllib.request.Request(f"{endpoint}{store}:export", body, headers)  # noqa: S310 - as in `get`
    with urllib.request.urlopen(started) as response:  # noqa: S310 - as in `get`
        name = json.load(response)["name"]
    while not (operation := get(f"{endpoint}v1/{name}")).get("done"):
        time.sleep(0.05)
    return operation


def test_what_is_ignored_is_not_exported(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").write_text("no DICOM")
    arguments = ("--store", f"scans={folder}", "--data", tmp_path / "data", "--port", 0, "--bq-dataset", "p.d")
    process = start("serve", *arguments, "--ignore", "*.txt", "--ignore", "000001*")
    try:
        operation = exported(endpoint_of(announced(process)), "bq://p.d.dicom")
    finally:
        process.kill()
        process.communicate()
    assert operation["metadata"]["counter"] == {"success": "1", "secondarySuccess": "1"}


def test_without_a_dataset_there_is_one_for_tables(folder: Path, tmp_path: Path) -> None:
    process = start("serve", "--store", f"scans={folder}", "--data", tmp_path / "data", "--port", 0)
    try:
        text = announced(process)
        assert "--bq-table=bq://local.main.dicom" in text
        operation = exported(endpoint_of(text), "bq://local.main.dicom")
        with urllib.request.urlopen(f"{endpoint_of(text)}export") as response:  # noqa: S310 - as in `get`
            page = response.read().decode()
    finally:
        process.kill()
        process.communicate()
    assert operation["metadata"]["counter"]["success"] == "2"
    assert (tmp_path / "data" / "local.duckdb").exists()
    for field, value in (("project", "local"), ("dataset", "main"), ("table", "scans")):
        assert f'id="{field}" name="{field}" value="{value}"' in page


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_to(server: subprocess.Popen[str], sent: signal.Signals) -> None:
    announced(server)
    server.send_signal(sent)
    _, stderr = server.communicate()
    assert server.returncode == 0
    assert "Traceback" not in stderr


WRONG = {
    "no store": (("--data", "{tmp}/d"), "Missing option '--store'"),
    "no data": (("--store", "s={folder}"), "Missing option '--data'"),
    "no pair": (("--store", "{folder}", "--data", "{tmp}/d"), "expected NAME=FOLDER"),
    "no folder": (("--store", "s={folder}/none", "--data", "{tmp}/d"), "does not exist"),
    "no store's name": (("--store", "a/b={folder}", "--data", "{tmp}/d"), "'a/b' is not a DICOM store name"),
    "no dataset": (("--store", "s={folder}", "--data", "{tmp}/d", "--bq-dataset", "d"), "expected PROJECT.DATASET"),
    "a dataset with a dash": (
        ("--store", "s={folder}", "--data", "{tmp}/d", "--bq-dataset", "p.my-dataset"),
        "DATASET has only letters, digits and underscores",
    ),
    "no dataset's name": (
        ("--store", "s={folder}", "--data", "{tmp}/d", "--bq-dataset", "p.a b"),
        "expected PROJECT.DATASET",
    ),
    "no folder for data": (
        ("--store", "s={folder}", "--data", "{folder}/000000.dcm/d"),
        "cannot be created: Not a dir",
    ),
    "a store twice": (("--store", "s={folder}", "--store", "s={tmp}", "--data", "{tmp}/d"), "s cannot be both"),
    "no bucket's folder": (("--store", "s={folder}", "--data", "{tmp}/d", "--bucket", "b=none"), "does not exist"),
    "no port": (("--store", "s={folder}", "--data", "{tmp}/d", "--port", "x"), "'x' is not a valid integer"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_usage_is_one_clear_line(folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("serve", *(each.format(folder=folder, tmp=tmp_path) for each in arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "d").exists()


def test_a_port_that_is_taken_is_told(folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("serve", "--store", f"s={folder}", "--data", tmp_path / "data", "--port", port)
        _, stderr = process.communicate()
    assert process.returncode == 2
    assert f"Error: Port {port} of 127.0.0.1 cannot be used" in stderr

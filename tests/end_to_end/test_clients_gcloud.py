"""The real gcloud against the API: what it sends is what users' scripts send."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.names import DatasetName
from support.local_server import BQ_DATASET, BROKEN_STORE, CT_STUDY, FILTER_URI, STORE, make_archive, running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requires_gcloud

# gcloud spends most of its time in waiting: it polls an operation every few seconds.
CONCURRENT_CALLS = 4


@dataclass(frozen=True)
class Gcloud:
    """gcloud, pointed at the API."""

    executable: str
    config: Path
    endpoint: str

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.without_dataset(*arguments, f"--dataset={STORE.parent.dataset}")

    def without_dataset(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "CLOUDSDK_CONFIG": str(self.config),
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_HEALTHCARE": self.endpoint,
        }
        parent = STORE.parent
        where = (f"--project={parent.project}", f"--location={parent.location}")
        return subprocess.run(
            [self.executable, *arguments, *where], env=environment, capture_output=True, text=True, check=False
        )

    def export(self, table: str, *flags: str, track: str = "", store: str = STORE.store) -> Any:
        """Export into a table, and return how gcloud ended."""
        tracks = [track] if track else []
        command = (*tracks, "healthcare", "dicom-stores", "export", "bq", store)
        return self(*command, f"--bq-table=bq://{table}", *flags)

    def export_files(self, folder: str, *flags: str, track: str = "") -> Any:
        """Export files to a folder of the bucket, and return how gcloud ended."""
        tracks = [track] if track else []
        command = (*tracks, "healthcare", "dicom-stores", "export", "gcs", STORE.store)
        return self(*command, f"--gcs-uri-prefix=gs://filters/{folder}", *flags)

    def operations(self, *arguments: str) -> Any:
        """Return what an operations command prints as JSON."""
        done = self("healthcare", "operations", *arguments, "--format=json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@dataclass(frozen=True)
class Session:
    """How gcloud ended at each export of a table, how it did where an instance failed, and what it says of them."""

    ended: dict[str, list[subprocess.CompletedProcess[str]]]
    copied: dict[str, subprocess.CompletedProcess[str]]
    copies: dict[str, list[Path]]
    failed: subprocess.CompletedProcess[str]
    rows: dict[str, int]
    listed: list[dict[str, Any]]
    described: dict[str, Any]
    cancelled: subprocess.CompletedProcess[str]
    datasets: subprocess.CompletedProcess[str]
    not_served: dict[str, subprocess.CompletedProcess[str]]


EXPORTS: dict[str, list[tuple[str, ...]]] = {
    "by_default": [(), ()],
    "into_empty": [("--write-disposition=write-empty",)],
    "appended": [("--write-disposition=write-append",), ("--write-disposition=write-append",)],
    "truncated": [("--write-disposition=write-append",), ("--write-disposition=write-truncate",)],
    "overwritten": [(), ("--overwrite-table",)],
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, gcloud: str) -> Session:
    archive = make_archive(tmp_path_factory.mktemp("archive"))
    with running(archive) as endpoint, ThreadPoolExecutor(CONCURRENT_CALLS) as pool:
        client = Gcloud(gcloud, tmp_path_factory.mktemp("gcloud"), endpoint)

        def export_in_turn(table: str) -> list[subprocess.CompletedProcess[str]]:
            return [client.export(f"{BQ_DATASET}.{table}", *flags) for flags in EXPORTS[table]]

        running_exports = {table: pool.submit(export_in_turn, table) for table in EXPORTS}
        filter_flag = f"--filter-config-gcs-uri={FILTER_URI}"
        others = {
            "filtered": pool.submit(client.export, f"{BQ_DATASET}.filtered", filter_flag, track="beta"),
            "filtered_by_alpha": pool.submit(
                client.export, f"{BQ_DATASET}.filtered_by_alpha", filter_flag, track="alpha"
            ),
            "no_store": pool.submit(client.export, f"{BQ_DATASET}.no_store", store="elsewhere"),
            "no_dataset": pool.submit(client.export, "my-project.nowhere.no_dataset"),
        }
        files = {
            "files": pool.submit(client.export_files, "files", "--mime-type=application/dicom"),
            "files_filtered": pool.submit(client.export_files, "files_filtered/", filter_flag, track="beta"),
        }
        broken = pool.submit(client.export, f"{BQ_DATASET}.broken", store=BROKEN_STORE.store)
        ended = {table: future.result() for table, future in running_exports.items()}
        ended |= {table: [future.result()] for table, future in others.items()}
        copied = {folder: future.result() for folder, future in files.items()}
        failed = broken.result()
        listed = client.operations("list")
        described = {
            each["name"]: client.operations("describe", each["name"].rpartition("/")[2])
            for each in (listed[0], next(each for each in listed if "error" in each))
        }
        last = listed[0]["name"].rpartition("/")[2]
        # The other tracks have no such command.
        cancelling = pool.submit(client, "alpha", "healthcare", "operations", "cancel", last)
        not_served = {
            collection: pool.submit(client, "healthcare", collection, "list")
            for collection in ("fhir-stores", "hl7v2-stores")
        }
        not_served["delete"] = pool.submit(client, "healthcare", "dicom-stores", "delete", STORE.store)
        datasets = client.without_dataset("healthcare", "datasets", "list", "--format=json")
        refused = {command: future.result() for command, future in not_served.items()}
    rows = {table: archive.count_rows(table) for table in (*EXPORTS, "filtered", "filtered_by_alpha")}
    found = {folder: sorted((archive.folder / "filters" / folder).rglob("*.dcm")) for folder in copied}
    return Session(ended, copied, found, failed, rows, listed, described, cancelling.result(), datasets, refused)


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("into_empty", 2),
        ("appended", 4),
        ("truncated", 2),
        ("overwritten", 2),
        ("filtered", 1),
        ("filtered_by_alpha", 1),
    ],
)
def test_export_waits_for_its_operation_and_prints_the_store(session: Session, table: str, rows: int) -> None:
    for done in session.ended[table]:
        assert done.returncode == 0, done.stderr
        assert "Request issued for: [archive]" in done.stderr
        assert done.stdout == f"name: {STORE}\n"
    assert session.rows[table] == rows


@pytest.mark.parametrize(("folder", "studies"), [("files", 2), ("files_filtered", 1)])
def test_files_are_exported_to_a_folder(session: Session, folder: str, studies: int) -> None:
    done = session.copied[folder]
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"name: {STORE}\n"
    assert len({copy.parents[1].name for copy in session.copies[folder]}) == studies
    assert CT_STUDY in {copy.parents[1].name for copy in session.copies[folder]}
    (operation,) = (each for each in session.listed if _is_of_files(each, studies))
    assert "error" not in operation


def _is_of_files(operation: dict[str, Any], studies: int) -> bool:
    metadata = operation["metadata"]
    is_of_files = metadata["apiMethodName"].endswith("ExportDicomData_gcs")
    return bool(is_of_files and metadata["counter"]["secondarySuccess"] == str(studies))


def test_a_table_with_rows_is_not_written_by_default(session: Session) -> None:
    first, second = session.ended["by_default"]
    assert first.returncode == 0, first.stderr
    assert second.returncode == 1
    assert "FAILED_PRECONDITION" in second.stderr
    assert "2 rows" in second.stderr
    assert session.rows["by_default"] == 2


def test_a_mistake_is_told_in_the_apis_words(session: Session) -> None:
    for case, named in (("no_store", "dicomStores/elsewhere"), ("no_dataset", "my-project.nowhere")):
        (done,) = session.ended[case]
        assert done.returncode == 1
        assert "NOT_FOUND" in done.stderr
        assert named in done.stderr


def test_operations_are_listed_newest_first(session: Session) -> None:
    exports = sum(done.returncode == 0 for calls in session.ended.values() for done in calls)
    copies = sum(done.returncode == 0 for done in session.copied.values())
    assert len(session.listed) == exports + copies + 1
    assert all(operation["done"] for operation in session.listed)
    created = [operation["metadata"]["createTime"] for operation in session.listed]
    assert created == sorted(created, reverse=True)
    assert {DatasetName.parse(each["name"].rpartition("/operations/")[0]) for each in session.listed} == {STORE.parent}


def test_an_operation_is_described(session: Session) -> None:
    for operation in session.listed:
        assert session.described.get(operation["name"], operation) == operation
        assert ("response" in operation) is ("error" not in operation)


def test_a_failed_instance_fails_the_command_with_the_operations_error(session: Session) -> None:
    assert session.failed.returncode == 1
    assert "1 of 1 instances failed" in session.failed.stderr
    (operation,) = (each for each in session.listed if "error" in each)
    assert operation["error"]["code"] == 3
    assert operation["metadata"]["counter"] == {"failure": "1"}


def test_the_alpha_track_asks_for_an_operations_end(session: Session) -> None:
    """It calls `v1alpha2`."""
    assert session.cancelled.returncode == 1
    assert "FAILED_PRECONDITION: operation has already completed" in session.cancelled.stderr


def test_datasets_are_listed(session: Session) -> None:
    assert session.datasets.returncode == 0, session.datasets.stderr
    assert json.loads(session.datasets.stdout) == [{"name": str(STORE.parent)}]


def test_what_is_not_served_is_not_taken_for_a_problem_of_the_login_or_the_network(session: Session) -> None:
    for command, done in session.not_served.items():
        assert done.returncode == 1, command
        assert "is not served: this server exports DICOM metadata" in done.stderr
        assert "authenticated" not in done.stderr
        assert "network" not in done.stderr


def test_a_partial_failure_says_how_to_see_the_failures(session: Session) -> None:
    (operation,) = (each for each in session.listed if "error" in each)
    assert f"dicom-export operations failures {operation['name']}" in session.failed.stderr
    assert f"/v1/{operation['name']}/failures" in session.failed.stderr

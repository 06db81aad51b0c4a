"""The pages about an installation on Google Cloud are followed, on the emulators. docs/how-to/deploy.md has a test of its own."""

from __future__ import annotations

import re
import shutil
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread

from support.clouds import STORE, Cloud
from support.deploy_page import ROOT, Reader
from support.dicom_files import make_instance
from support.doc_pages import PageReader, code
from support.terraform import copied_sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.emulators.bigquery import BigQuery
    from support.emulators.pubsub import PubSub
    from support.emulators.storage import Storage
    from support.terraform import Terraform

INSTANCES = 4
# The fewest that Pub/Sub takes: a message that nobody handles is a dead letter soon.
ATTEMPTS = 5


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory,
    pubsub_emulator: PubSub,
    storage_emulator: Storage,
    bigquery_emulator: BigQuery,
) -> Iterator[Cloud]:
    """Run an installation with a store of a few instances."""
    emulators = (pubsub_emulator, storage_emulator, bigquery_emulator)
    with Cloud(tmp_path_factory.mktemp("followed"), "followed", emulators, max_attempts=ATTEMPTS) as cloud:
        cloud.put(
            (f"1.2/{uid}.dcm", make_instance(SOPInstanceUID=uid)) for uid in map("1.2.{}".format, range(INSTANCES))
        )
        yield cloud


@pytest.mark.requires_gcloud
def test_batch_jobs_export_and_verify(reader: Reader, installation: Cloud) -> None:
    export, verify = code("docs/how-to/batch-jobs.md", "sh")
    assert _ended(reader.follow(export), installation)["counter"]["success"] == str(INSTANCES)
    assert installation.count("instances") == (INSTANCES, INSTANCES)
    installation.put([("1.2/1.2.9.dcm", make_instance(SOPInstanceUID="1.2.9"))])
    assert _ended(reader.follow(verify), installation)["differences"]["missing"] == "1"
    report = installation.warehouse.get_table(f"{installation.dataset}.differences")
    page = (ROOT / "docs" / "how-to" / "batch-jobs.md").read_text()
    assert {field.name for field in report.schema} == set(re.findall(r"`(\w+)`", _report_columns(page)))


@pytest.mark.requires_gcloud
def test_files_of_a_cohort_are_those_of_the_query(reader: Reader, installation: Cloud) -> None:
    """Export metadata, query for a cohort, write the filter file, and export the files of the cohort."""
    installation.wait(installation.export("cohorts"))
    where = f"FROM `{installation.dataset}.cohorts` WHERE SOPInstanceUID IN ('1.2.1', '1.2.3')"
    uids = "StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID"
    cohort = sorted(tuple(row.values()) for row in installation.query(f"SELECT {uids} {where}"))
    assert len(cohort) == 2
    lines = ["path", *("/dicomWeb/studies/{}/series/{}/instances/{}".format(*each) for each in cohort)]
    bucket = installation.storage.make_bucket()
    installation.storage.put(bucket, "lung.csv", "\n".join(lines).encode())
    *_, block = code("docs/how-to/export-files.md", "sh")
    metadata = _ended(reader.follow(block.replace("MY_BUCKET", bucket)), installation)
    assert metadata["apiMethodName"].endswith("ExportDicomData_gcs")
    assert metadata["counter"] == {"success": "2", "secondarySuccess": "1"}
    copies = list(installation.storage.client.list_blobs(bucket, prefix="lung/"))
    assert sorted(blob.name for blob in copies) == [f"lung/{'/'.join(each)}.dcm" for each in cohort]
    found = [dcmread(BytesIO(blob.download_as_bytes()), stop_before_pixels=True) for blob in copies]
    assert sorted((each.StudyInstanceUID, each.SeriesInstanceUID, each.SOPInstanceUID) for each in found) == cohort


def _report_columns(page: str) -> str:
    """Return the first cells of the table of the report's columns."""
    return "\n".join(re.findall(r"^\| (`[A-Z][a-zA-Z]+`[^|]*) \|", page, re.MULTILINE))


def _ended(published: str, installation: Cloud) -> dict[str, Any]:
    """Return the metadata of the operation that the published message started, once it has ended."""
    (message,) = re.findall(r"'(\d+)'", published)
    ended = installation.wait(f"{STORE.parent}/operations/{message}")
    assert "error" not in ended, ended
    return dict(ended["metadata"])


def test_a_dead_letter_is_listed_and_replayed(installation: Cloud, tmp_path: Path) -> None:
    with installation.without_workers():
        operation = installation.export("lost")
        installation.wait(operation)
    reader = PageReader(tmp_path, {"OPERATION": operation.rpartition("/")[2]}, installation.environment)
    (block,) = code("docs/how-to/dead-letters.md", "sh")
    printed = reader.follow(block)
    assert f"Replaying as {operation}-replay" in printed
    assert len(printed.splitlines()) >= 2
    installation.wait(f"{operation}-replay")
    stored = len(installation.objects())
    assert installation.count("lost") == (stored, stored)


def test_the_stream_configs_that_the_page_writes_can_be_planned(
    reader: Reader, terraform: Terraform, tmp_path: Path
) -> None:
    (block,) = code("docs/how-to/new-uploads.md", "sh")
    reader.follow(block.replace("MY_BUCKET", "my-dicom-bucket").replace("MY_PROJECT", "my-project"))
    assert reader.noted() == ["terraform apply"]
    infra = copied_sources(tmp_path / "sources") / "infra"
    shutil.copy(reader.folder / "uploads.auto.tfvars", infra)
    (infra / "terraform.tfvars").write_text(
        'project     = "my-project"\nregion      = "us-central1"\n'
        'stores      = { archive = { bucket = "my-dicom-bucket" } }\napi_callers = []\n'
    )
    terraform.check_plan(infra)
